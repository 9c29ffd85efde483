"""Controllers with real workers."""

import asyncio
import math
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import polars as pl
import psutil
import pytest

import crew_py
import mirai_py
from crew_py.core import SECONDS_BETWEEN_GLANCES

SECONDS = 30.0


def wait_for(condition, seconds=SECONDS):
    """For what sends no event: a process that is gone, a connection that is known to be lost."""
    crew_py.crew_retry(lambda: bool(condition()), seconds_interval=0.01, seconds_timeout=seconds)


class Gate:
    """Tasks wait until a file appears."""

    def __init__(self, path):
        self.path = str(path)

    def task(self):
        """Source of a task that waits; its value is the worker's pid and a random number."""
        return (
            "import os, random, time\n"
            "open(path + '.' + str(os.getpid()), 'w').close()\n"
            "while not os.path.exists(path): time.sleep(0.005)\n"
            "os.getpid(), random.random()"
        )

    def data(self):
        return {"path": self.path}

    def started(self):
        """Process ids of the workers that wait."""
        folder, name = os.path.split(self.path)
        return {int(f.rpartition(".")[2]) for f in os.listdir(folder) if f.startswith(f"{name}.")}

    def wait(self, controller, n):
        """Until n workers wait."""

        def reached():
            controller.scale()
            return len(self.started()) == n

        wait_for(reached)

    def open(self):
        Path(self.path).touch()


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


# -- a task and its row


def test_push_wait_collect(local):
    controller = local(name="main", workers=2, seconds_idle=10)
    controller.start()
    controller.push(name="task1", command=lambda x: x + 1, data={"x": 1})
    assert controller.wait(seconds_timeout=SECONDS)
    rows = controller.collect()
    (row,) = rows.to_dicts()
    assert row["name"] == "task1"
    assert row["command"].endswith("<lambda>(x)")
    assert row["result"] == 2
    assert (row["status"], row["code"], row["error"]) == ("success", 0, None)
    assert row["controller"] == "main"
    assert row["seconds"] >= 0
    assert controller.summary().to_dicts()[0] | {"seconds": 0.0} == {
        "controller": "main",
        "seconds": 0.0,
        "tasks": 1,
        "success": 1,
        "error": 0,
        "crash": 0,
        "cancel": 0,
        "warning": 0,
    }


def test_pop_takes_one_row_and_map_gives_all_in_order(local):
    controller = local(workers=2)
    assert controller.pop() is None
    rows = controller.map(lambda x, y: x * y, iterate={"x": list(range(20))}, data={"y": 3}, seed=1)
    assert rows["result"].to_list() == [3 * x for x in range(20)]
    assert rows["seed"].to_list() == list(range(1, 21))
    assert controller.empty()
    controller.push("1", name="a")
    controller.wait(seconds_timeout=SECONDS)
    assert controller.pop()["name"].to_list() == ["a"]
    assert controller.pop() is None


def test_collect_gives_dicts_without_a_frame(local):
    controller = local()
    assert controller.collect(frame=False) == []
    controller.push("41 + 1", name="a")
    controller.wait(seconds_timeout=SECONDS)
    (record,) = controller.collect(frame=False)
    assert (record["name"], record["result"]) == ("a", 42)
    assert controller.collect() is None


def test_a_task_that_finds_no_worker_gets_one_although_nobody_looks_again(local):
    controller = local(workers=1, seconds_interval=50)
    assert controller.push("1 + 1").collect()["result"] == 2
    crashed = controller.push("import os; os._exit(1)")
    assert crashed.collect() == 19
    wait_for(lambda: controller.client.status()["connections"] == 0)
    time.sleep(2 * SECONDS_BETWEEN_GLANCES)
    assert controller.pop()["result"].to_list() == [2]  # which looks, too, and finds nothing that waits
    assert controller.push("2 + 2").result(timeout=SECONDS)["result"] == 4


def test_the_mirai_of_a_task_can_be_waited_for_and_awaited(local):
    controller = local()
    assert controller.push("1 + 1").collect()["result"] == 2

    async def run():
        return (await controller.push("2 + 2"))["result"]

    assert asyncio.run(run()) == 4
    assert controller.size() == 2


def test_results_of_any_kind_survive(local):
    np = pytest.importorskip("numpy")
    controller = local()
    rows = controller.map(
        lambda i: [None, {1: {2}}, pl.DataFrame({"x": [1]}), np.arange(3)][i], iterate={"i": range(4)}
    )
    none, nested, frame, array = rows["result"].to_list()
    assert none is None
    assert nested == {1: {2}}
    assert frame.equals(pl.DataFrame({"x": [1]}))
    assert array.tolist() == [0, 1, 2]


