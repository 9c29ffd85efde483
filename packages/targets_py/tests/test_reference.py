"""The pipeline of the specification's tables, run and looked at in every way that they show."""

import re
from pathlib import Path

import polars as pl
import pytest

from targets_py import (
    TarRunWarning,
    tar_canceled,
    tar_errored,
    tar_make,
    tar_meta,
    tar_objects,
    tar_outdated,
    tar_progress,
    tar_progress_branches,
    tar_progress_summary,
    tar_read,
    tar_sitrep,
    tar_traceback,
    tar_workspaces,
)

SCRIPT = """
import warnings
from pathlib import Path

tar_option_set(error="continue")
k = 2

def double(v):
    return v * k

def fail_on(v):
    if v == 4:
        raise ValueError("four is bad")
    warnings.warn(f"careful {v}", stacklevel=1)
    return v

def write_file():
    Path("f.txt").write_text("hello\\n")
    return "f.txt"

pipeline = [
    tar_target("x", [1, 2, 3], description="the numbers"),
    tar_target("f", write_file, format="file"),
    tar_target("y", lambda x: double(x), pattern=map("x")),
    tar_target("z", lambda y: fail_on(y), pattern=map("y")),
    tar_target("s", lambda y: sum(y)),
    tar_target("c1", lambda: tar_cancel()),
    tar_target("r", lambda s, f: (s, f)),
    tar_target("zz", lambda z: z),
]
"""


@pytest.fixture
def made(project, capsys):
    project.script(SCRIPT)
    with pytest.warns(TarRunWarning) as caught:
        tar_make(reporter="terse")
    project.err = capsys.readouterr().err
    project.warned = [str(warning.message) for warning in caught]
    return project


def without_numbers(name):
    return re.sub(r"_[0-9a-f]{16}", "_#", name)


def lines(text):
    """Report lines without times, sizes, hashes, and what Python shows of warnings."""
    shown = [re.sub(r"\[[^\]]*(ms|s), [^\]]*B\]", "[M]", line) for line in text.splitlines()]
    shown = [without_numbers(line) for line in shown if "warn" not in line.lower()]
    return [re.sub(r"\[[0-9.ms]+, ", "[T, ", line) for line in shown]


def test_first_make(made):
    assert lines(made.err) == [
        "+ x dispatched",
        "✔ x completed [M]",
        "+ f dispatched",
        "✔ f completed [M]",
        "+ y declared [3 branches]",
        "✔ y completed [M]",
        "+ z declared [3 branches]",
        "✖ z_# errored",
        "Error: four is bad",
        "+ s dispatched",
        "✔ s completed [M]",
        "+ c1 dispatched",
        "+ r dispatched",
        "✔ r completed [M]",
        "+ zz dispatched",
        "✖ zz errored",
        next(
            line
            for line in lines(made.err)
            if line.startswith("Error: could not load dependency z of target zz.")
        ),
        "✖ errored pipeline [T, 9 completed, 0 skipped]",
    ]
    assert [text.partition(":")[0] for text in made.warned] == [
        "2 targets produced errors",
        "2 targets produced warnings",
    ]
    assert 'tar_meta(fields="error", complete_only=True)' in made.warned[0]


