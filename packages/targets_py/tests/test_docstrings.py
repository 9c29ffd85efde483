"""The examples in docstrings run as they stand, each in a copy of a small project that was made once."""

import doctest
import importlib.util
import pkgutil
import shutil
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

import targets_py
from targets_py.storage.store import Store

SCRIPT = """\
from targets_py import *
factor = 10
pipeline = [
    tar_target("data", [1, 2, 3], description="the numbers"),
    tar_target("fit", lambda data: data * factor, pattern=map("data")),
    tar_target("report", lambda fit: sum(fit)),
    tar_target("bad", lambda data: 1 / 0, error="continue"),
]
"""
FINDER = doctest.DocTestFinder(exclude_empty=True)
COMMON = {"Path": Path, "Store": Store, "threading": threading, "timedelta": timedelta}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules():
    for found in pkgutil.walk_packages(targets_py.__path__, "targets_py."):
        if found.name.endswith("__main__"):
            continue
        if found.name == "targets_py.engine.crew" and importlib.util.find_spec("crew_py") is None:
            continue  # without the extra
        yield importlib.import_module(found.name)


def examples():
    public = {name: getattr(targets_py, name) for name in targets_py.__all__}
    for module in modules():
        names = public | COMMON | vars(module)
        for test in FINDER.find(module, module.__name__, globs=names):
            if test.examples:
                yield test


EXAMPLES = list(examples())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with its store, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("_targets.py").write_text(SCRIPT)
        targets_py.tar_make(callr_function=None, reporter="silent")
    return folder


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=[test.name.removeprefix("targets_py.") for test in EXAMPLES]
)
def test_an_example_shows_what_happens(project, made, example, monkeypatch):
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(made, project.folder, dirs_exist_ok=True)
    search = list(sys.path)
    outcome = doctest.DocTestRunner(optionflags=FLAGS).run(example)
    sys.path[:] = search
    sys.modules.pop("_targets", None)
    assert outcome.failed == 0


def test_every_function_has_an_example():
    with_example = {test.name.rpartition(".")[2] for test in EXAMPLES}
    functions = {getattr(targets_py, name).__name__ for name in targets_py.__all__ if name.startswith("tar_")}
    assert functions - with_example == set()