def test_a_command_may_be_shared_already(local):
    controller = local()
    rows = controller.map(crew_py.once(lambda x: 2 * x), iterate={"x": [1, 2]})
    assert rows["result"].to_list() == [2, 4]
    controller.push(crew_py.once("import os; os._exit(1)"), name="a")
    assert controller.wait(seconds_timeout=SECONDS)
    assert controller.pop()["command"].to_list() == ["import os; os._exit(1)"]


def test_a_shared_value_travels_once(local):
    controller = local()
    table = crew_py.once({i: i for i in range(1000)})
    rows = controller.map(lambda table, x: table[x], iterate={"x": [3, 4]}, data={"table": table})
    assert rows["result"].to_list() == [3, 4]


def test_what_cannot_be_read_or_sent_is_an_error_row(local):
    controller = local()
    controller.push("import threading; threading.Lock()", name="result")

    class Missing:
        def __reduce__(self):
            return __import__, ("no_such_module_anywhere",)

    controller.push("x", data={"x": Missing()}, name="data")
    controller.push("1", name="after")
    assert controller.wait(seconds_timeout=SECONDS)
    rows = {row["name"]: row for row in controller.collect().to_dicts()}
    assert (rows["result"]["status"], rows["result"]["code"]) == ("error", -1)
    assert "lock" in rows["result"]["error"]
    assert rows["result"]["command"] == "import threading; threading.Lock()"
    assert "no_such_module_anywhere" in rows["data"]["error"]
    assert rows["after"]["status"] == "success"
    assert controller.client.status()["cumulative"] == 1


def test_arguments_that_cannot_be_sent_raise_at_the_push(local):
    controller = local()
    with pytest.raises(TypeError, match="lock"):
        controller.push("x", data={"x": threading.Lock()}, name="a")
    assert controller.empty()
    assert controller.pushed == 0


def test_globals_packages_and_seeds_reach_the_worker(local):
    controller = local()
    rows = controller.map(
        "json.dumps(g + x)",
        iterate={"x": [1, 2]},
        globals={"g": 10},
        packages=["json"],
    )
    assert rows["result"].to_list() == ["11", "12"]
    draw = "import random; random.random()"
    first, second = (controller.map(draw, iterate={"i": [0, 1]}, seed=4) for _ in range(2))
    assert first["result"].to_list() == second["result"].to_list()
    assert len(set(first["result"].to_list())) == 2


def test_globals_are_gone_for_the_next_task(local):
    controller = local()
    rows = controller.map(
        lambda x: "leak" in vars(__import__("__main__")),
        iterate={"x": [1]},
        globals={"leak": 1},
    )
    assert rows["result"].to_list() == [True]
    assert controller.map("'leak' in globals()", iterate={"x": [1]})["result"].to_list() == [False]


def test_workers_of_one_round_have_different_random_streams(local, gate):
    controller = local(workers=2)
    controller.walk(gate.task(), iterate={"i": [1, 2]}, data=gate.data())
    assert controller.launcher.launches["count"].to_list() == [2]
    gate.wait(controller, 2)
    gate.open()
    assert controller.wait(seconds_timeout=SECONDS)
    pids, draws = zip(*controller.collect()["result"].to_list(), strict=True)
    assert len(set(pids)) == len(set(draws)) == 2


# -- pushing


def test_a_name_must_be_free(local):
    controller = local()
    controller.push("1", name="a")
    with pytest.raises(crew_py.crew_error, match=r"'a'.*pop\(\) or collect\(\)"):
        controller.push("2", name="a")
    assert controller.wait(seconds_timeout=SECONDS)
    controller.pop()
    controller.push("2", name="a")
    assert controller.wait(seconds_timeout=SECONDS)
    assert controller.pop()["result"].to_list() == [2]


def test_tasks_without_a_name_get_one(counting):
    controller = counting()
    controller.push("1")
    (name,) = controller.tasks
    assert name.startswith("unnamed_task_")


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": 5},
        {"command": "1", "data": [1]},
        {"command": "1", "globals": [1]},
        {"command": "1", "seed": "a"},
        {"command": "1", "algorithm": 1},
        {"command": "1", "packages": 5},
        {"command": "1", "seconds_timeout": 0},
        {"command": "1", "name": ""},
    ],
)
def test_push_checks_its_arguments(counting, arguments):
    controller = counting()
    with pytest.raises(crew_py.crew_error):
        controller.push(**arguments)
    assert controller.empty()


