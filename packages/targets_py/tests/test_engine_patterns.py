"""Dynamic branching in runs: which branches run, what they get, what is left of them."""

from __future__ import annotations

import pytest

from targets_py import TarRunError

SCRIPT = """
pipeline = [
    tar_target("x", lambda: {}),
    tar_target("y", lambda x: x * 10, pattern=map("x")),
    tar_target("w", lambda y: y + 1, pattern=map("y")),
    tar_target("z", lambda y: y),
]
"""


def counts(made):
    return made.ran_of("y"), made.ran_of("w"), "z" in made.ran


# x before, x after -> branches of y and w that run, whether z runs
CONSEQUENCES = {
    "one value replaced": ([[1, 2, 3]], [1, 5, 3], (1, 1, True)),
    "reordered": ([[1, 5, 3]], [3, 1, 5], (0, 0, True)),
    "shorter": ([[3, 1, 5]], [1, 5], (0, 0, True)),
    "longer": ([[1, 5]], [1, 5, 7], (1, 1, True)),
    "back to an earlier value": ([[1, 2], [3, 4]], [1, 2], (0, 0, True)),
    "unchanged": ([[1, 2]], [1, 2], (0, 0, False)),
    "a value twice": ([[1, 2]], [1, 1, 2], (1, 1, True)),
}


@pytest.mark.parametrize("case", CONSEQUENCES)
def test_consequences_of_a_changed_upstream(project, case):
    before, after, expected = CONSEQUENCES[case]
    for value in before:
        project.make(SCRIPT.format(value))

    made = project.make(SCRIPT.format(after))

    assert counts(made) == expected
    assert project.value("z") == [value * 10 for value in after]
    assert project.values("w") == [value * 10 + 1 for value in after]
    assert project.make().ran == []


def test_equal_slices_get_numbered_names(project):
    project.make(SCRIPT.format([1, 1, 2]))

    buds = project.records["x"].children
    assert buds[1] == f"{buds[0]}_1"
    assert len(set(project.records["y"].children)) == 3


def test_a_branch_below_an_equal_value_skips(project):
    project.make(SCRIPT.format([1, 2]))

    made = project.make(SCRIPT.format([1, 2]).replace("x * 10", "10 if x == 1 else 21"))

    assert counts(made) == (2, 1, True)


def test_dead_branches_keep_record_and_object(project):
    project.make(SCRIPT.format([1, 2]))
    dead = project.records["y"].children[1]

    project.make(SCRIPT.format([1]))

    assert dead in project.records
    assert project.value(dead) == 20


def test_a_branch_starts_before_its_siblings_above_are_done(project):
    made = project.make(
        """
        pipeline = [
            tar_target("w", lambda y: y, pattern=map("y"), priority=1),
            tar_target("x", lambda: [1, 2]),
            tar_target("y", lambda x: x, pattern=map("x")),
        ]
        """
    )

    assert [name.partition("_")[0] for name in made.ran] == ["x", "y", "w", "y", "w"]


def test_whole_and_sliced_dependencies(project):
    project.make(
        """
        pipeline = [
            tar_target("a", lambda: [1, 2]),
            tar_target("b", lambda: ["u", "v"]),
            tar_target("c", lambda a: -a, pattern=map("a")),
            tar_target("d", lambda a, b, c: (a, b, c), pattern=map("a"), iteration="list"),
            tar_target("e", lambda d: d),
        ]
        """
    )

    assert project.value("e") == [(1, ["u", "v"], [-1, -2]), (2, ["u", "v"], [-1, -2])]


def test_cross_and_map_nest(project):
    project.make(
        """
        pipeline = [
            tar_target("w", lambda: [1, 2]),
            tar_target("x", lambda: "ab".split("x") and ["a", "b"]),
            tar_target("y", lambda: [True, False]),
            tar_target("z", lambda w, x, y: (w, x, y), pattern="cross(w, map(x, y))"),
        ]
        """
    )

    assert project.values("z") == [(1, "a", True), (1, "b", False), (2, "a", True), (2, "b", False)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("head('x', n=2)", [1, 2]),
        ("tail('x', n=2)", [3, 4]),
        ("slice('x', index=[0, -1])", [1, 4]),
        ("slice('x', index=[1, 1])", [2, 2]),
        ("head(map('x'), n=99)", [1, 2, 3, 4]),
    ],
)
def test_patterns_that_choose(project, pattern, expected):
    project.make(
        f"""
        pipeline = [
            tar_target("x", lambda: [1, 2, 3, 4]),
            tar_target("y", lambda x: x, pattern={pattern}),
            tar_target("z", lambda y: y, pattern=map("y")),
        ]
        """
    )

    assert project.values("y") == expected
    assert project.values("z") == expected


def test_a_sample_does_not_depend_on_the_state_of_generators(project):
    script = """
        import random
        random.seed({})
        pipeline = [
            tar_target("x", lambda: list(range(100))),
            tar_target("y", lambda x: x, pattern=sample("x", n=3)),
        ]
    """
    project.make(script.format(1))
    values = project.values("y")

    made = project.make(script.format(2))

    assert made.ran == []
    assert project.values("y") == values
    assert len(set(values)) == 3


