"""Runs in this process: order, values, memory, files, warnings, seeds, options, interruption."""

from __future__ import annotations

import bdb
import os
import random
import signal
import subprocess
import sys
import warnings

import pytest

from targets_py import TarRunError, TarValidateError
from targets_py.engine.run import run_pipeline
from targets_py.script import open_script


def test_targets_run_in_the_order_of_priority_then_script(project):
    made = project.make(
        """
        pipeline = [
            tar_target("late", lambda first: 1),
            tar_target("second", lambda: 1),
            tar_target("first", lambda: 1, priority=1),
            tar_target("branches", lambda items: 1, pattern=map("items")),
            tar_target("items", lambda: [1, 2]),
            tar_target("last", lambda: 1),
        ]
        """
    )

    order = [name.partition("_")[0] for name in made.ran]
    assert order == ["first", "late", "second", "items", "branches", "branches", "last"]


def test_commands_of_every_kind(project):
    project.make(
        """
        import math

        def area(radius, /, scale=10, *rest, **more):
            return round(math.pi * radius * scale)

        class Adder:
            def __call__(self, constant):
                return constant["k"] + 1

        pipeline = [
            tar_target("radius", 2),
            tar_target("constant", {"k": 1}),
            tar_target("nothing", None),
            tar_target("area", area),
            tar_target("adder", Adder()),
            tar_target("source", "y = area * 2\\n[y + i for i in range(radius)]"),
            tar_target("statement", "z = radius"),
        ]
        """
    )

    values = {name: project.value(name) for name in project.records if project.records[name].type == "stem"}
    assert values == {
        "radius": 2, "constant": {"k": 1}, "nothing": None, "area": 63, "adder": 2, "source": [126, 127],
        "statement": None,
    }  # fmt: skip
    assert project.make().ran == []


def test_a_decorated_function_is_a_target_and_still_a_function(project):
    project.make(
        """
        @tar_target
        def double(x):
            return x * 2

        @tar_target(pattern=map("double"))
        def plus(double):
            return double + 1

        pipeline = [tar_target("x", lambda: [1, 2]), double, plus, tar_target("other", lambda x: double(x))]
        """
    )

    assert project.value("double") == [1, 2, 1, 2]
    assert project.values("plus") == [2, 3, 2, 3]
    assert project.value("other") == [1, 2, 1, 2]


def test_explicit_deps(project):
    script = """
        k = {}
        pipeline = [
            tar_target("a", lambda: {}),
            tar_target("b", lambda a=0: a, deps=["a", "k"]),
            tar_target("c", lambda: "c", deps=["a"]),
        ]
    """
    made = project.make(script.format(1, 1))
    assert made.ran == ["a", "b", "c"]

    assert project.make(script.format(2, 1)).ran == ["b"]
    assert project.make(script.format(2, 2)).ran == ["a", "b", "c"]
    assert project.value("b") == 2


def test_string_is_hashed_instead_of_the_command(project):
    script = "pipeline = [tar_target('a', lambda: {}, string={!r})]"
    project.make(script.format(1, "v1"))

    assert project.make(script.format(2, "v1")).ran == []
    assert project.make(script.format(2, "v2")).ran == ["a"]


def test_names_prune_to_what_they_need(project):
    script = """
        pipeline = [
            tar_target("a", lambda: 1), tar_target("b", lambda a: a),
            tar_target("c", lambda b: b), tar_target("d", lambda: 1),
        ]
    """
    assert project.make(script, "b").ran == ["a", "b"]
    assert set(project.records) == {"a", "b"}


def test_shortcut_looks_at_the_named_targets_only(project):
    script = """
        pipeline = [
            tar_target("x", lambda: {}),
            tar_target("y", lambda x: x, pattern=map("x")),
            tar_target("z", lambda y: y),
            tar_target("w", lambda y: y, pattern=map("y")),
        ]
    """
    project.script(script.format("[1, 2]"))
    with pytest.raises(TarValidateError, match="cannot bootstrap target y"):
        project.make(None, "z", shortcut=True)
    assert not project.store.exists()

    project.make()
    changed = script.format("[3]").replace("lambda y: y)", "lambda y: (y, 'new'))")
    made = project.make(changed, "z", "w", shortcut=True)

    assert made.ran == ["z"]
    assert project.value("z") == ([1, 2], "new")
    assert made.ran_of("w") == 0
    assert len(made.skipped) == 2