def test_a_walk_with_a_taken_name_pushes_nothing(counting):
    controller = counting()
    controller.push("1", name="b")
    with pytest.raises(crew_py.crew_error, match="'b'"):
        controller.walk("x", iterate={"x": ["a", "b"]}, names="x")
    assert list(controller.tasks) == ["b"]


def test_walk_adds_to_what_is_there_and_map_refuses_to(counting):
    controller = counting()
    controller.push("1", name="first")
    pushed = controller.walk("x", iterate={"x": [1, 2]}, names="x")
    assert list(pushed) == ["1", "2"]
    assert list(controller.tasks) == ["first", "1", "2"]
    with pytest.raises(crew_py.crew_error, match="uncollected tasks"):
        controller.map("x", iterate={"x": [1]})


def test_a_task_that_takes_too_long_times_out_and_poisons_nothing(local):
    controller = local(workers=2)
    controller.push("import time; time.sleep(60)", name="slow", seconds_timeout=0.2)
    controller.push("1", name="quick")
    assert controller.wait(seconds_timeout=SECONDS)
    slow, quick = controller.collect().to_dicts()
    assert (slow["status"], slow["code"], slow["error"]) == ("error", 5, "5 | Timed out")
    assert slow["command"] == "import time; time.sleep(60)"
    assert quick["status"] == "success"
    assert controller.map("x", iterate={"x": [1]})["status"].to_list() == ["success"]


# -- results


def test_rows_come_in_the_order_of_pushing(local):
    controller = local(workers=2)
    for name, seconds in (("a", 0.4), ("b", 0.05), ("c", 0.2)):
        controller.push("import time; time.sleep(s)", data={"s": seconds}, name=name)
    assert controller.wait(seconds_timeout=SECONDS)
    assert [controller.pop()["name"][0] for _ in range(3)] == ["a", "b", "c"]


@pytest.fixture
def mixed(local):
    """A controller with a good and a bad result."""
    controller = local()
    controller.push("1", name="good")
    controller.push("raise ValueError('zap')", name="bad")
    assert controller.wait(seconds_timeout=SECONDS)
    return controller


def test_collect_stop_raises_and_loses_no_row(mixed):
    with pytest.raises(crew_py.crew_error, match="zap") as caught:
        mixed.collect(error="stop")
    assert caught.value.result["name"].to_list() == ["good", "bad"]
    assert mixed.error["name"].to_list() == ["good", "bad"]
    assert mixed.empty()
    assert mixed.summary()["error"].to_list() == [1]
    mixed.error = None
    assert mixed.error is None


def test_pop_stop_raises_for_its_own_row_only(mixed):
    assert mixed.pop(error="stop")["name"].to_list() == ["good"]
    with pytest.raises(crew_py.crew_error, match="zap"):
        mixed.pop(error="stop")
    assert mixed.empty()


def test_collect_warn_warns(mixed):
    with pytest.warns(crew_py.crew_warning, match="zap"):
        rows = mixed.collect(error="warn")
    assert rows["status"].to_list() == ["success", "error"]


def test_collect_silent_leaves_it_at_the_rows(mixed):
    assert mixed.collect(error="silent")["error"].to_list() == [None, "zap"]


def test_an_unknown_error_mode_is_refused_everywhere(mixed):
    for method in (mixed.pop, mixed.collect):
        with pytest.raises(crew_py.crew_error, match="`error`"):
            method(error="loud")
    with pytest.raises(crew_py.crew_error, match="`error`"):
        mixed.map("x", iterate={"x": [1]}, error=None)
    assert mixed.size() == 2


def test_map_stop_raises_with_all_rows_and_leaves_nothing(local):
    controller = local()
    with pytest.raises(crew_py.crew_error, match=r"2 tasks were not successful.*division") as caught:
        controller.map("1 / x", iterate={"x": [0, 1, 0]})
    assert caught.value.result["status"].to_list() == ["error", "success", "error"]
    assert controller.error.height == 3
    assert controller.size() == 0


def test_map_warns_of_failures_and_of_warnings(local):
    controller = local()
    source = "import warnings; warnings.warn('careful'); 1 / x"
    with pytest.warns(crew_py.crew_warning) as caught:
        controller.map(source, iterate={"x": [0, 1]}, error="warn")
    messages = [str(warning.message) for warning in caught]
    assert "2 tasks encountered warnings" in messages[0]
    assert "1 tasks were not successful" in messages[1]
    with warnings.catch_warnings(action="error"):
        rows = controller.map(source, iterate={"x": [0]}, error="silent", warnings=False)
    assert rows["warnings"].to_list() == ["careful"]
    assert controller.summary()["warning"].to_list() == [3]


