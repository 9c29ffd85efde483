import os
import subprocess
import sys
from pathlib import Path

import pytest

from targets_py import (
    TarRunError,
    TarValidateError,
    starts_with,
    tar_delete,
    tar_destroy,
    tar_invalidate,
    tar_meta,
    tar_objects,
    tar_outdated,
    tar_prune,
    tar_prune_list,
    tar_unblock_process,
    tar_unscript,
)
from targets_py.storage.lock import StoreLock

CHAIN = """
pipeline = [
    tar_target("x", [1, 2]),
    tar_target("y", lambda x: x, pattern=map("x")),
    tar_target("z", lambda y: y, pattern=map("y")),
]
"""
FILES = """
from pathlib import Path
def write(name):
    Path(name).write_text(name)
    return name
pipeline = [tar_target("f", lambda: write("f.txt"), format="file"), tar_target("x", 1)]
"""


def kinds():
    return [name.partition("_")[0] for name in tar_meta()["name"]]


def prune(**options):
    tar_prune(callr_function=None, verbose=False, **options)


def test_delete_takes_values_and_leaves_what_is_recorded(project, capsys):
    project.make(CHAIN)
    before = project.store.meta_file.read_bytes()
    tar_delete(starts_with("y"))
    assert capsys.readouterr().err == "deleted 2 objects\n"
    assert [name.partition("_")[0] for name in tar_objects()] == ["x", "z", "z"]
    assert project.store.meta_file.read_bytes() == before
    assert tar_outdated(callr_function=None) == ["y", "z"]


def test_invalidate_takes_what_is_recorded_and_leaves_values(project):
    project.make(CHAIN + "\ndef f(): return 1\n")
    progress = project.store.progress_file.read_bytes()
    objects = tar_objects()
    tar_invalidate(["y", "f"])
    assert sorted(kinds()) == ["x", "z", "z", "z"]
    assert tar_objects() == objects
    assert project.store.progress_file.read_bytes() == progress
    made = project.make()
    assert made.ran_of("y") == 2
    assert made.ran_of("z") == 0


@pytest.mark.parametrize("function", [tar_invalidate, tar_delete])
def test_names_must_exist_and_so_must_the_store(project, function):
    with pytest.raises(TarValidateError, match="data store _targets not found"):
        function("x")
    project.make(CHAIN)
    with pytest.raises(TarValidateError, match="unknown name 'nope'"):
        function("nope")


def test_the_files_of_users_are_never_touched(project):
    project.make(FILES)
    tar_delete(["f", "x"], verbose=False)
    assert Path("f.txt").read_text() == "f.txt"
    project.script('pipeline = [tar_target("x", 1)]')
    assert tar_prune_list(callr_function=None) == []
    prune()
    assert Path("f.txt").exists()
    assert kinds() == ["x"]


def test_prune_drops_targets_that_are_gone(project, capsys):
    project.make("""
    def f(): return 1
    def g(): return 2
    pipeline = [
        tar_target("y1", lambda: f()), tar_target("y2", lambda: g()), tar_target("z", lambda y1, y2: 1)
    ]
    """)
    project.script("""
    def f(): return 1
    pipeline = [tar_target("y1", lambda: f())]
    """)
    assert tar_prune_list(callr_function=None) == ["y2", "z"]
    assert sorted(kinds()) == ["f", "g", "y1", "y2", "z"]
    tar_prune()
    assert "deleted 2 objects" in capsys.readouterr().err
    assert sorted(kinds()) == ["f", "y1"]
    assert tar_objects() == ["y1"]
    assert not project.store.scratch.exists()
    assert project.make().skipped == ["y1"]


def test_prune_keeps_branches_and_drops_dead_ones(project):
    project.make(CHAIN)
    project.script("\n".join(line for line in CHAIN.splitlines() if '"z"' not in line))
    prune()
    assert sorted(kinds()) == ["x", "y", "y", "y"]
    assert len(tar_objects()) == 3
    project.make(CHAIN.replace("[1, 2]", "[1, 5]"))
    dead = [name for name in tar_prune_list(callr_function=None) if name.startswith("y_")]
    assert len(dead) == 1
    prune()
    assert set(tar_objects()).isdisjoint(dead)


