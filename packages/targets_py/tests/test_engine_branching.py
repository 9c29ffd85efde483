"""Slicing, naming and aggregating values."""

from __future__ import annotations

import collections
import datetime as dt
import threading
from pathlib import Path

import pytest

from targets_py import TarRunError, TarWarning
from targets_py.engine.branching import aggregate, branch_names, bud_names, distinct, split
from targets_py.hashing.code import Code


@pytest.fixture
def code(tmp_path):
    return Code({}, tmp_path)


def slices(value, iteration="vector"):
    found = split(value, iteration, "x")
    return [found[position] for position in range(len(found))]


@pytest.mark.parametrize(
    ("value", "vector", "as_list"),
    [
        ([1, "b"], [1, "b"], [1, "b"]),
        ((1, 2), [1, 2], [1, 2]),
        (range(3), [0, 1, 2], [0, 1, 2]),
        (collections.deque([1, 2]), [1, 2], [1, 2]),
        ({"a": 1, "b": 2}, [{"a": 1}, {"b": 2}], [1, 2]),
        ("text", ["text"], ["text"]),
        (b"bytes", [b"bytes"], [b"bytes"]),
        (3, [3], [3]),
        (True, [True], [True]),
        (dt.date(2026, 1, 2), [dt.date(2026, 1, 2)], [dt.date(2026, 1, 2)]),
        (Path("a"), [Path("a")], [Path("a")]),
        (None, [], []),
        ([], [], []),
    ],
)
def test_plain_values(value, vector, as_list):
    assert slices(value) == vector
    assert slices(value, "list") == as_list


@pytest.mark.parametrize("value", [{1, 2}, iter([1]), object(), threading.Lock()])
@pytest.mark.parametrize("iteration", ["vector", "list"])
def test_what_cannot_be_split_says_its_type(value, iteration):
    with pytest.raises(TarRunError, match=f"could not branch over x: a value of type {type(value).__name__}"):
        split(value, iteration, "x")


def test_polars_frames():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1, 2], "b": ["u", "v"]})

    assert [row.to_dicts() for row in slices(frame)] == [[{"a": 1, "b": "u"}], [{"a": 2, "b": "v"}]]
    assert [column.to_list() for column in slices(frame, "list")] == [[1, 2], ["u", "v"]]
    assert slices(frame["a"]) == [1, 2]


def test_numpy_arrays():
    np = pytest.importorskip("numpy")

    assert [row.tolist() for row in slices(np.arange(4).reshape(2, 2))] == [[0, 1], [2, 3]]
    assert slices(np.float64(2.5)) == [2.5]
    assert len(slices(np.array(1))) == 1


def test_pandas_frames():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2], "b": ["u", "v"]})

    assert [row.to_dict("list") for row in slices(frame)] == [{"a": [1], "b": ["u"]}, {"a": [2], "b": ["v"]}]
    assert [column.tolist() for column in slices(frame, "list")] == [[1, 2], ["u", "v"]]
    assert slices(frame["b"]) == ["u", "v"]


def test_arrow_tables():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [1, 2]})

    assert [row.to_pylist() for row in slices(table)] == [[{"a": 1}], [{"a": 2}]]
    assert aggregate(slices(table), "vector").to_pylist() == table.to_pylist()


def group_frames():
    data = {"v": [1, 2, 3], "tar_group": [1, 3, 1]}
    pl = pytest.importorskip("polars")
    yield pl.DataFrame(data), lambda frame: frame["v"].to_list()
    try:
        import pandas as pd
        import pyarrow as pa
    except ImportError:
        return
    yield pd.DataFrame(data), lambda frame: frame["v"].tolist()
    yield pa.table(data), lambda frame: frame["v"].to_pylist()


def test_groups_of_any_frame(code):
    for frame, column in group_frames():
        found = split(frame, "group", "x")
        assert [column(found[position]) for position in range(len(found))] == [[1, 3], [], [2]]
        assert len(set(bud_names("x", found, "group", code))) == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2], "needs a frame, not list"),
        ({"v": [1]}, "needs a column tar_group"),
        ({"tar_group": [0]}, "must hold integers from 1, not 0"),
        ({"tar_group": ["a"]}, "must hold integers from 1, not 'a'"),
        ({"tar_group": [None]}, "must hold integers from 1, not None"),
    ],
)
def test_groups_that_are_none(data, message):
    pl = pytest.importorskip("polars")
    value = pl.DataFrame(data) if isinstance(data, dict) else data

    with pytest.raises(TarRunError, match=message):
        split(value, "group", "x")