# -- waiting


def test_wait_without_tasks_returns_at_once(local):
    controller = local()
    assert controller.wait() is True
    assert controller.wait(mode="one") is False
    controller.start()
    assert controller.wait() is True
    assert controller.wait(mode="one") is False
    with pytest.raises(crew_py.crew_error, match="`mode`"):
        controller.wait(mode="some")


def test_wait_does_not_consume_and_comes_back_in_time(local, gate):
    controller = local()
    controller.push(gate.task(), data=gate.data())
    started = time.monotonic()
    assert controller.wait(seconds_timeout=0) is False
    assert controller.wait(seconds_timeout=0.3) is False
    assert 0.3 <= time.monotonic() - started < 10
    gate.open()
    for mode in ("one", "all", "one", "all"):
        assert controller.wait(mode=mode, seconds_timeout=SECONDS) is True
    assert controller.pop() is not None


def test_wait_one_means_that_one_can_be_popped(local):
    controller = local(workers=2)
    controller.walk("import time; time.sleep(0.01 * x); x", iterate={"x": [5, 1, 3, 2, 4]})
    found = []
    while controller.wait(mode="one", seconds_timeout=SECONDS):
        found.append(controller.pop()["result"][0])
    assert sorted(found) == [1, 2, 3, 4, 5]


def test_a_result_wakes_the_waiter_at_once(local):
    controller = local(seconds_interval=1000, seconds_timeout=2000)
    for i in range(3):
        controller.push("x", data={"x": i})
        assert controller.wait(seconds_timeout=500)
        controller.pop()


def test_foreign_tasks_on_the_profile_do_no_harm(local, gate):
    controller = local(workers=2)
    controller.start()
    foreign = mirai_py.mirai(gate.task(), **gate.data(), _compute=controller.profile)
    controller.push("1", name="own")
    assert controller.wait(seconds_timeout=SECONDS) is True
    assert controller.wait(mode="one") is True
    assert controller.synced() is True
    assert controller.pop()["name"].to_list() == ["own"]
    assert controller.unresolved() == 1
    gate.open()
    assert foreign.collect()[0] in gate.started()
    assert controller.resolved() == 2
    assert controller.size() == 0


# -- life


def test_a_controller_that_is_not_started_has_nothing(local):
    controller = local(name="main")
    assert not controller.started()
    assert controller.pushed is controller.summary() is controller.pop() is controller.collect() is None
    assert controller.size() == controller.resolved() == controller.unresolved() == 0
    assert controller.empty()
    assert controller.synced()
    assert not controller.nonempty()
    controller.cancel(all=True)
    controller.descale()
    controller.terminate()
    assert "not started" in repr(controller)


def test_terminate_ends_busy_workers_and_their_tasks(local, gate):
    controller = local(workers=2)
    task = controller.push(gate.task(), data=gate.data())
    wait_for(gate.started)
    (worker,) = gate.started()
    controller.terminate()
    assert task.collect() == 19
    wait_for(lambda: not Path(f"/proc/{worker}").exists())
    assert controller.size() == controller.resolved() == controller.unresolved() == 0
    assert controller.pop() is controller.collect() is controller.pushed is None
    assert controller.wait() is True


def test_it_can_be_started_again_with_new_totals(local):
    controller = local()
    controller.map("x", iterate={"x": [1]})
    url = controller.client.url
    controller.terminate()
    controller.terminate()
    assert controller.summary()["tasks"].to_list() == [1]
    controller.start()
    controller.start()
    assert controller.client.url != url
    assert controller.summary()["tasks"].to_list() == [0]
    assert controller.map("x", iterate={"x": [2]})["result"].to_list() == [2]


def test_the_end_of_a_with_block_terminates():
    with crew_py.crew_controller_local() as controller:
        assert controller.started()
    assert not controller.started()


def test_a_forgotten_controller_ends_its_workers(gate):
    controller = crew_py.crew_controller_local()
    profile = controller.profile
    controller.push(gate.task(), data=gate.data())
    wait_for(gate.started)
    (worker,) = gate.started()
    del controller
    wait_for(lambda: not Path(f"/proc/{worker}").exists())
    wait_for(lambda: not mirai_py.daemons_set(profile))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"crashes_max": -1}, "`crashes_max`"),
        ({"reset_globals": 1}, "`reset_globals`"),
        ({"backup": 5}, "`backup`"),
        ({"seconds_interval": 5, "seconds_timeout": 1}, "`seconds_timeout`"),
        ({"workers": "2"}, "`workers`"),
    ],
)
def test_arguments_are_checked_at_once(arguments, match):
    with pytest.raises(crew_py.crew_error, match=match):
        crew_py.crew_controller_local(**arguments)


