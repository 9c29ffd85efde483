import os
import time

import polars as pl
import pytest

import targets_py
from targets_py import (
    TarValidateError,
    starts_with,
    tar_completed,
    tar_errored,
    tar_exist_progress,
    tar_poll,
    tar_progress,
    tar_progress_branches,
    tar_progress_summary,
    tar_skipped,
)

SCRIPT = """
pipeline = [
    tar_target("x", [1, 2]),
    tar_target("y", lambda x: x, pattern=map("x")),
    tar_target("bad", lambda: 1 / 0, error="continue"),
]
"""
WORDS = ("skipped", "dispatched", "completed", "errored", "canceled")


def test_without_a_store_everything_is_empty(project):
    assert tar_progress().shape == (0, 2)
    assert tar_progress(fields=None).schema["branches"] == pl.Int64
    assert tar_progress_branches().shape == (0, 7)
    summary = tar_progress_summary(fields=None)
    assert summary.to_dicts() == [dict.fromkeys(WORDS, 0) | {"since": "no data", "time": None}]
    assert summary.schema["time"] == pl.String
    for word in WORDS:
        assert getattr(targets_py, f"tar_{word}")(starts_with("x")) == []
        assert getattr(targets_py, f"tar_{word}")("x") == []
    assert not tar_exist_progress()
    assert not project.store.exists()


def test_names_by_word(project):
    project.make(SCRIPT)
    assert tar_exist_progress()
    branches = [name for name in tar_completed() if name.startswith("y_")]
    assert tar_completed() == ["x", *branches, "y"]
    assert tar_completed(["y", "x"]) == ["y", "x"]
    assert tar_errored() == ["bad"]
    with pytest.raises(TarValidateError, match="unknown name 'z'"):
        tar_errored("z")
    project.make()
    assert tar_skipped() == ["x", *branches, "y"]


def test_fields_and_names(project):
    project.make(SCRIPT)
    assert tar_progress().columns == ["name", "progress"]
    assert list(tar_progress(["bad", "x"], fields=["type"]).iter_rows()) == [("bad", "stem"), ("x", "stem")]
    assert tar_progress_branches(fields="completed").to_dicts() == [{"name": "y", "completed": 2}]
    assert tar_progress_summary().columns == [*WORDS, "since"]
    assert tar_progress_summary("errored").to_dicts() == [{"errored": 1}]


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (0, "moments ago"),
        (30, "30 seconds ago"),
        (60, "1 minute ago"),
        (150, "2 minutes ago"),
        (7300, "2 hours ago"),
        (90_000, "1 day ago"),
    ],
)
def test_since(project, age, text):
    project.make(SCRIPT)
    then = time.time() - age - 0.2
    os.utime(project.store.progress_file, (then, then))
    assert tar_progress_summary()["since"].item() == text


def test_poll_waits_for_the_file_and_ends_in_time(project, capsys):
    tar_poll(interval=0.01, timeout=0.05, fields=["skipped", "since"])
    out = capsys.readouterr().out
    assert out.startswith("skipped | since")
    assert "\r0       | no data" in out
    assert out.endswith("\ntimed out after 0.05 seconds.\n")


def test_poll_ends_quietly_on_an_interrupt(project, capsys, monkeypatch):
    def interrupt(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    tar_poll()
    assert capsys.readouterr().out.endswith("\n")