def test_an_empty_pipeline_runs_nothing(project):
    made = project.make("pipeline = []")

    assert made.reporter.events == []
    assert made.reporter.summary.counts.total == 0


def test_unknown_names_are_refused(project):
    project.script("pipeline = [tar_target('data', lambda: 1)]")

    with pytest.raises(TarValidateError, match=r"there is no target 'dat'\. Did you mean \"data\""):
        project.make(None, "dat")
    assert not project.store.exists()


def test_inputs_are_copies(project):
    script = """
        pipeline = [
            tar_target("x", lambda: [[1], [2]], memory={!r}),
            tar_target("spoil", lambda x: x.clear() or x),
            tar_target("spoil_slice", lambda x: x.append(0) or x, pattern=map("x")),
            tar_target("again", lambda x: x),
            tar_target("again_slice", lambda x: x[:], pattern=map("x"), iteration="list"),
            tar_target("whole", lambda again_slice: again_slice.clear(), memory={!r}),
            tar_target("whole_again", lambda again_slice: again_slice),
        ]
    """
    for memory in ("persistent", "transient", "auto"):
        project.make(script.replace("{!r}", repr(memory)).replace("[1]", f"[{len(memory)}]"))

        assert project.value("again") == [[len(memory)], [2]]
        assert project.values("again_slice") == [[len(memory)], [2]]
        assert project.value("whole_again") == [[len(memory)], [2]]


def test_retrieval_none_gives_a_placeholder(project):
    made = project.make(
        """
        pipeline = [
            tar_target("a", lambda: 1),
            tar_target("b", lambda a: "not used", retrieval="none"),
            tar_target("c", lambda a: a + 1, retrieval="none", error="continue"),
        ]
        """
    )

    assert made.progress["b"] == "completed"
    assert made.reporter.messages["c"] == 'the value of a was not loaded: retrieval is "none"'


def test_storage_none_follows_the_file(project):
    project.make(
        """
        import pickle
        from pathlib import Path

        def write():
            Path("_targets/objects/a").write_bytes(pickle.dumps("from the file"))
            return "ignored"

        pipeline = [
            tar_target("a", write, storage="none"),
            tar_target("b", lambda a: a),
            tar_target("c", lambda: 1, storage="none", error="continue"),
        ]
        """
    )

    assert project.value("b") == "from the file"
    assert "no output is stored" in project.records["c"].error
    assert project.make().skipped == ["a", "b"]


def test_files(project):
    script = """
        from pathlib import Path

        def write(n):
            Path("a.txt").write_text("a")
            Path("b.txt").write_text("b")
            return ["a.txt", Path("b.txt")][:n]

        pipeline = [
            tar_target("one", lambda: str(write(1)[0]), format="file"),
            tar_target("list_of_one", lambda: write(1), format="file"),
            tar_target("two", lambda: write(2), format="file"),
            tar_target("none", lambda: write(0), format="file"),
            tar_target("user", lambda two: Path(two[1]).read_text()),
        ]
    """
    project.make(script)

    assert [project.value(name) for name in ("one", "list_of_one", "two", "none")] == [
        "a.txt", ["a.txt"], ["a.txt", "b.txt"], [],
    ]  # fmt: skip
    assert list(project.store.objects.iterdir()) == [project.store.objects / "user"]
    assert project.make().ran == []

    (project.folder / "b.txt").write_text("B, edited")
    assert project.make().ran == ["two"]  # rewritten as it was: what uses it is up to date

    (project.folder / "b.txt").unlink()
    assert project.make().ran == ["two"]