def test_a_backup_needs_crashes_and_must_be_one_controller(local):
    with pytest.raises(crew_py.crew_error, match="backup"):
        local(backup=local(), crashes_max=0)
    with pytest.raises(crew_py.crew_error, match="no group"):
        local(backup=crew_py.crew_controller_group(local()))


def test_methods_ignore_controllers(local):
    controller = local()
    controller.push("1", controller="any")
    assert controller.wait(controllers=["any"], seconds_timeout=SECONDS)
    assert controller.size(controllers="any") == 1
    assert controller.collect(controllers=[]).height == 1


# -- saturation and backlog


def test_saturation_counts_uncollected_tasks(counting):
    controller = counting(workers=2)
    controller.push("1")
    assert not controller.saturated()
    controller.push("1")
    assert controller.saturated()
    assert not controller.saturated(ahead=2)
    controller.push("1")
    assert controller.size() == 3


def test_the_backlog_gives_as_many_names_as_there_is_room_for(counting):
    controller = counting(workers=2)
    assert controller.pop_backlog() == []
    for name in "abcdef":
        controller.push_backlog(name)
    assert controller.queue_backlog == tuple("abcdef")
    assert controller.pop_backlog() == ["a", "b"]
    controller.push("1")
    assert controller.pop_backlog(ahead=2) == ["c", "d", "e"]
    controller.push("1")
    assert controller.pop_backlog() == []
    assert controller.queue_backlog == ("f",)


# -- cancelling


def test_cancelled_tasks_have_rows_and_the_worker_lives_on(local, gate):
    controller = local()
    controller.push(gate.task(), data=gate.data(), name="running")
    controller.push("1", name="waiting")
    controller.push("1", name="kept")
    wait_for(gate.started)
    controller.cancel(names=["running", "waiting", "unknown"])
    assert controller.wait(seconds_timeout=SECONDS)
    rows = controller.collect().to_dicts()
    assert [row["status"] for row in rows] == ["cancel", "cancel", "success"]
    assert (rows[0]["code"], rows[0]["error"]) == (20, "20 | Operation canceled")
    assert controller.summary()["cancel"].to_list() == [2]
    assert controller.client.status()["cumulative"] == 1


def test_all_tasks_can_be_cancelled_and_are_there_at_once(counting):
    controller = counting()
    controller.walk("x", iterate={"x": range(10)})
    controller.cancel()
    assert controller.collect() is None
    controller.cancel(all=True)
    assert controller.collect()["status"].to_list() == ["cancel"] * 10
    assert controller.client.status()["completed"] == 10


# -- crashes


def crash(controller, name):
    """Push a task that ends its worker, and wait for it."""
    controller.push("import os; os._exit(7)", name=name)
    assert controller.wait(seconds_timeout=SECONDS)


def test_a_crashed_task_is_a_row_and_its_worker_is_replaced(local):
    controller = local()
    crash(controller, "a")
    (row,) = controller.pop().to_dicts()
    assert (row["status"], row["code"], row["error"]) == ("crash", 19, "19 | Connection reset")
    assert row["command"] == "import os; os._exit(7)"
    assert "exited with code 7" in row["trace"]
    assert controller.crashes("a") == 1
    assert controller.summary()["crash"].to_list() == [1]
    assert controller.map("x", iterate={"x": [1]})["result"].to_list() == [1]
    assert controller.client.status()["cumulative"] == 2


def test_only_the_task_on_the_killed_worker_crashes(local, gate):
    controller = local(workers=2)
    for name in ("a", "b"):
        controller.push(gate.task(), data=gate.data(), name=name)
    gate.wait(controller, 2)
    killed = min(gate.started())
    os.kill(killed, signal.SIGKILL)
    assert controller.wait(mode="one", seconds_timeout=SECONDS)
    (row,) = controller.collect().to_dicts()
    assert row["status"] == "crash"
    assert "SIGKILL" in row["trace"]
    gate.open()
    assert controller.wait(seconds_timeout=SECONDS)
    (row,) = controller.collect().to_dicts()
    assert (row["status"], row["result"][0]) == ("success", max(gate.started()))


