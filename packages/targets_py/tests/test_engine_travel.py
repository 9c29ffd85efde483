"""Functions and modules on their way to workers."""

from __future__ import annotations

import sys

import pytest

from targets_py.engine.travel import MemoryFinder, dumps, loads, make_bundle
from targets_py.project import Source
from targets_py.script import open_script

SCRIPT = """
import spaces.tools
from spaces.tools import make_adder

k = 10

def named(v):
    return v + k

@tar_target
def decorated(v):
    return v * k

def countdown():
    def count(n, step=1, *, log=()):
        return [n, *log] if n <= 0 else [n, *count(n - step, step=step)]
    return count

class Box:
    def __init__(self, content):
        self.content = content

anonymous = lambda v: named(v) * 2
recursive = countdown()
adder = make_adder(3)
boxed = Box(5)
function = decorated.command.value
pipeline = []
"""


@pytest.fixture
def pipeline(project):
    (project.folder / "spaces").mkdir()
    (project.folder / "spaces" / "tools.py").write_text(
        "base = 100\n\n\ndef make_adder(n):\n    return lambda v: v + n + base\n"
    )
    project.script(SCRIPT)
    with open_script("_targets.py") as pipeline:
        yield pipeline


def test_named_functions_and_classes_travel_by_name(pipeline):
    names = pipeline.namespace

    assert loads(dumps(names["named"], pipeline.modules)) is names["named"]
    assert loads(dumps(names["Box"], pipeline.modules)) is names["Box"]
    assert type(loads(dumps(names["boxed"], pipeline.modules))) is names["Box"]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [("anonymous", (1,), 22), ("recursive", (2,), [2, 1, 0]), ("adder", (1,), 104), ("function", (2,), 20)],
)
def test_other_functions_travel_as_code_of_their_module(pipeline, name, arguments, expected):
    original = pipeline.namespace[name]

    arrived = loads(dumps(original, pipeline.modules))

    assert arrived is not original
    assert arrived(*arguments) == expected
    assert arrived.__globals__ is original.__globals__
    assert (arrived.__qualname__, arrived.__module__) == (original.__qualname__, original.__module__)


def test_a_bundle_holds_the_project_and_the_folders_that_are_packages(pipeline, project):
    bundle = make_bundle(pipeline, "store", None)

    assert sorted(bundle.modules) == ["spaces", "spaces.tools"]
    assert bundle.modules["spaces"] == Source(
        str(project.folder / "spaces" / "__init__.py"), "", package=True
    )
    assert list(bundle.sources) == [str(project.folder / "_targets.py")]
    assert bundle.key != make_bundle(pipeline, "other store", None).key


def test_what_cannot_travel_is_none_in_the_bundle(project):
    import threading

    project.script("pipeline = []")
    with open_script("_targets.py", {"lock": threading.Lock(), "k": 1}) as pipeline:
        assert make_bundle(pipeline, "store", None).given == {"lock": None, "k": 1}


def test_modules_are_imported_from_memory(project):
    modules = {
        "in_memory": Source("/nowhere/in_memory/__init__.py", "", package=True),
        "in_memory.deep": Source(
            "/nowhere/in_memory/deep.py", "def f():\n    return __file__\n", package=False
        ),
    }
    finder = MemoryFinder(modules)
    sys.meta_path.insert(0, finder)
    try:
        import in_memory.deep

        assert in_memory.deep.f() == "/nowhere/in_memory/deep.py"
        assert finder.get_source("in_memory.deep") == modules["in_memory.deep"].text
        assert finder.get_source("other") is None
        finder.forget()
        assert "in_memory.deep" not in sys.modules
    finally:
        sys.meta_path.remove(finder)
        finder.forget()