@pytest.mark.parametrize("value", ["None", "5", "'missing.txt'", "['_targets.py', 3]"])
def test_what_is_no_path_fails(project, value):
    made = project.make(f"pipeline = [tar_target('x', lambda: {value}, format='file', error='continue')]")

    assert "path" in made.reporter.messages["x"]


def test_a_directory_is_tracked_with_all_that_is_in_it(project):
    folder = project.folder / "data" / "deep"
    folder.mkdir(parents=True)
    (folder / "f").write_text("1")
    project.make("pipeline = [tar_target('x', lambda: 'data', format='file')]")
    assert project.make().ran == []

    (folder / "f").rename(folder / "g")
    assert project.make().ran == ["x"]


def test_a_changed_working_directory_is_an_error(project):
    made = project.make(
        """
        import os
        pipeline = [
            tar_target("x", lambda: os.chdir("/"), error="continue"),
            tar_target("y", lambda: os.getcwd()),
        ]
        """
    )

    assert made.reporter.messages["x"] == f"changed the working directory from {project.folder} to /"
    assert project.value("y") == str(project.folder)


def test_warnings_are_kept_and_shown(project):
    script = """
        import warnings

        def warn(text, times=1):
            for _ in range(times):
                warnings.warn(text)

        pipeline = [
            tar_target("twice", lambda: warn("same", 2)),
            tar_target("color", lambda: warn("\\x1b[31mred\\x1b[0m")),
            tar_target("many", lambda: warn("w", 60)),
            tar_target("long", lambda: warn("x" * 5000)),
            tar_target("bad", lambda: warn("before") or 1 / 0, error="continue"),
            tar_target("quiet", lambda: 1),
        ]
    """
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        made = project.make(script)

    assert {name: record.warnings for name, record in project.records.items() if record.type == "stem"} == {
        "twice": "same. same",
        "color": "red",
        "many": ". ".join(["w"] * 50),
        "long": "x" * 2048,
        "bad": "before",
        "quiet": None,
    }
    assert len(shown) == 2 + 1 + 60 + 1 + 1
    assert made.reporter.summary.counts.warned == 5


def test_warnings_that_the_user_silenced_stay_silent(project):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        project.make("import warnings\npipeline = [tar_target('x', lambda: warnings.warn('w'))]")

    assert project.records["x"].warnings is None


def test_seeds_decide_what_is_drawn(project):
    script = """
        import random
        tar_option_set(seed={})
        pipeline = [
            tar_target("a", lambda: random.random()),
            tar_target("b", lambda: (random.random(), tar_seed_get())),
            tar_target("x", lambda: [1, 2]),
            tar_target("y", lambda x: random.random(), pattern=map("x")),
        ]
    """
    random.seed(5)
    state = random.getstate()
    project.make(script.format(0))
    first = [project.value("a"), project.value("b"), *project.values("y")]
    assert random.getstate() == state
    assert len({first[0], first[1][0], *first[2:]}) == 4
    assert first[1][1] == project.records["b"].seed

    project.make(script.format(1))
    assert project.value("a") != first[0]
    project.make(script.format(0))
    assert [project.value("a"), project.value("b"), *project.values("y")] == first


def test_packages_and_library(project):
    (project.folder / "lib").mkdir()
    (project.folder / "lib" / "only_here.py").write_text("value = 5")
    made = project.make(
        """
        pipeline = [
            tar_target(
                "x",
                "only_here.value + json.loads('1')",
                packages=["only_here", "json.decoder"],
                library="lib",
            ),
            tar_target("y", lambda: 1, packages=["no_such_module"], error="continue"),
        ]
        """
    )

    assert project.value("x") == 6
    assert made.reporter.messages["y"].startswith("could not import package no_such_module")
    assert not any(path.endswith("lib") and str(project.folder) in path for path in sys.path)