def test_of_short_tasks_that_travel_together_only_the_running_one_crashes(local):
    controller = local()

    def f(x, bad):
        import os

        return os._exit(1) if x == bad else x

    controller.map(f, iterate={"x": range(100)}, data={"bad": -1})
    # Scaling as it waits, so that another worker comes for those that were not begun.
    controller.walk(f, iterate={"x": range(100)}, data={"bad": 50}, names="x")
    assert controller.wait(seconds_timeout=SECONDS)
    rows = controller.collect()
    assert rows.filter(pl.col("status") == "crash")["name"].to_list() == ["50"]
    results = rows.filter(pl.col("status") == "success")["result"].to_list()
    assert results == [x for x in range(100) if x != 50]
    assert controller.client.status()["cumulative"] == 2


def test_a_task_that_has_crashed_travels_alone_when_it_is_tried_again(local):
    controller = local()

    def f(x, bad):
        import os

        return os._exit(1) if x == bad else x

    controller.map(f, iterate={"x": range(50)}, data={"bad": -1})
    controller.walk(f, iterate={"x": range(50)}, data={"bad": 25}, names="x")
    assert controller.wait(seconds_timeout=SECONDS)
    controller.collect()
    for name in ("25", "26"):
        controller.push(f, data={"x": int(name), "bad": 25}, name=name)
    assert controller.wait(seconds_timeout=SECONDS)
    assert controller.collect()["status"].to_list() == ["crash", "success"]
    assert controller.crashes("25") == 2


def test_another_outcome_clears_the_count(local):
    controller = local()
    crash(controller, "a")
    controller.pop()
    controller.push("1", name="a")
    assert controller.wait(seconds_timeout=SECONDS)
    controller.pop()
    assert controller.crashes("a") == 0


def test_the_crash_beyond_the_limit_raises_and_the_rest_can_be_collected(local, tmp_path):
    options = crew_py.crew_options_local(log_directory=str(tmp_path))
    controller = local(name="main", crashes_max=1, options_local=options)
    crash(controller, "bad")
    assert controller.collect()["status"].to_list() == ["crash"]
    controller.push("1", name="one")
    controller.push("print('last words', flush=True); import os; os._exit(7)", name="bad")
    controller.push("1", name="two")
    assert controller.wait(seconds_timeout=SECONDS)
    with pytest.raises(crew_py.CrewCrashError, match=r"(?s)'bad'.*'main'.*2 time.*log.*last words") as caught:
        controller.collect()
    error = caught.value
    assert (error.name, error.crashes) == ("bad", 2)
    assert Path(error.log).parent == tmp_path
    assert error.result["name"].to_list() == ["bad"]
    assert controller.collect()["name"].to_list() == ["one", "two"]
    assert controller.summary()["crash"].to_list() == [2]


def test_pop_and_map_raise_at_the_first_crash_if_none_is_allowed(local):
    controller = local(crashes_max=0)
    crash(controller, "a")
    with pytest.raises(crew_py.CrewCrashError, match="'a'"):
        controller.pop()
    assert controller.empty()
    with pytest.raises(crew_py.CrewCrashError) as caught:
        controller.map("import os; x and os._exit(1)", iterate={"x": [0, 1]}, error="silent")
    assert caught.value.result["status"].to_list() == ["success", "crash"]
    assert controller.empty()


def test_a_crash_among_dicts_never_raises(local):
    controller = local(crashes_max=0)
    crash(controller, "a")
    (record,) = controller.collect(frame=False)
    assert (record["status"], record["crashes"], record["final"]) == ("crash", 1, True)
    assert record["log"] is None  # it is private; its last lines are in the trace


def test_a_task_that_crashed_too_often_goes_to_the_backup(local):
    backup = local(name="backup")
    controller = local(name="main", crashes_max=1, backup=backup)
    crash(controller, "a")
    controller.pop()
    controller.push("1", name="a")
    assert controller.empty()
    assert backup.wait(seconds_timeout=SECONDS)
    assert backup.pop()["controller"].to_list() == ["backup"]
    assert controller.crashes("a") == 1
    controller.push("2", name="a")
    assert (controller.size(), backup.size()) == (0, 1)


def test_the_loss_of_an_idle_worker_is_no_crash(local):
    controller = local()
    (worker,) = controller.map("__import__('os').getpid()", iterate={"x": [1]})["result"].to_list()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: controller.client.status()["connections"] == 0)
    assert controller.scale(throttle=False) is False
    rows = controller.map("__import__('os').getpid()", iterate={"x": [1]})
    assert rows["status"].to_list() == ["success"]
    assert rows["result"].to_list() != [worker]