def test_groups_of_a_frame(project):
    pl = pytest.importorskip("polars")
    project.make(
        """
        def frame():
            import polars as pl
            return pl.DataFrame({"v": [1, 2, 3, 4, 5, 6], "tar_group": [1, 1, 2, 2, 3, 3]})

        pipeline = [
            tar_target("x", frame, iteration="group"),
            tar_target("y", lambda x: int(x["v"].sum()), pattern=map("x")),
            tar_target("columns", lambda x: x.columns, pattern=map("x"), iteration="list"),
        ]
        """
    )

    assert project.values("y") == [3, 7, 11]
    assert project.values("columns")[0] == ["v", "tar_group"]
    assert pl.DataFrame


@pytest.mark.parametrize(("iteration", "expected"), [("vector", [1, 2, 1, 2]), ("list", [[1, 2], [1, 2]])])
def test_aggregation_follows_the_iteration_of_the_pattern(project, iteration, expected):
    project.make(
        f"""
        pipeline = [
            tar_target("x", lambda: ["a", "b"]),
            tar_target("y", lambda x: [1, 2], pattern=map("x"), iteration={iteration!r}),
            tar_target("z", lambda y: y),
        ]
        """
    )

    assert project.value("z") == expected


def test_a_stem_that_is_branched_over_for_the_first_time_skips(project):
    stem = "tar_target('x', lambda: [1, 2])"
    project.make(f"pipeline = [{stem}]")
    assert project.records["x"].children is None

    made = project.make(f"pipeline = [{stem}, tar_target('y', lambda x: x, pattern=map('x'))]")

    assert made.progress["x"] == "skipped"
    assert made.ran_of("y") == 2
    assert len(project.records["x"].children) == 2
    assert project.make().ran == []


def test_an_empty_upstream_fails_the_pattern(project):
    script = """
        pipeline = [
            tar_target("x", lambda: []),
            tar_target("y", lambda x: x, pattern=map("x"), error={!r}),
            tar_target("z", lambda y: y, error="continue"),
            tar_target("other", lambda: 1),
        ]
    """
    made = project.make(script.format("stop"), fails=True)

    assert isinstance(made.error, TarRunError)
    assert str(made.error) == "cannot branch over empty target (x)"
    assert made.progress == {"x": "completed", "y": "errored"}
    assert project.records["y"].error == "cannot branch over empty target (x)"

    made = project.make(script.format("continue"))

    assert made.progress == {"x": "skipped", "y": "errored", "z": "errored", "other": "completed"}
    assert made.reporter.messages["z"].startswith("could not load dependency y of target z. y failed")

    made = project.make(script.format("null"))

    assert made.progress["z"] == "completed"
    assert project.value("z") is None


def test_unequal_lengths_fail_the_pattern(project):
    made = project.make(
        """
        pipeline = [
            tar_target("x", lambda: [1, 2]),
            tar_target("y", lambda: [1, 2, 3]),
            tar_target("z", lambda x, y: x, pattern=map("x", "y")),
        ]
        """,
        fails=True,
    )

    assert str(made.error).startswith("unequal lengths of vars in map(x, y)")
    assert made.error.target == "z"
    assert made.progress["z"] == "errored"


def test_a_value_that_cannot_be_split_fails_its_target(project):
    made = project.make(
        "pipeline = [tar_target('x', lambda: {1, 2}), tar_target('y', lambda x: x, pattern=map('x'))]",
        fails=True,
    )

    assert made.error.target == "x"
    assert "a value of type set cannot be split" in str(made.error)


def test_branching_over_an_errored_stem(project):
    script = """
        tar_option_set(error="continue")
        pipeline = [
            tar_target("x", lambda: {}),
            tar_target("y", lambda x: x, pattern=map("x")),
        ]
    """
    made = project.make(script.format("1 / 0"))
    assert made.reporter.messages["y"] == "could not branch over x: x has no value"

    project.make(script.format("[1, 2]"))
    made = project.make(script.format("1 / 0"))

    assert made.progress["x"] == "errored"
    assert project.records["x"].children is not None
    assert made.ran == ["x"]  # what is up to date stays so
    assert made.progress["y"] == "skipped"

    made = project.make(script.format("1 / 0").replace("lambda x: x,", "lambda x: x + 1,"))

    assert made.progress["y"] == "errored"
    message = made.reporter.messages[made.ran[1]]
    assert message == f"could not load dependency x of target {made.ran[1]}. x failed: division by zero"


def test_progress_of_patterns(project):
    made = project.make(
        """
        tar_option_set(error="continue")
        pipeline = [
            tar_target("x", lambda: [1, 2, 3]),
            tar_target("fine", lambda x: x, pattern=map("x")),
            tar_target("bad", lambda x: 1 / (x - 2), pattern=map("x")),
            tar_target("gone", lambda x: tar_cancel(x == 2), pattern=map("x")),
        ]
        """
    )

    words = [made.progress[name] for name in ("fine", "bad", "gone")]
    assert words == ["completed", "errored", "canceled"]
    assert project.make().progress["fine"] == "skipped"


def test_sums_of_a_pattern_count_branches_of_earlier_runs(project):
    script = "pipeline = [tar_target('x', lambda: {}), tar_target('y', lambda x: x, pattern=map('x'))]"
    project.make(script.format([1, 2, 3]))
    before = project.records["y"].bytes

    project.make(script.format([1, 2, 4]))

    assert project.records["y"].bytes == before > 0


def test_names_are_the_same_in_every_process(project):
    project.make(SCRIPT.format(["a", "b"]).replace("* 10", "* 1").replace("y + 1", "y"))

    assert project.records["x"].children == ["x_42cff90093d232be", "x_2306a8cb6db8f65b"]