@pytest.mark.parametrize(("option", "times"), [(0, 0), (2, 1), (True, 3)])
def test_garbage_is_collected_before_every_nth_target(project, monkeypatch, option, times):
    calls = []
    monkeypatch.setattr("targets_py.engine.worker.gc.collect", lambda: calls.append(1))

    project.make(
        f"""
        tar_option_set(garbage_collection={option})
        pipeline = [tar_target("a", lambda: 1), tar_target("b", lambda: 2), tar_target("c", lambda: 3)]
        """
    )

    assert len(calls) == times


def test_globals_are_recorded_before_targets(project):
    (project.folder / "helpers.py").write_text("def clean(v):\n    return v\n")
    script = """
        import json
        import helpers
        from helpers import clean

        K = {}

        def double(v):
            return v * K

        class Thing:
            pass

        pipeline = [
            tar_target("x", lambda: json.dumps(double(helpers.clean(1)))),
            tar_target("y", lambda: clean(2)),
        ]
    """
    project.make(script.format(1))
    kinds = {name: record.type for name, record in project.records.items()}

    assert list(kinds)[-2:] == ["x", "y"]
    assert kinds == {
        "K": "object", "double": "function", "Thing": "function", "helpers.clean": "function",
        "clean": "function", "x": "stem", "y": "stem",
    }  # fmt: skip

    lines = project.store.meta_file.read_text().count("\n")
    project.make(script.format(1))
    assert project.store.meta_file.read_text().count("\n") == lines
    before = project.records["K"].data
    project.make(script.format(2))
    assert project.records["K"].data != before


def test_an_unhashable_global_that_nobody_uses_does_not_matter(project):
    made = project.make("import threading\nlock = threading.Lock()\npipeline = [tar_target('x', lambda: 1)]")

    assert made.ran == ["x"]
    assert project.records["lock"].type == "object"


def test_lossy_formats_give_downstream_what_is_stored(project):
    project.make("pipeline = [tar_target('a', lambda: (1, 2), format='json'), tar_target('b', lambda a: a)]")

    assert project.value("b") == [1, 2]


class RecorderOf:
    """A reporter that shows nothing."""

    def __getattr__(self, name):
        return lambda *_: None


def test_each_target_is_on_disk_before_it_is_reported(project):
    from targets_py.storage.metadata import Metadata, read_progress

    seen = {}

    def look(word, name):
        if word == "completed":
            seen[name] = (
                Metadata.load(project.store).records[name].data,
                read_progress(project.store)[name].progress,
            )

    class Looking(RecorderOf):
        def completed(self, event):
            look("completed", event.name)

    project.script("pipeline = [tar_target('a', lambda: 1), tar_target('b', lambda a: a)]")
    with open_script("_targets.py") as pipeline:
        run_pipeline(pipeline, project.store, Looking())

    assert {name: (data is not None, word) for name, (data, word) in seen.items()} == {
        "a": (True, "completed"), "b": (True, "completed"),
    }  # fmt: skip


def test_everything_is_written_at_the_end_even_with_a_long_interval(project):
    made = project.make(
        "pipeline = [tar_target('a', lambda: 1), tar_target('b', lambda a: 1 / 0)]",
        fails=True,
        seconds_meta_append=9999,
    )

    assert made.progress == {"a": "completed", "b": "errored"}
    assert project.records["b"].error == "division by zero"
    assert not project.store.scratch.exists()