# -- scaling


def test_quick_pushes_are_served_by_one_round_per_interval(counting):
    controller = counting(workers=4, seconds_interval=1000)
    for _ in range(6):
        controller.push("1")
    assert controller.launcher.rounds == [1]
    assert controller.scale(throttle=False) is True
    assert controller.launcher.rounds == [1, 3]
    assert controller.scale(throttle=False) is False


def test_a_walk_launches_all_its_workers_in_one_round(counting):
    controller = counting(workers=4, seconds_interval=1000)
    controller.walk("x", iterate={"x": range(6)})
    assert controller.launcher.rounds == [4]


def test_pushes_without_scale_launch_nothing_until_someone_waits(counting):
    controller = counting(workers=4, seconds_interval=1000)
    for _ in range(6):
        controller.push("1", scale=False)
    assert controller.launcher.rounds == []
    controller.wait(seconds_timeout=0)
    assert controller.launcher.rounds == [4]


def test_workers_for_few_tasks_are_launched_as_they_are_needed(counting):
    controller = counting(workers=4, tasks_max=1)
    for _ in range(6):
        controller.push("1", throttle=False)
    assert controller.launcher.rounds == [1, 1, 1, 1]


def test_launch_by_hand_ignores_the_limit(local):
    controller = local(workers=1)
    controller.launch(2)
    wait_for(lambda: controller.client.status()["connections"] == 2)
    controller.push("1")
    assert controller.launcher.launched == 2


def test_workers_leave_when_idle_and_are_launched_again(local):
    controller = local(workers=2, seconds_idle=0.2)
    first = controller.map("__import__('os').getpid()", iterate={"x": [1]})["result"][0]
    wait_for(lambda: controller.client.status()["connections"] == 0)
    assert controller.client.status()["cumulative"] == 1
    second = controller.map("__import__('os').getpid()", iterate={"x": [1]})["result"][0]
    assert first != second
    assert controller.client.status()["cumulative"] == 2
    assert controller.launcher.failed == 0


def test_workers_that_do_one_task_lose_no_result(local):
    controller = local(workers=2, tasks_max=1)
    rows = controller.map("__import__('os').getpid()", iterate={"x": range(6)})
    assert len(set(rows["result"].to_list())) == 6
    wait_for(lambda: controller.client.status()["connections"] == 0)
    assert controller.client.status() == {
        "connections": 0,
        "cumulative": 6,
        "awaiting": 0,
        "executing": 0,
        "completed": 6,
    }


def test_a_worker_that_left_is_replaced_while_waiting(local):
    controller = local(workers=1, seconds_wall=0.01)
    source = "import time; time.sleep(0.05); __import__('os').getpid()"
    rows = controller.map(source, iterate={"x": range(10)})
    assert rows["status"].to_list() == ["success"] * 10
    assert len(set(rows["result"].to_list())) > 1


def test_workers_that_cannot_start_are_an_error_with_their_last_words(local):
    controller = local(name="main", python_arguments=["--no-such-flag"])
    controller.push("1")
    with (
        pytest.warns(crew_py.crew_warning, match="ended before it connected"),
        pytest.raises(crew_py.CrewLaunchError, match=r"(?s)'main'.*3 launches.*code 2.*no-such-flag"),
    ):
        controller.wait(seconds_timeout=SECONDS)
    assert controller.launcher.failed == 3
    assert controller.size() == 1


def test_workers_that_never_connect_are_an_error(local):
    controller = local(
        python_arguments=["-c", "import time; time.sleep(60)"], seconds_launch=0.05, launch_failures_max=2
    )
    controller.push("1")
    with pytest.warns(crew_py.crew_warning), pytest.raises(crew_py.CrewLaunchError, match="seconds_launch"):
        controller.wait(seconds_timeout=SECONDS)


def test_a_custom_launcher_needs_one_method():
    class Launcher(crew_py.CrewLauncher):
        def launch_worker(self, call):
            return subprocess.Popen([sys.executable, "-c", call])

    client = crew_py.crew_client(host="127.0.0.1")
    with crew_py.crew_controller(client, Launcher(name="custom")) as controller:
        row = controller.map("__import__('os').getpid()", iterate={"x": [1]}).to_dicts()[0]
        ((process,),) = controller.launcher.launches["handle"].to_list()
        assert (row["result"], row["controller"]) == (process.pid, "custom")
    assert process.wait(SECONDS) is not None


# -- autoscaling


