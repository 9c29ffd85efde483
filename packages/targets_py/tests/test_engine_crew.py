"""Runs on the workers of a crew controller."""

from __future__ import annotations

import os
import signal
import textwrap
import warnings

import pytest

from targets_py import TarRunError, TarValidateError

crew_py = pytest.importorskip("crew_py")

LOCAL = """
import crew_py
tar_option_set(controller=crew_py.crew_controller_local(name="pool", workers=2))
"""
HELPERS = """
from pathlib import Path

def times(v, k):
    return v * k

def write(path):
    Path(path).write_text("hello")
    return path

def read(path):
    return Path(path).read_text()
"""


def test_values_and_hashes_are_those_of_a_run_in_this_process(project):
    script = """
        import os
        import helpers

        k = 3

        class Thing:
            def __init__(self, v):
                self.v = v

        def times(v):
            return helpers.times(v, k)

        def make_target(n):
            return tar_target(f"closed{n}", lambda x: (n, sum(x), Thing(n)))

        pipeline = [
            tar_target("x", lambda: [1, 2, 3]),
            tar_target("y", lambda x: times(x), pattern=map("x")),
            tar_target("whole", lambda y: sum(y)),
            make_target(4),
            tar_target("same_class", lambda closed4: isinstance(closed4[2], Thing)),
            tar_target("via_main", lambda whole: [whole], storage="main", retrieval="main"),
            tar_target("source", "times(via_main[0])"),
            tar_target("file", lambda: helpers.write("f.txt"), format="file"),
            tar_target("read", lambda file: helpers.read(file)),
            tar_target("random", lambda: __import__("random").random()),
            tar_target("frame", lambda: {"a": [1]}, format="json"),
        ]
    """
    (project.folder / "helpers.py").write_text(HELPERS)
    project.make(LOCAL + textwrap.dedent(script))
    on_crew = hashes(project)
    assert project.value("same_class") is True
    assert project.value("source") == 54

    made = project.make(None, use_crew=False)

    assert made.ran == []
    project.store.meta_file.unlink()
    project.make(None, use_crew=False)
    assert hashes(project) == on_crew


def hashes(project):
    return {
        # The stored copy of a class of the script is no canonical form of it.
        name: (record.data, record.children, None if name == "closed4" else record.file_hash)
        for name, record in project.records.items()
    }


def test_main_targets_run_here_and_others_do_not(project):
    project.make(
        LOCAL
        + textwrap.dedent(
            """
            import os
            pipeline = [
                tar_target("here", lambda: os.getpid(), deployment="main"),
                tar_target("there", lambda here: os.getpid()),
            ]
            """
        )
    )

    assert project.value("here") == os.getpid() != project.value("there")
    header, row = project.store.crew_file.read_text().splitlines()
    assert header == "controller|seconds|targets"
    assert row.split("|")[0::2] == ["pool", "1"]


def test_the_controller_is_not_started_when_nothing_runs(project):
    script = "tar_option_set(controller=pool)\npipeline = [tar_target('x', lambda: 1)]"
    pool = crew_py.crew_controller_local(workers=1)
    project.make(script, envir={"pool": pool})

    class Refusing:
        """A controller that must not be used."""

        name = "refusing"

        def validate(self):
            pass

        def terminate(self):
            pass

        def push(self):
            raise AssertionError

    assert project.make(None, envir={"pool": Refusing()}).skipped == ["x"]


def test_a_controller_that_was_handed_in_can_stay(project):
    with crew_py.crew_controller_local(workers=1) as pool:
        script = "tar_option_set(controller=pool)\npipeline = [tar_target('x', lambda: {})]"
        project.make(script.format(1), envir={"pool": pool}, terminate_controller=False)
        assert pool.started()
        assert project.make(script.format(2), envir={"pool": pool}, terminate_controller=False).ran == ["x"]
        assert project.value("x") == 2  # the worker saw the new script
        project.make(script.format(3), envir={"pool": pool})
        assert not pool.started()


