"""What a failing target does to the others: the error modes."""

from __future__ import annotations

import pytest

from targets_py import TarRunError, TarWarning
from targets_py.engine.workspace import load_workspace

SCRIPT = """
pipeline = [
    tar_target("a", lambda: {a}, error={mode!r}),
    tar_target("b", lambda a: ("b", a), error="continue"),
    tar_target("c", lambda b: b, error="continue"),
    tar_target("d", lambda: 1),
]
"""


@pytest.mark.parametrize(
    ("mode", "progress"),
    [
        ("stop", {"a": "errored"}),
        ("continue", {"a": "errored", "b": "errored", "c": "errored", "d": "completed"}),
        ("null", {"a": "errored", "b": "completed", "c": "completed", "d": "completed"}),
        ("trim", {"a": "errored", "d": "completed"}),
        ("abridge", {"a": "errored"}),
    ],
)
def test_modes(project, mode, progress):
    made = project.make(SCRIPT.format(a="1 / 0", mode=mode), fails=mode == "stop")

    assert made.progress == progress
    assert made.reporter.summary.errors["a"] == "division by zero"
    if mode == "stop":
        assert isinstance(made.error, TarRunError)
        assert (str(made.error), made.error.target) == ("division by zero", "a")
        assert isinstance(made.error.original, ZeroDivisionError)
        assert made.error.condition_class[:2] == ("ZeroDivisionError", "ArithmeticError")
        assert "_targets.py" in made.error.traceback
        assert "targets_py/engine" not in made.error.traceback


def test_continue_keeps_what_is_up_to_date(project):
    project.make(SCRIPT.format(a="1", mode="continue"))

    made = project.make(SCRIPT.format(a="1 / 0", mode="continue"))

    assert made.progress == {"a": "errored", "b": "skipped", "c": "skipped", "d": "skipped"}


def test_a_stale_value_is_not_given_to_what_runs(project):
    project.make(SCRIPT.format(a="1", mode="continue"))

    made = project.make(SCRIPT.format(a="1 / 0", mode="continue").replace('("b", a)', '("new", a)'))

    assert made.progress["b"] == "errored"
    assert (
        made.reporter.messages["b"] == "could not load dependency a of target b. a failed: division by zero"
    )
    assert project.value("b") == ("b", 1)


def test_an_errored_record_keeps_what_is_stored(project):
    project.make("pipeline = [tar_target('x', lambda: [1, 2], error='continue')]")
    before = project.records["x"]

    project.make("pipeline = [tar_target('x', lambda: 1 / 0, error='continue')]")

    after = project.records["x"]
    kept = (
        "data",
        "path",
        "time",
        "bytes",
        "size",
        "format",
        "repository",
        "iteration",
        "children",
        "file_hash",
    )
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert after.error == "division by zero"
    assert after.command != before.command
    assert project.value("x") == [1, 2]


def test_null_reruns_only_what_failed(project):
    made = project.make(SCRIPT.format(a="1 / 0", mode="null"))

    record = project.records["a"]
    assert (record.data, record.format) == ("error", "null")
    assert project.value("b") == ("b", None)
    assert made.progress["a"] == "errored"

    made = project.make()

    assert made.progress == {"a": "errored", "b": "skipped", "c": "skipped", "d": "skipped"}


@pytest.mark.parametrize(("iteration", "expected"), [("vector", [1, 3]), ("list", [1, None, 3])])
def test_null_branches_in_aggregates(project, iteration, expected):
    script = f"""
        pipeline = [
            tar_target("x", lambda: [1, 2, 3]),
            tar_target("y", lambda x: x // (x != 2), pattern=map("x"), error="null", iteration={iteration!r}),
            tar_target("z", lambda y: y),
            tar_target("w", lambda y: y, pattern=map("y"), iteration="list"),
        ]
    """
    made = project.make(script)

    assert made.progress["y"] == "errored"
    assert project.value("z") == expected
    assert project.values("w") == [1, None, 3]

    assert project.make().ran == [project.records["y"].children[1]]


def test_trim_drops_siblings_that_wait(project):
    made = project.make(
        """
        pipeline = [
            tar_target("x", lambda: [1, 0, 2]),
            tar_target("y", lambda x: 1 // x, pattern=map("x"), error="trim"),
            tar_target("z", lambda y: y),
            tar_target("w", lambda y: y, pattern=map("y")),
            tar_target("d", lambda: 1),
        ]
        """
    )

    assert made.ran_of("y") == 2
    assert made.ran_of("w") == 0
    assert "z" not in made.progress
    assert made.progress["y"] == "errored"
    assert made.progress["d"] == "completed"