def test_autoscale_launches_in_the_background(local):
    controller = local(seconds_interval=0.01)
    controller.autoscale()
    loop = controller.loop
    controller.autoscale()
    assert controller.loop is loop
    assert controller.push("1 + 1", scale=False).result(SECONDS)["result"] == 2
    controller.descale()
    assert controller.loop is None
    controller.descale()


def test_autoscale_runs_on_an_event_loop(local):
    controller = local(seconds_interval=0.01)

    async def run():
        controller.autoscale(asyncio.get_running_loop())
        task = controller.push("1 + 1", scale=False)
        return await asyncio.wait_for(asyncio.shield(_awaited(task)), SECONDS)

    async def _awaited(task):
        return await task

    assert asyncio.run(run())["result"] == 2
    controller.terminate()
    assert controller.loop is None


def test_the_error_that_ended_autoscaling_is_raised_to_the_next_caller(counting):
    controller = counting(seconds_interval=0.001)

    def fail(status):
        if threading.current_thread() is not threading.main_thread():
            raise crew_py.CrewLaunchError("no more")
        return False

    controller.launcher.scale = fail
    controller.push("1", scale=False)
    controller.autoscale()
    with pytest.raises(crew_py.CrewLaunchError, match="no more"):
        wait_for(lambda: controller.pop() is not None)
    assert controller.loop is None


def test_threads_may_share_a_controller(local):
    controller = local(workers=2, seconds_interval=0.01)
    controller.autoscale()
    failures = []

    def work(k):
        try:
            for i in range(50):
                controller.push("x", data={"x": i}, name=f"{k}-{i}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert controller.wait(seconds_timeout=SECONDS)
    assert not failures
    assert len(set(controller.collect()["name"].to_list())) == 200


def test_ctrl_c_leaves_a_waiting_controller_usable(local, gate):
    controller = local()
    controller.push(gate.task(), data=gate.data())
    wait_for(gate.started)
    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        controller.wait(seconds_timeout=SECONDS)
    timer.join()
    gate.open()
    assert controller.wait(seconds_timeout=SECONDS)
    assert controller.pop()["status"].to_list() == ["success"]


def test_a_forked_child_cannot_push_and_leaves_the_parent_alone(local):
    controller = local()
    controller.map("x", iterate={"x": [1]})
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # threads run here
        child = os.fork()
    if child == 0:
        try:
            controller.push("1")
        except BaseException:
            os._exit(3)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert controller.map("x", iterate={"x": [2]})["result"].to_list() == [2]


@pytest.mark.parametrize(
    ("end", "code", "error"), [("pass", 0, None), ("1 / 0", 1, "ZeroDivisionError: division by zero")]
)
def test_a_program_that_forgets_its_controller_ends_cleanly(tmp_path, end, code, error):
    script = tmp_path / "script.py"
    script.write_text(
        "import crew_py\n"
        "controller = crew_py.crew_controller_local(workers=2)\n"
        "controller.walk('import time; time.sleep(60)', iterate={'x': [1, 2]})\n"
        f"{end}\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.count("Traceback") == code
    assert (done.stderr.splitlines() or [None])[-1] == error


def test_many_short_tasks(local):
    controller = local(workers=2)
    assert controller.pushed is None
    rows = controller.map(lambda x: x, iterate={"x": range(3000)})
    assert rows["result"].to_list() == list(range(3000))
    assert controller.pushed == 3000
    assert controller.launcher.launched <= 2 < math.inf


@pytest.mark.slow
def test_fifty_killed_workers_cost_no_result(local):
    controller = local(workers=4, crashes_max=math.inf, launch_failures_max=math.inf)
    values = {str(i): i for i in range(1500)}
    task = "import time; time.sleep(0.005); x"
    stop = threading.Event()
    killed = []

    def kill():
        me = psutil.Process()
        while not stop.wait(0.1) and len(killed) < 50:
            for process in me.children()[:1]:
                process.kill()
                killed.append(process.pid)

    def run():
        controller.walk(task, iterate={"id": list(values), "x": list(values.values())}, names="id")
        while controller.nonempty():
            assert controller.wait(mode="one", seconds_timeout=SECONDS)
            for record in controller.collect(frame=False):
                if record["status"] == "crash":
                    controller.push(task, data={"x": values[record["name"]]}, name=record["name"])
                else:
                    yield record["name"], record["result"]

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with warnings.catch_warnings(action="ignore", category=crew_py.crew_warning):
            found = dict(run())
    finally:
        stop.set()
        killer.join()
    assert found == values
    assert killed