def test_progress(made):
    frame = tar_progress(fields=None)
    rows = [(without_numbers(row[0]), *row[1:]) for row in frame.iter_rows()]
    branch = ("y_#", "branch", "y", 0, "completed")
    assert rows == [
        ("x", "stem", "x", 0, "completed"),
        ("f", "stem", "f", 0, "completed"),
        branch,
        branch,
        branch,
        ("y", "pattern", "y", 3, "completed"),
        ("z_#", "branch", "z", 0, "completed"),
        ("z_#", "branch", "z", 0, "errored"),
        ("z", "pattern", "z", 3, "errored"),
        ("z_#", "branch", "z", 0, "completed"),
        ("s", "stem", "s", 0, "completed"),
        ("c1", "stem", "c1", 0, "canceled"),
        ("r", "stem", "r", 0, "completed"),
        ("zz", "stem", "zz", 0, "errored"),
    ]
    assert list(tar_progress_branches().iter_rows()) == [("y", 3, 0, 0, 3, 0, 0), ("z", 3, 0, 0, 2, 1, 0)]
    summary = tar_progress_summary(fields=None).row(0, named=True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d\d", summary.pop("time"))
    assert summary == {
        "skipped": 0, "dispatched": 0, "completed": 9, "errored": 2, "canceled": 1, "since": "moments ago",
    }  # fmt: skip
    assert [without_numbers(name) for name in tar_errored()] == ["z_#", "z", "zz"]
    assert tar_canceled() == ["c1"]


def test_what_is_outdated_afterwards(made):
    assert tar_outdated() == ["z", "c1", "zz"]
    assert [without_numbers(name) for name in tar_outdated(branches=True)] == ["z", "z_#", "c1", "zz"]
    frame = tar_sitrep()
    assert frame.height == 12
    wrong = frame.filter(pl.col("meta"))
    assert [without_numbers(name) for name in wrong["name"]] == ["z_#", "c1", "zz"]
    assert wrong["never"].to_list() == [False] * 3
    assert wrong.select("command", "depend", "format", "seed").null_count().row(0) == (3, 3, 3, 3)
    assert frame.filter(~pl.col("meta")).select(pl.any_horizontal(pl.exclude("name")).any()).item() is False


def test_second_make(made, capsys):
    with pytest.warns(TarRunWarning, match="2 targets produced errors"):
        tar_make(reporter="terse")
    shown = lines(capsys.readouterr().err)
    assert shown[-1] == "✖ errored pipeline [T, 0 completed, 9 skipped]"
    assert "+ c1 dispatched" in shown
    words = dict(tar_progress().iter_rows())
    assert {name for name, word in words.items() if word == "errored"} == set(tar_errored())
    assert [words[name] for name in ("x", "f", "y", "s", "r", "c1")] == ["skipped"] * 5 + ["canceled"]


def test_metadata(made):
    frame = tar_meta()
    rows = {row["name"]: row for row in frame.to_dicts()}
    kinds = frame["type"].to_list()
    globals_ = [kind for kind in kinds if kind in {"function", "object"}]
    assert kinds[: len(globals_)] == globals_  # functions and other globals come first
    assert {"double", "fail_on", "write_file", "k"} <= set(frame["name"][: len(globals_)])
    assert rows["k"]["type"] == "object"
    assert {key for key, value in rows["double"].items() if value is not None} == {"name", "type", "data"}
    assert "c1" not in rows
    assert rows["x"]["type"] == "stem"
    assert len(rows["x"]["children"]) == 3
    assert (rows["f"]["path"], rows["f"]["bytes"], rows["f"]["size"]) == (["f.txt"], 6, "s6b")
    children = [rows[name] for name in rows["z"]["children"]]
    assert [child["warnings"] for child in children] == ["careful 2", None, "careful 6"]
    assert (children[1]["data"], children[1]["bytes"], children[1]["error"]) == (None, 0, "four is bad")
    assert rows["z"]["time"] is None
    assert rows["z"]["bytes"] == sum(child["bytes"] for child in children)
    assert rows["z"]["seconds"] == pytest.approx(sum(child["seconds"] for child in children), abs=0.01)
    complete = tar_meta(fields="error", complete_only=True)
    assert complete["name"].to_list() == [rows["z"]["children"][1], "zz"]
    assert complete.columns == ["name", "error"]


def test_values(made):
    assert [without_numbers(name) for name in tar_objects()] == ["r", "s", "x", *["y_#"] * 3, *["z_#"] * 2]
    assert tar_read("y") == [2, 4, 6]
    assert tar_read("r") == (12, "f.txt")
    assert tar_read("f") == "f.txt"
    assert tar_read("z", branches=[0, 2]) == [2, 6]


def test_the_failure_left_a_workspace(made):
    failed = tar_errored()[0]
    assert tar_workspaces() == sorted([failed, "zz"])
    trace = tar_traceback(failed)
    assert trace[-1] == "ValueError: four is bad"
    assert str(Path("_targets.py").resolve()) in "\n".join(trace)
    assert "targets_py/engine" not in "\n".join(trace)