def test_errors_and_warnings_of_workers(project):
    script = """
        import warnings

        class Special(Exception):
            pass

        class OneWay(Exception):
            def __init__(self, a, b):
                super().__init__(f"{a} and {b}")

        def raise_one_way():
            raise OneWay(1, 2)

        def bad(v):
            warnings.warn("careful")
            if v == 2:
                raise Special("two is bad")
            return v

        tar_option_set(error="continue")
        pipeline = [
            tar_target("x", lambda: [1, 2]),
            tar_target("y", lambda x: bad(x), pattern=map("x")),
            tar_target("gone", lambda: tar_cancel()),
            tar_target("unstorable", lambda: (v for v in "ab")),
            tar_target("one_way", lambda: raise_one_way()),
        ]
    """
    made = project.make(LOCAL + textwrap.dedent(script))

    good, failed = project.records["y"].children
    assert made.progress[good] == "completed"
    assert made.progress["gone"] == "canceled"
    assert project.records[failed].error == "two is bad"
    assert project.records[good].warnings == "careful"
    assert made.reporter.messages[good] == "careful"
    assert project.records["unstorable"].error.startswith("Error storing output")
    assert project.records["one_way"].error == "1 and 2"


def test_stop_records_what_came_back_and_ends_the_workers(project):
    script = """
        import os

        def fail(x):
            raise ValueError("bad 1")

        def slow(x):
            open("fifo", "w").close()
            import time
            time.sleep(600)

        pipeline = [
            tar_target("x", lambda: 1),
            tar_target("slow", slow),
            tar_target("bad", lambda x, wait=None: open("fifo").close() or fail(x)),
            tar_target("never", lambda bad: 1),
        ]
    """
    os.mkfifo(project.folder / "fifo")
    made = project.make(LOCAL + textwrap.dedent(script), fails=True)

    assert isinstance(made.error, TarRunError)
    assert (str(made.error), made.error.target) == ("bad 1", "bad")
    assert "ValueError" in made.error.condition_class
    assert made.progress == {"x": "completed", "slow": "dispatched", "bad": "errored"}


def test_a_crash_is_retried_then_errors(project):
    script = """
        import os, signal, crew_py
        from pathlib import Path

        tar_option_set(
            error="continue", controller=crew_py.crew_controller_local(name="pool", workers=1, crashes_max=1)
        )

        def die_once():
            if not Path("died").exists():
                Path("died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return "alive"

        pipeline = [
            tar_target("once", die_once),
            tar_target("always", lambda: os.kill(os.getpid(), signal.SIGKILL)),
            tar_target("fine", lambda: 1),
        ]
    """
    made = project.make(textwrap.dedent(script))

    assert made.progress == {"once": "completed", "always": "errored", "fine": "completed"}
    assert ("retried", "once") in made.reporter.events
    assert project.value("once") == "alive"
    assert project.records["always"].error.startswith("worker crashed 2 times")


def test_a_target_that_takes_too_long_errors(project):
    script = """
        import time
        limit = tar_resources(crew=tar_resources_crew(seconds_timeout=0.3))
        pipeline = [tar_target("x", lambda: time.sleep(600), resources=limit, error="continue")]
    """
    made = project.make(LOCAL + textwrap.dedent(script))

    assert made.reporter.messages["x"] == "timed out after 0.3 seconds"


def test_a_group_gives_each_target_its_controller(project):
    script = """
        import os, crew_py
        small = crew_py.crew_controller_local(name="small", workers=1)
        big = crew_py.crew_controller_local(name="big", workers=1)
        tar_option_set(controller=crew_py.crew_controller_group(small, big))

        pipeline = [
            tar_target("a", lambda: os.environ["CREW_CONTROLLER"]),
            tar_target(
                "b",
                lambda: os.environ["CREW_CONTROLLER"],
                resources=tar_resources(crew=tar_resources_crew(controller="big")),
            ),
        ]
    """
    project.make(textwrap.dedent(script))

    assert (project.value("a"), project.value("b")) == ("small", "big")


def test_a_sequential_controller(project):
    script = """
        import crew_py, os
        tar_option_set(controller=crew_py.crew_controller_sequential())
        pipeline = [tar_target("x", lambda: [1, 2]), tar_target("y", lambda x: x + 1, pattern=map("x"))]
    """
    project.make(textwrap.dedent(script))

    assert project.values("y") == [2, 3]