def test_an_error_in_one_branch_leaves_its_siblings(project):
    project.make(
        """
        tar_option_set(error="continue")
        pipeline = [
            tar_target("x", lambda: [1, 0, 2]),
            tar_target("y", lambda x: 2 // x, pattern=map("x")),
            tar_target("z", lambda y: y, pattern=map("y")),
            tar_target("s", lambda y: y),
        ]
        """
    )

    records = project.records
    failed = records["y"].children[1]
    assert [records[name].error for name in records["y"].children] == [
        None,
        "integer division or modulo by zero",
        None,
    ]
    assert [records[name].error is None for name in records["z"].children] == [True, False, True]
    assert records["s"].error == (
        f"could not load dependency y of target s. {failed} failed: integer division or modulo by zero"
    )


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("[][0]", "list index out of range"),
        ("(_ for _ in ()).throw(ValueError)", "ValueError"),
        ("(_ for _ in ()).throw(ValueError('e' * 5000))", "e" * 2048),
        ("(_ for _ in ()).throw(SystemExit(3))", "3"),
        ("(_ for _ in ()).throw(GeneratorExit)", "GeneratorExit"),
    ],
)
def test_the_text_of_errors(project, command, text):
    made = project.make(f"pipeline = [tar_target('x', lambda: {command}, error='continue')]")

    assert made.reporter.messages == {"x": text}
    assert project.records["x"].error == text


def test_an_error_without_readable_text(project):
    made = project.make(
        """
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError

        def fail():
            raise Odd

        pipeline = [tar_target("x", fail, error="continue")]
        """
    )

    assert made.reporter.messages == {"x": "Odd"}


def test_a_value_that_cannot_be_stored(project):
    made = project.make(
        """
        import threading
        pipeline = [tar_target("x", lambda: threading.Lock(), error="continue")]
        """
    )

    assert made.reporter.messages["x"].startswith("Error storing output")
    assert list(project.store.objects.iterdir()) == []


def test_canceled_targets(project):
    script = """
        pipeline = [
            tar_target("a", lambda: {}),
            tar_target("b", lambda a: a, error="continue"),
        ]
    """
    made = project.make(script.format("tar_cancel()"))

    assert made.progress == {"a": "canceled", "b": "errored"}
    assert made.reporter.messages["b"] == "could not load dependency a of target b: a was canceled"
    assert "a" not in project.records

    project.make(script.format("1"))
    made = project.make(script.format("tar_cancel()").replace("a: a", "a: (a, 'old')"))

    assert made.progress == {"a": "canceled", "b": "completed"}
    assert project.value("b") == (1, "old")


def test_a_cancellation_cannot_be_swallowed(project):
    made = project.make(
        """
        def swallow():
            try:
                tar_cancel()
            except Exception:
                return "value"

        pipeline = [tar_target("a", swallow), tar_target("b", lambda: tar_cancel(False))]
        """
    )

    assert made.progress == {"a": "canceled", "b": "completed"}


def test_workspaces(project):
    script = """
        tar_option_set(error="continue", workspaces=["fine", "y"]{})
        pipeline = [
            tar_target("x", lambda: [3, 0]),
            tar_target("y", lambda x: 1 // x, pattern=map("x")),
            tar_target("fine", lambda x: x),
            tar_target("bad", lambda x: x.nothing),
            tar_target("gone", lambda: tar_cancel()),
        ]
    """
    made = project.make(script.format(""))

    children = project.records["y"].children
    saved = sorted(path.name for path in project.store.workspaces.iterdir())
    assert saved == sorted(["bad", "fine", *children])
    assert {name for word, name in made.reporter.events if word == "workspace"} == set(saved)
    workspace = load_workspace(project.store, children[1])
    assert workspace.seed == project.records[children[1]].seed
    assert workspace.inputs["x"].position == 1
    assert workspace.traceback.splitlines()[-1] == "ZeroDivisionError: integer division or modulo by zero"
    assert load_workspace(project.store, "fine").traceback == ""

    for path in project.store.workspaces.iterdir():
        path.unlink()
    project.make(script.format(", workspace_on_error=False"))

    assert sorted(path.name for path in project.store.workspaces.iterdir()) == sorted(["fine", *children])


def test_a_workspace_that_cannot_be_saved_is_no_failure(project):
    script = """
        import threading

        def locked():
            lock = threading.Lock()
            return lambda: lock.nothing

        tar_option_set(error="continue")
        pipeline = [tar_target("x", locked()), tar_target("y", lambda: 1)]
    """
    with pytest.warns(TarWarning) as caught:
        made = project.make(script)

    texts = [str(warning.message) for warning in caught]
    assert any("lock cannot be hashed" in text for text in texts)
    assert any(text.startswith("could not save the workspace of x") for text in texts)

    assert made.progress == {"x": "errored", "y": "completed"}


def test_a_value_that_cannot_be_split_leaves_the_stored_one(project):
    script = """
        tar_option_set(error="continue")
        pipeline = [tar_target("x", lambda: {}), tar_target("y", lambda x: x, pattern=map("x"))]
    """
    project.make(script.format([1, 2]))
    project.make(script.format({1, 2}))

    assert project.records["x"].error is not None
    assert project.value("x") == [1, 2]


def test_a_value_that_failed_in_a_former_run_is_stale_too(project):
    script = """
        tar_option_set(error="continue")
        pipeline = [tar_target("x", lambda: {}), tar_target("y", lambda x: (x, {}))]
    """
    project.make(script.format(1, 1))
    project.make(script.format("1 / 0", 1))

    made = project.make(script.format("1 / 0", 2), "y", shortcut=True)

    assert (
        made.reporter.messages["y"] == "could not load dependency x of target y. x failed: division by zero"
    )
