"""Daemons that the host did not start itself: it knows no more of them than their connection."""

import os
import shlex
import signal
import subprocess
import sys

import pytest

import mirai_py
from mirai_py import daemons, info, mirai

SCHEMES = ["tcp", "tls+tcp"]


def needs(scheme):
    if scheme.startswith("tls"):
        pytest.importorskip("cryptography")
    return f"{scheme}://127.0.0.1:0"


@pytest.fixture
def start():
    """Start daemons of a profile as processes that the profile knows nothing of; gives their pids."""
    started, profiles = [], set()

    def run(profile, n=1):
        profiles.add(profile)
        way = mirai_py.remote_config(python=shlex.quote(sys.executable))
        commands = mirai_py.launch_remote(n, way, compute=profile)
        started.extend(subprocess.Popen(command, shell=True) for command in commands)
        return mirai_py.everywhere("import os; os.getpid()", _min=n, _compute=profile).collect()

    yield run
    for profile in profiles:
        daemons(0, compute=profile)
    for process in started:
        process.wait(20)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_they_serve_and_end_with_the_profile(scheme, fresh, start, ended):
    daemons(url=needs(scheme), compute=fresh)
    pids = start(fresh, 2)
    assert mirai_py.mirai_map(range(50), lambda x: -x, _compute=fresh).collect() == [-x for x in range(50)]
    array = bytes(5_000_000)
    assert mirai(len, array, _compute=fresh).collect() == 5_000_000
    assert len(mirai(bytes, 5_000_000, _compute=fresh).collect()) == 5_000_000
    daemons(0, compute=fresh)
    assert all(ended(pid) for pid in pids)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_death_in_a_task_costs_that_task_alone(scheme, fresh, start, gate):
    daemons(url=needs(scheme), compute=fresh)
    start(fresh, 2)
    tasks = {mirai(gate.task, gate.argument, "done", _compute=fresh) for _ in range(2)}
    pid, _ = gate.wait(2)
    os.kill(pid, signal.SIGKILL)
    lost = next(mirai_py.as_completed(tasks, timeout=30))
    assert lost.data == 19
    assert lost.data.detail["pid"] == pid
    gate.open()
    (kept,) = tasks - {lost}
    assert kept.collect() == "done"
    assert info(fresh)["connections"] == 1
    assert mirai(abs, -1, _compute=fresh).collect() == 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_of_tasks_that_travelled_together_none_runs_twice(scheme, fresh, start, gate, tmp_path):
    """What a daemon elsewhere had begun when it died is not known here."""
    daemons(url=needs(scheme), compute=fresh)
    start(fresh)
    mirai_py.mirai_map(range(200), abs, _compute=fresh).collect()  # by now they are known to be short
    ran = tmp_path / "ran"
    note = "open(ran, 'a').write(f'{i} ')"
    before = [mirai(note, i=i, ran=str(ran), _compute=fresh) for i in range(100)]
    stuck = mirai(gate.task, gate.argument, _compute=fresh)
    behind = [mirai(note, i=i, ran=str(ran), _compute=fresh) for i in range(100, 200)]
    (pid,) = gate.wait()
    os.kill(pid, signal.SIGKILL)
    assert stuck.collect() == 19
    start(fresh)
    values = mirai_py.collect_mirai([*before, *behind])
    times = ran.read_text().split()
    assert len(times) == len({*times})
    assert {str(i) for i, value in enumerate(values) if value != 19} <= {*times}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_stopped_one_keeps_its_task_until_it_goes_on(scheme, fresh, start, gate):
    daemons(url=needs(scheme), compute=fresh)
    start(fresh, 2)
    slow = mirai(gate.task, gate.argument, "slow", _compute=fresh)
    (pid,) = gate.wait()
    os.kill(pid, signal.SIGSTOP)
    gate.open()
    assert mirai_py.mirai_map(range(20), abs, _compute=fresh).collect() == [*range(20)]
    assert not slow.done()
    os.kill(pid, signal.SIGCONT)
    assert slow.collect() == "slow"
    assert info(fresh)["connections"] == 2


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_that_is_stopped_at_the_reset_ends_once_it_goes_on(scheme, fresh, start, ended):
    daemons(url=needs(scheme), compute=fresh)
    (pid,) = start(fresh)
    os.kill(pid, signal.SIGSTOP)
    daemons(0, compute=fresh)
    os.kill(pid, signal.SIGCONT)
    assert ended(pid)


HOST = """
import os, subprocess, sys, mirai_py
scheme, task, options = sys.argv[1:]
mirai_py.daemons(url=f"{scheme}://127.0.0.1:0")
(command,) = mirai_py.launch_remote(remote=mirai_py.remote_config(python=sys.executable), **eval(options))
daemon = subprocess.Popen(command, shell=True, start_new_session=True)
print(*mirai_py.everywhere("import os; os.getpid()").collect(), flush=True)
m = mirai_py.mirai(task)
sys.stdin.read()
print(m.collect())
"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "work", ["", "import time; time.sleep(600)", "while True: pass"], ids=["idle", "asleep", "busy"]
)
def test_they_end_when_their_host_is_killed(scheme, work, host, ended, gate):
    needs(scheme)
    process = host(HOST, scheme, f"{announce(gate)}\n{work}", "{}")
    pid = int(process.stdout.readline())
    gate.wait()
    process.send_signal(signal.SIGKILL)
    assert ended(pid)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_so_they_do_if_a_child_of_the_host_lives_on(scheme, host, ended, gate):
    needs(scheme)
    forking = HOST.replace(
        "sys.stdin.read()", "child = os.fork()\nif child: print(child, flush=True)\nsys.stdin.read()"
    )
    process = host(forking, scheme, f"{announce(gate)}\nimport time; time.sleep(600)", "{}")
    pid = int(process.stdout.readline())
    child = int(process.stdout.readline())
    gate.wait()
    process.send_signal(signal.SIGKILL)
    assert ended(pid)
    assert not ended(child, 0)
    os.kill(child, signal.SIGKILL)
    assert ended(child)


def announce(gate):
    """Source text that tells a gate that its task has begun."""
    return (
        f"import os; begun = os.open('{gate.argument}/begun', os.O_WRONLY); "
        "os.write(begun, b'%16d' % os.getpid()); os.close(begun)"
    )


def hold(gate):
    """Source text that tells a gate that its task has begun, and waits to be let on."""
    return f"{announce(gate)}; go = os.open('{gate.argument}/go', os.O_RDONLY); os.read(go, 1)"


def test_with_autoexit_none_the_running_task_ends_first(host, ended, gate, tmp_path):
    task = f"{hold(gate)}\nopen({str(tmp_path / 'done')!r}, 'w').close()"
    process = host(HOST, "tcp", task, "{'autoexit': None}")
    pid = int(process.stdout.readline())
    gate.wait()
    process.send_signal(signal.SIGKILL)
    process.wait()
    gate.open()
    assert ended(pid)
    assert (tmp_path / "done").exists()


def test_a_host_that_was_stopped_finds_its_daemons_again(host, ended, gate):
    """Silence is not death: a machine that slept goes on."""
    process = host(HOST, "tcp", f"{hold(gate)}\n7", "{}")
    pid = int(process.stdout.readline())
    gate.wait()
    process.send_signal(signal.SIGSTOP)
    gate.open()
    assert not ended(pid, 0.2)
    process.send_signal(signal.SIGCONT)
    process.stdin.close()
    assert process.stdout.readline() == "7\n"
    assert ended(pid)