def test_a_command_that_cannot_travel_is_refused_before_anything_runs(project):
    script = """
        import threading

        def locked():
            lock = threading.Lock()
            return lambda a: lock.locked()

        pipeline = [tar_target("a", lambda: 1), tar_target("b", locked())]
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        project.script(LOCAL + textwrap.dedent(script))
        with pytest.raises(TarValidateError, match="command of b cannot be sent to workers"):
            project.make()
    assert not project.store.exists()


class Broken(crew_py.CrewLauncherLocal):
    """A launcher on a platform that refuses."""

    def launch_worker(self, call):
        raise crew_py.crew_error("no such partition")


def test_a_controller_that_cannot_start_workers_ends_the_run(project):
    pool = crew_py.crew_controller(crew_py.crew_client(host="127.0.0.1"), Broken(name="pool", workers=1))
    made = project.make(
        """
        tar_option_set(controller=pool)
        pipeline = [tar_target("a", lambda: 1, deployment="main"), tar_target("b", lambda a: 1)]
        """,
        envir={"pool": pool},
        fails=True,
    )

    assert isinstance(made.error, TarRunError)
    assert str(made.error).startswith("controller pool failed: no such partition")
    assert made.progress == {"a": "completed", "b": "dispatched"}


@pytest.mark.parametrize(("late", "progress"), [(2, "completed"), (99, "errored")])
def test_files_of_workers_are_waited_for(project, monkeypatch, capsys, late, progress):
    from targets_py.engine import crew

    looks = []
    stat_paths = crew.stat_paths

    def stat_late(paths):
        looks.append(paths)
        if len(looks) <= late:
            raise FileNotFoundError(paths[0])
        return stat_paths(paths)

    monkeypatch.setattr(crew, "stat_paths", stat_late)
    made = project.make(
        """
        import crew_py
        tar_option_set(
            controller=crew_py.crew_controller_sequential(),
            resources=tar_resources(network=tar_resources_network(seconds_interval=0.01, max_tries=5)),
            error="continue",
        )
        pipeline = [tar_target("x", lambda: 1)]
        """
    )

    assert made.progress == {"x": progress}
    assert len(looks) == min(late + 1, 5)
    assert "waiting for the file of x" in capsys.readouterr().err
    if progress == "errored":
        assert "this process does not see it" in made.reporter.messages["x"]


def test_an_edit_during_the_run_does_not_reach_workers(project):
    (project.folder / "helpers.py").write_text("def value():\n    return 'old'\n")
    script = """
        import helpers
        from pathlib import Path

        def overwrite():
            Path("helpers.py").write_text("def value():\\n    return 'new'\\n")

        pipeline = [
            tar_target("edit", lambda: overwrite(), deployment="main"),
            tar_target("x", lambda edit: helpers.value()),
        ]
    """
    project.make(LOCAL + textwrap.dedent(script))

    assert project.value("x") == "old"
    project.make()
    assert project.value("x") == "new"


def test_many_short_targets(project):
    script = """
        pipeline = [
            tar_target("x", lambda: list(range(300))),
            tar_target("y", lambda x: x * 2, pattern=map("x")),
            tar_target("z", lambda y: sum(y)),
        ]
    """
    made = project.make(LOCAL + textwrap.dedent(script))

    assert project.value("z") == sum(range(300)) * 2
    assert made.reporter.summary.counts.completed == 302


def test_an_interruption_ends_the_workers(project):
    script = """
        def slow():
            open("fifo", "w").close()
            import time
            time.sleep(600)

        def raise_interrupt():
            open("fifo").close()
            import signal
            signal.raise_signal(signal.SIGINT)

        pipeline = [
            tar_target("slow", slow),
            tar_target("interrupt", lambda: raise_interrupt(), deployment="main"),
        ]
    """
    os.mkfifo(project.folder / "fifo")
    made = project.make(LOCAL + textwrap.dedent(script), fails=True)

    assert isinstance(made.error, KeyboardInterrupt)
    assert made.progress == {"slow": "dispatched", "interrupt": "dispatched"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