@pytest.fixture
def interruptible():
    """A shell starts what it runs in the background with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_keeps_what_was_built(project):
    made = project.make(
        """
        import _thread, signal

        def interrupt():
            signal.raise_signal(signal.SIGINT)
            return "not reached"

        pipeline = [tar_target("a", lambda: 1), tar_target("b", interrupt), tar_target("c", lambda: 2)]
        """,
        fails=True,
    )

    assert isinstance(made.error, KeyboardInterrupt)
    assert made.progress == {"a": "completed", "b": "dispatched"}
    assert made.reporter.summary.interrupted
    assert project.make("pipeline = [tar_target('a', lambda: 1)]").ran == []


def test_the_debugger_stops_before_chosen_targets(project, monkeypatch, capsys):
    script = """
        tar_option_set(debug=["y", "z"])
        pipeline = [
            tar_target("x", lambda: [1, 2]),
            tar_target("y", lambda x: x * 10, pattern=map("x"), cue=tar_cue("never")),
            tar_target("z", "len(y)"),
        ]
    """
    project.make(script)
    seen = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: seen.append(sys._getframe(1).f_globals))
    assert project.make().ran == []  # nobody sits at a terminal

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    made = project.make()

    assert [len(made.ran), made.ran_of("y")] == [3, 2]
    assert [scope.get("x") for scope in seen[:2]] == [1, 2]
    assert seen[2]["y"] == [10, 20]
    shown = capsys.readouterr().err
    assert "lambda x: x * 10" in shown
    assert "Stopped before the command of z." in shown

    def quit_debugger():
        raise bdb.BdbQuit

    monkeypatch.setattr(sys, "breakpointhook", quit_debugger)
    assert isinstance(project.make(fails=True).error, KeyboardInterrupt)


RUN_IN_CHILD = """
import sys
from targets_py.engine.run import run_pipeline
from targets_py.script import open_script
from targets_py.storage.store import Store

class Silent:
    def __getattr__(self, name):
        return lambda *_: None

with open_script("_targets.py") as pipeline:
    run_pipeline(pipeline, Store("_targets"), Silent())
"""


def start_child(project):
    fifo = project.folder / "fifo"
    if not fifo.exists():
        os.mkfifo(fifo)
    return subprocess.Popen([sys.executable, "-c", RUN_IN_CHILD], cwd=project.folder), fifo


def test_after_a_kill_only_what_was_unfinished_runs_again(project):
    script = """
        def stop_at(n, here):
            if n == here:
                with open("fifo", "w") as file:
                    file.write("here")
                import time
                time.sleep(600)
            return n

        pipeline = [
            tar_target("x", lambda: [0, 1, 2, 3]),
            tar_target("y", lambda x: stop_at(x, {}), pattern=map("x")),
            tar_target("z", lambda y: sum(y)),
        ]
    """
    project.script(script.format(2))
    child, fifo = start_child(project)
    with fifo.open() as file:
        assert file.read() == "here"
    child.send_signal(signal.SIGKILL)
    child.wait()

    done = [name for name, record in project.records.items() if record.type == "branch"]
    assert len(done) == 2
    assert project.make(script.format(2).replace("n == here", "False"), fails=False).ran_of("y") == 4

    # The same, with code that stays as it was.
    project.make("pipeline = []")
    script = script.replace("n == here", "n == here and __import__('os').environ.get('STOP')")
    project.script(script.format(2).replace("return n", "return n + 1"))
    os.environ["STOP"] = "1"
    try:
        child, fifo = start_child(project)
        with fifo.open() as file:
            file.read()
        child.send_signal(signal.SIGKILL)
        child.wait()
    finally:
        del os.environ["STOP"]
    made = project.make()
    assert made.ran_of("y") == 2
    assert len(made.skipped) == 3
    assert project.value("z") == 10


def test_a_second_run_on_the_same_store_is_refused(project):
    project.script(
        """
        def block():
            with open("fifo", "w") as file:
                file.write("here")
            import time
            time.sleep(600)

        pipeline = [tar_target("x", block)]
        """
    )
    child, fifo = start_child(project)
    with fifo.open() as file:
        file.read()
    before = project.store.meta_file.read_bytes()

    with pytest.raises(TarRunError, match=str(child.pid)):
        project.make()

    assert project.store.meta_file.read_bytes() == before
    child.kill()
    child.wait()
    assert project.make("pipeline = [tar_target('x', lambda: 2)]").ran == ["x"]


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_record_counts_as_never_built(project, cut):
    project.make("pipeline = [tar_target('a', lambda: 1), tar_target('b', lambda a: a)]")
    content = project.store.meta_file.read_bytes()
    project.store.meta_file.write_bytes(content[:-cut])

    assert project.make().ran == ["b"]
    assert project.make().ran == []
