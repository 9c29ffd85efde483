"""What is outdated, found out without running."""

from __future__ import annotations

import pytest

from targets_py.engine.decide import Rule

REFERENCE = """
import warnings
from pathlib import Path

tar_option_set(error="continue")
k = 2

def double(v):
    return v * k

def fail_on(v):
    if v == 4:
        raise ValueError("four is bad")
    return v

def write():
    Path("f.txt").write_text("hello!")
    return "f.txt"

pipeline = [
    tar_target("x", lambda: [1, 2, 3]),
    tar_target("f", write, format="file"),
    tar_target("y", lambda x: double(x), pattern=map("x")),
    tar_target("z", lambda y: fail_on(y), pattern=map("y")),
    tar_target("s", lambda y: sum(y)),
    tar_target("c1", lambda: tar_cancel()),
    tar_target("r", lambda s, f: (s, f)),
    tar_target("zz", lambda z: z),
]
"""


def test_without_a_store_everything_is_outdated(project):
    assert project.outdated(REFERENCE) == ["x", "f", "y", "z", "s", "c1", "r", "zz"]
    assert not project.store.exists()


def test_the_reference_pipeline(project):
    made = project.make(REFERENCE)
    failed = project.records["z"].children[1]
    before = project.store.meta_file.read_bytes(), project.store.progress_file.read_bytes()

    inspection = project.inspect()

    outdated = [name for name, finding in inspection.findings.items() if finding.outdated]
    assert outdated == ["z", failed, "c1", "zz"]
    assert list(inspection.findings)[:3] == ["x", "f", "y"]
    assert inspection.findings[failed].rule is Rule.ERROR
    assert inspection.findings["c1"].rule is Rule.RECORD
    assert inspection.findings["zz"].cues["meta"] is True
    assert inspection.findings["x"].cues == dict.fromkeys(inspection.findings["x"].cues, False)
    assert inspection.findings["z"].cues is None
    assert not any(inspection.globals.values())
    assert (project.store.meta_file.read_bytes(), project.store.progress_file.read_bytes()) == before
    assert made.reporter.summary.counts.completed == 9


def test_a_changed_function_reaches_everything_below(project):
    project.make(REFERENCE)

    inspection = project.inspect(REFERENCE.replace("k = 2", "k = 3"))

    outdated = {name for name, finding in inspection.findings.items() if finding.outdated}
    assert outdated == {name for name in inspection.findings if name[0] in "yzscr"}
    assert {name for name, changed in inspection.globals.items() if changed} == {"k", "double"}
    branch = inspection.findings["y"].name
    child = next(name for name in inspection.findings if name.startswith(f"{branch}_"))
    assert inspection.findings[child].rule is Rule.DEPEND
    assert "double" in inspection.findings[child].depends


def test_an_outdated_upstream_shows_the_recorded_branches(project):
    script = "pipeline = [tar_target('x', lambda: {}), tar_target('y', lambda x: x, pattern=map('x'))]"
    project.make(script.format([1, 2]))
    children = project.records["y"].children

    assert project.outdated(script.format([3])) == ["x", "y", *children]


def test_a_changed_pattern_expression_reaches_aggregates(project):
    script = """
        pipeline = [
            tar_target("x", lambda: [1, 2]),
            tar_target("y", lambda x: x, pattern={}),
            tar_target("z", lambda y: y),
        ]
    """
    project.make(script.format("map('x')"))

    assert project.outdated(script.format("head('x')")) == ["z"]


@pytest.mark.parametrize("iteration", ["first", "second"])
def test_always_and_never(project, iteration):
    script = """
        k = {}
        pipeline = [
            tar_target("a", lambda: 1, cue=tar_cue("always")),
            tar_target("b", lambda a: k, cue=tar_cue("never")),
            tar_target("c", lambda a: 1),
        ]
    """
    assert project.outdated(script.format(1)) == ["a", "b", "c"]
    project.make()

    assert project.outdated(script.format(2)) == ["a", "c"]


def test_names_and_shortcut(project):
    script = """
        pipeline = [
            tar_target("w", lambda: {}), tar_target("x", lambda w: w),
            tar_target("y", lambda: {}), tar_target("z", lambda x, y: (x, y, {})),
        ]
    """
    project.make(script.format(1, 1, 1))
    changed = script.format(2, 2, 2)

    assert sorted(project.outdated(changed)) == ["w", "x", "y", "z"]
    assert project.outdated(changed, "x") == ["w", "x"]
    assert project.outdated(changed, "z", shortcut=True) == ["z"]
    assert project.outdated(changed, "x", shortcut=True) == []


def test_an_empty_upstream_leaves_the_pattern_outdated(project):
    project.make(
        "pipeline = [tar_target('x', lambda: []), tar_target('y', lambda x: x, pattern=map('x'))]", fails=True
    )

    assert project.outdated() == ["y"]


def test_what_cannot_be_checked_warns_and_counts_as_outdated(project, monkeypatch):
    project.make("pipeline = [tar_target('x', lambda: 1)]")

    def broken(self, record, trust=None):
        raise OSError("no such bucket")

    monkeypatch.setattr(type(project.store), "check", broken)
    with pytest.warns(UserWarning, match="could not check target x. no such bucket"):
        assert project.outdated() == ["x"]