def test_group_numbers_do_not_count_for_the_names(code):
    pl = pytest.importorskip("polars")
    one = split(pl.DataFrame({"v": [1, 2], "tar_group": [1, 2]}), "group", "x")
    other = split(pl.DataFrame({"v": [2, 1], "tar_group": [1, 2]}), "group", "x")

    assert bud_names("x", one, "group", code) == bud_names("x", other, "group", code)[::-1]


def test_buds_are_named_after_values(code):
    names = bud_names("x", split(["a", "b", "a", "a"], "vector", "x"), "vector", code)

    assert names[0].startswith("x_")
    assert len(names[0]) == 2 + 16
    assert names[2:] == [f"{names[0]}_1", f"{names[0]}_2"]
    assert names[1] != names[0]


class Opaque:
    """Pickles, but has no canonical form."""

    def __init__(self, text):
        self.text = text

    def __reduce_ex__(self, protocol):
        return Opaque, (self.text,), {"lock": threading.Lock} if protocol == 4 else None


def test_slices_without_canonical_form_are_named_after_their_pickles(code, monkeypatch):
    from targets_py.hashing.value import UnhashableValueError

    def refuse(value):
        raise UnhashableValueError("no canonical form")

    monkeypatch.setattr(code, "value_hash", refuse)
    with pytest.warns(TarWarning, match="slices of x cannot be hashed") as caught:
        names = bud_names("x", split(["a", "b"], "vector", "x"), "vector", code)

    assert len(caught) == 1
    assert len(set(names)) == 2


def test_slices_that_cannot_be_pickled_either_fail(code):
    with pytest.warns(TarWarning), pytest.raises(TarRunError, match="could not branch over x"):
        bud_names("x", split([threading.Lock()], "vector", "x"), "vector", code)


def test_branches_are_named_after_what_they_branch_over():
    children = {"a": ["a_1", "a_2"], "b": ["b_1"]}
    names = branch_names("y", {"a": [0, 1, 0], "b": [0, 0, 0]}, children)

    assert names[2] == f"{names[0]}_1"
    assert names[0] != names[1]
    assert names[0] == branch_names("y", {"a": [0], "b": [0]}, children)[0]
    assert names[0] != branch_names("y", {"b": [0], "a": [0]}, children)[0]


def test_distinct_numbers_repeats():
    assert distinct(["a", "b", "a", "a", "b"]) == ["a", "b", "a_1", "a_2", "b_1"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, "b", None, 2.5], [1, "b", 2.5]),
        ([[1], (2, 3), []], [1, 2, 3]),
        ([[1], 2], [[1], 2]),
        ([{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 2}]),
        ([None, None], None),
        ([], None),
    ],
)
def test_vectors_are_joined(values, expected):
    assert aggregate(values, "vector") == expected


def test_lists_keep_everything():
    assert aggregate([1, None, [2]], "list") == [1, None, [2]]


def test_frames_series_and_arrays_are_concatenated():
    pl = pytest.importorskip("polars")
    frames = [pl.DataFrame({"a": [1]}), None, pl.DataFrame({"a": [2.5], "b": ["x"]})]

    assert aggregate(frames, "vector").to_dict(as_series=False) == {"a": [1.0, 2.5], "b": [None, "x"]}
    assert aggregate([pl.Series("a", [1]), pl.Series("a", [2])], "vector").to_list() == [1, 2]
    assert aggregate([pl.DataFrame({"a": [1]}), pl.Series([1])], "vector")[1].to_list() == [1]


def test_pandas_and_numpy_are_concatenated():
    pd = pytest.importorskip("pandas")
    np = pytest.importorskip("numpy")

    frames = aggregate([pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})], "vector")
    assert frames["a"].tolist() == [1, 2]
    assert aggregate([pd.Series([1]), pd.Series([2])], "vector").tolist() == [1, 2]
    assert aggregate([np.array([1]), np.array([2, 3])], "vector").tolist() == [1, 2, 3]
    assert aggregate([np.array(1), np.array(2)], "vector").tolist() == [1, 2]
    assert aggregate([np.float64(1), np.float64(2)], "vector") == [1.0, 2.0]
