"""Patterns: the grids they make, the source they are written in, the builtins they replace."""

from __future__ import annotations

import builtins

import pytest

from targets_py import TarRunError, TarValidateError, cross, head, map, sample, slice, tail  # noqa: A004 - that is what scripts do
from targets_py.definition.patterns import Pattern, as_pattern


def rows(pattern, seed=None, **lengths):
    grid = pattern.grid(lengths, seed)
    return list(zip(*(grid[name] for name in pattern.dimensions()), strict=True))


@pytest.mark.parametrize(
    ("pattern", "lengths", "expected"),
    [
        (map("a"), {"a": 2}, [(0,), (1,)]),
        (map("a", "b"), {"a": 2, "b": 2}, [(0, 0), (1, 1)]),
        (cross("a", "b"), {"a": 2, "b": 2}, [(0, 0), (0, 1), (1, 0), (1, 1)]),
        (
            cross("w", map("x", "y")),
            {"w": 2, "x": 2, "y": 2},
            [(0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 1)],
        ),
        (cross("a", "b", "c"), {"a": 1, "b": 2, "c": 2}, [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)]),
        (map("a", cross("b", "c")), {"a": 4, "b": 2, "c": 2}, [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1)]),
        (head("a"), {"a": 3}, [(0,)]),
        (head("a", n=2), {"a": 3}, [(0,), (1,)]),
        (head("a", n=9), {"a": 3}, [(0,), (1,), (2,)]),
        (tail("a"), {"a": 3}, [(2,)]),
        (tail(cross("a", "b"), n=3), {"a": 2, "b": 2}, [(0, 1), (1, 0), (1, 1)]),
        (tail("a", n=9), {"a": 3}, [(0,), (1,), (2,)]),
        (slice("a"), {"a": 3}, [(0,)]),
        (slice("a", index=-1), {"a": 3}, [(2,)]),
        (slice("a", index=[2, 0, 0]), {"a": 3}, [(2,), (0,), (0,)]),
    ],
)
def test_grids(pattern, lengths, expected):
    assert rows(pattern, **lengths) == expected


def test_unequal_lengths_name_the_pattern_and_the_lengths():
    with pytest.raises(TarRunError, match=r"unequal lengths of vars in map\(x, y\) \(x: 2, y: 3\)"):
        map("x", "y").grid({"x": 2, "y": 3})


@pytest.mark.parametrize("index", [3, -4, [0, 3]])
def test_positions_out_of_range(index):
    with pytest.raises(TarRunError, match="out of range"):
        slice("x", index=index).grid({"x": 3})


def test_samples_are_distinct_and_follow_the_seed():
    pattern = sample("x", n=5)

    first = rows(pattern, seed=1, x=100)
    assert len(set(first)) == 5
    assert rows(pattern, seed=1, x=100) == first
    assert rows(pattern, seed=2, x=100) != first
    with pytest.raises(TarRunError, match="cannot sample 5 of 4"):
        pattern.grid({"x": 4})


@pytest.mark.parametrize(
    "source",
    [
        "map(x)",
        "cross(w, map(x, y))",
        "head(map(x, y), n=2)",
        "tail(x, n=3)",
        "slice(x, index=[0, -1])",
        "sample(cross(x, y), n=1)",
    ],
)
def test_source_is_read_and_written(source):
    assert str(as_pattern(source)) == source
    assert as_pattern(source) == as_pattern(str(as_pattern(source)))


def test_positional_arguments_in_source():
    assert as_pattern("head(x, 3)") == head("x", n=3)
    assert as_pattern("slice(x, 1)") == slice("x", index=1)
    assert as_pattern(None) is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x", "no call"),
        ("map(x", "no valid source"),
        ("zip(x)", r"unknown function zip\(\)"),
        ("a.map(x)", r"unknown function a.map\(\)"),
        ("map()", "at least one target"),
        ("map(x, x)", "x stands twice"),
        ("cross(x, map(y, x))", "x stands twice"),
        ("map(3)", "takes names of targets and patterns, not 3"),
        ("map(x + y)", "neither a name, a pattern nor a literal"),
        ("head(x, n=k)", "must be an integer"),
        ("head(x, n=0)", "n of head"),
        ("head(x, 1, 2)", "wrong arguments"),
        ("map(x, n=2)", "wrong arguments"),
        ("slice(x, index=[])", "index of slice"),
        ("slice(x, index='a')", "index of slice"),
    ],
)
def test_illegal_source(source, message):
    with pytest.raises(TarValidateError, match=message):
        as_pattern(source)


@pytest.mark.parametrize("value", [3, ["x"], lambda x: x])
def test_what_is_no_pattern(value):
    with pytest.raises(TarValidateError, match="pattern must come from"):
        as_pattern(value)


@pytest.mark.parametrize(
    "make",
    [
        map,
        lambda: map("x", 3),
        cross,
        lambda: cross("x", "x"),
        lambda: head("x", n=0),
        lambda: tail("x", n=1.5),
        lambda: sample("x", n=True),
        lambda: slice("x", index=1.5),
        lambda: head(3),
    ],
)
def test_illegal_arguments(make):
    with pytest.raises(TarValidateError):
        make()


def test_map_and_slice_are_still_the_builtins():
    assert list(map(abs, [-1, 2])) == [1, 2]
    assert isinstance(map(abs, []), map)
    assert isinstance(builtins.map(abs, []), map)
    assert not isinstance(map("x"), map)
    assert [1, 2, 3][slice(1, None)] == [2, 3]
    assert slice(2) == builtins.slice(2)
    assert isinstance(builtins.slice(2), slice)
    assert issubclass(builtins.slice, slice)
    assert issubclass(builtins.map, map)
    assert isinstance(map("x"), Pattern)