def test_prune_with_a_wrong_script_or_without_a_store(project):
    project.script("pipeline = []")
    prune()
    assert tar_prune_list(callr_function=None) == []
    assert not project.store.exists()
    project.make(CHAIN)
    project.script("pipeline = 1/0")
    with pytest.raises(TarValidateError, match=r"Error in tar_prune\(\)"):
        prune()
    assert len(tar_objects()) == 5


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        ("meta", ["meta/meta"]),
        ("process", ["meta/process"]),
        ("progress", ["meta/progress"]),
        ("objects", ["objects"]),
        ("workspaces", ["workspaces"]),
        ("user", ["user"]),
        ("scratch", ["scratch"]),
        ("cloud", []),
    ],
)
def test_destroy_removes_one_part(project, part, gone):
    project.make(CHAIN + 'pipeline.append(tar_target("bad", lambda: 1 / 0, error="continue"))')
    project.store.scratch.mkdir()
    paths = ["meta/meta", "meta/process", "meta/progress", "objects", "workspaces", "user", "scratch"]
    tar_destroy(part)
    assert [path for path in paths if not (project.store.path / path).exists()] == gone


@pytest.mark.parametrize("part", ["all", "local"])
def test_destroy_removes_the_store(project, part):
    project.make(CHAIN)
    tar_destroy(part)
    assert not project.store.exists()
    project.make(CHAIN)
    assert len(tar_objects()) == 5


def test_destroying_nothing_says_nothing(project, capsys):
    tar_destroy()
    assert tuple(capsys.readouterr()) == ("", "")
    with pytest.raises(TarValidateError, match="cannot destroy 'everything': choose one of all, cloud"):
        tar_destroy("everything")


@pytest.mark.parametrize(
    ("ask", "variable", "answer", "kept"),
    [
        (True, None, "no", True),
        (True, None, "", True),
        (True, None, "yes", False),
        (None, "true", "no", True),
        (None, "false", "no", False),
        (None, None, "no", False),  # no terminal
        (False, "true", "no", False),
    ],
)
def test_a_question_comes_first_where_it_is_wanted(project, monkeypatch, ask, variable, answer, kept):
    project.make(CHAIN)
    if variable is not None:
        monkeypatch.setenv("TAR_ASK", variable)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    tar_destroy(ask=ask)
    assert project.store.exists() is kept


def test_nobody_there_to_answer_means_no(project, monkeypatch):
    project.make(CHAIN)
    monkeypatch.setattr(sys, "stdin", Path(os.devnull).open())  # noqa: SIM115 - closed below
    tar_destroy(ask=True)
    sys.stdin.close()
    assert project.store.exists()


@pytest.mark.parametrize("size", [0, 1001, 2.5, True])
def test_batch_size(project, size):
    project.make(CHAIN)
    for function in (lambda: tar_delete("x", batch_size=size), lambda: tar_destroy(batch_size=size)):
        with pytest.raises(TarValidateError, match="batch_size must be a whole number from 1 to 1000"):
            function()


@pytest.mark.parametrize(
    "function",
    [
        lambda: tar_invalidate("x"),
        lambda: tar_delete("x"),
        tar_destroy,
        prune,
        tar_unblock_process,
    ],
)
def test_nothing_is_changed_while_a_pipeline_runs(project, function):
    project.make(CHAIN)
    before = project.store.meta_file.read_bytes()
    with StoreLock(project.store), pytest.raises(TarRunError, match=f"process {os.getpid()}"):
        function()
    assert project.store.meta_file.read_bytes() == before
    assert len(tar_objects()) == 5
    assert project.store.process_file.exists()


def test_unblock_removes_what_a_dead_process_left(project):
    tar_unblock_process()
    assert not project.store.exists()
    project.make(CHAIN)
    run = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    import json
    import socket

    owner = {"pid": int(run.stdout), "host": socket.gethostname(), "created": None}
    project.store.owner_file.write_text(json.dumps(owner))
    tar_unblock_process()
    assert not project.store.process_file.exists()
    assert not project.store.owner_file.exists()


def test_unscript(project):
    for folder in ("_targets_py/globals", "sub/other_py"):
        Path(folder).mkdir(parents=True)
    tar_unscript()
    assert not Path("_targets_py").exists()
    tar_unscript("sub/other.py")
    assert not Path("sub/other_py").exists()
