"""Much of everything, and all of it accounted for."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import mirai_py
from mirai_py import mirai


def noted(note, path, i, seconds):
    """Runs in a task: note that it began, take some time, give its number."""
    import time

    note(path, i)
    time.sleep(seconds)
    return i


noted.__module__ = "__main__"


def kill_daemons(compute, log, tasks, kills, choose):
    """Submit tasks and kill daemons while they run; gives the values, and which tasks began."""
    mirai_py.daemons(2, compute=compute)
    seconds = [choose.choice([0, 0, 0, 0.001, 0.01]) for _ in range(tasks)]
    mirais = [mirai(noted, log.task, log.argument, i, s, _compute=compute) for i, s in enumerate(seconds)]
    for _ in range(kills):
        mirai_py.launch_local(1, compute=compute)
        # One of those that are there, whatever it is doing.
        mirais[choose.randrange(tasks)].exception(60)
        pids = [d["pid"] for d in mirai_py.profiles.find_profile(compute).engine.daemons()]
        if pids:
            with contextlib.suppress(ProcessLookupError):  # its end is not known yet
                os.kill(choose.choice(pids), signal.SIGKILL)
    mirai_py.launch_local(1, compute=compute)
    values = [m.collect() for m in mirais]
    return values, {int(name): number for name, number in log.began().items()}


def check(values, began, kills):
    assert max(began.values()) == 1  # none ran twice
    lost = [i for i, value in enumerate(values) if value != i]
    assert len(lost) <= kills
    assert all(values[i] == 19 and values[i].detail["signal"] == "SIGKILL" for i in lost)
    # A daemon notes that a task begins, then begins it: only one killed in between is lost without a trace.
    assert {i for i in range(len(values)) if i not in began} <= set(lost)
    assert max(Counter(values[i].detail["pid"] for i in lost).values(), default=0) <= 1


def test_some_kills_cost_a_task_each_at_most_and_none_runs_twice(fresh, log):
    values, began = kill_daemons(fresh, log, 2000, 5, random.Random(1))
    check(values, began, 5)


@pytest.mark.slow
def test_fifty_kills_cost_a_task_each_at_most_and_none_runs_twice(fresh, log):
    values, began = kill_daemons(fresh, log, 50_000, 50, random.Random(2))
    check(values, began, 50)


def test_a_daemon_killed_while_a_large_argument_is_sent_to_it(fresh):
    mirai_py.daemons(1, compute=fresh)
    (pid,) = mirai_py.everywhere("import os; os.getpid()", _compute=fresh).collect()
    os.kill(pid, signal.SIGSTOP)
    large = mirai(len, bytes(100_000_000), _compute=fresh)
    small = mirai(abs, -1, _compute=fresh)
    os.kill(pid, signal.SIGKILL)
    mirai_py.launch_local(1, compute=fresh)
    # It was stopped before it could begin anything.
    assert large.collect() == 100_000_000
    assert small.collect() == 1


def test_cancels_from_several_threads_leave_every_daemon_at_work(fresh):
    mirai_py.daemons(2, compute=fresh)

    def storm(seed):
        choose = random.Random(seed)
        for _ in range(100):
            m = mirai("import time; time.sleep(5)", _compute=fresh)
            if choose.random() < 0.3:
                time.sleep(0.001)
            m.cancel()
            assert m.data == 20

    threads = [threading.Thread(target=storm, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert mirai_py.mirai_map(range(10), abs, _compute=fresh).collect() == list(range(10))
    counts = mirai_py.info(fresh)
    assert (counts["connections"], counts["cumulative"], counts["awaiting"]) == (2, 2, 0)


def test_what_a_task_prints_warns_and_logs_is_not_its_result(fresh, tmp_path):
    mirai_py.daemons(1, output=str(tmp_path / "{pid}.log"), compute=fresh)
    source = """
import logging, os, sys, warnings
print("printed")
warnings.warn("warned")
logging.getLogger("anybody").warning("logged")
os.write(2, b"written\\n")
sys.stdout.flush()
5
"""
    assert mirai(source, _compute=fresh).collect() == 5
    (log,) = tmp_path.glob("*.log")
    text = log.read_text()
    assert all(word in text for word in ("printed", "warned", "logged", "written"))


@pytest.mark.parametrize("state", ["queued", "running", "stopped", "ignoring", "connecting"])
def test_a_reset_from_any_state_leaves_nothing(fresh, gate, ended, state):
    if state == "connecting":
        mirai_py.daemons(url=mirai_py.local_url(), compute=fresh)
        mirai_py.launch_local(2, compute=fresh)
        pids = [d.pid for d in mirai_py.profiles.find_profile(fresh).started]
    else:
        mirai_py.daemons(2, compute=fresh)
        pids = mirai_py.everywhere("import os; os.getpid()", _compute=fresh).collect()
    source = {
        "queued": "import time; time.sleep(60)",
        "running": "import time; time.sleep(60)",
        "stopped": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "ignoring": "import signal\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)\nwhile True: pass",
        "connecting": "1",
    }[state]
    pending = [mirai(source, _compute=fresh) for _ in range(10 if state == "queued" else 2)]
    waiting = threading.Thread(target=pending[0].collect)
    waiting.start()
    mirai_py.daemons(0, compute=fresh)
    waiting.join(10)
    assert not waiting.is_alive()
    assert all(m.data == 19 for m in pending) or state == "connecting"
    assert all(ended(pid) for pid in pids)
    names = {thread.name for thread in threading.enumerate()}
    assert names.isdisjoint(f"mirai_py-daemon-{pid}" for pid in pids)
    mirai_py.daemons(0, compute=fresh)
    assert mirai_py.info(fresh) is None


@pytest.mark.slow
def test_a_million_queued_tasks(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), compute=fresh)
    mirais = [mirai(abs, -i, _compute=fresh) for i in range(1_000_000)]
    assert mirai_py.info(fresh)["awaiting"] == 1_000_000
    mirai_py.launch_local(2, compute=fresh)
    assert all(m.collect() == i for i, m in enumerate(mirais))
    assert mirai_py.info(fresh)["completed"] == 1_000_000


@pytest.mark.slow
def test_a_minute_of_idleness_costs_no_cpu():
    """As the quick test of an idle host, with a daemon on a network connection, which is asked for a sign."""
    source = """
import mirai_py, sys
mirai_py.daemons(url="tcp://127.0.0.1:0")
mirai_py.launch_local(2)
print(*mirai_py.everywhere("import os; os.getpid()", _min=2).collect(), flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as host:
        pids = [host.pid, *map(int, host.stdout.readline().split())]
        time.sleep(1)
        before = sum(map(ticks, pids))
        time.sleep(60)  # a stretch of time is what is measured
        assert sum(map(ticks, pids)) - before <= 3  # hundredths of a second
        host.stdin.close()


def ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
