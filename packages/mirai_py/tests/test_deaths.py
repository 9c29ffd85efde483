"""What happens when something dies, stops, or does not behave: done for real."""

import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import mirai_py
import nngsock
from mirai_py import mirai


def pid_of(compute):
    (pid,) = mirai_py.everywhere("import os; os.getpid()", _compute=compute).collect()
    assert not mirai_py.is_error_value(pid)
    return pid


def cpu_ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


# -- a daemon dies


def test_an_idle_daemon_that_is_killed_is_only_missed(fresh):
    mirai_py.daemons(2, compute=fresh)
    pids = mirai_py.everywhere("import os; os.getpid()", _compute=fresh).collect()
    left = watch_connections(fresh, 1)
    os.kill(pids[0], signal.SIGKILL)
    left()
    assert mirai(lambda: __import__("os").getpid(), _compute=fresh).collect() == pids[1]
    assert mirai_py.info(fresh)["cumulative"] == 2


def watch_connections(compute, number):
    """Gives a function that waits until a profile has this many connections."""
    profile = mirai_py.profiles.find_profile(compute)

    def wait():
        with profile.changed:
            assert profile.changed.wait_for(lambda: profile.engine.info().connections == number, 10)

    return wait


def test_a_daemon_killed_while_it_runs_costs_its_task_alone(fresh, gate):
    mirai_py.daemons(1, compute=fresh)
    running = mirai(gate.task, gate.argument, _compute=fresh)
    (pid,) = gate.wait()
    waiting = mirai(abs, -1, _compute=fresh)
    os.kill(pid, signal.SIGKILL)
    assert running.collect() == 19
    assert running.data.detail["signal"] == "SIGKILL"
    assert running.data.detail["pid"] == pid
    with pytest.raises(mirai_py.MiraiConnectionError, match="signal SIGKILL") as e:
        running.result()
    assert isinstance(e.value, ConnectionResetError)
    counts = mirai_py.info(fresh)
    assert (counts["connections"], counts["awaiting"], counts["executing"]) == (0, 1, 0)
    mirai_py.launch_local(1, compute=fresh)
    assert waiting.collect() == 1


def deadly(i, at, note, path):
    """Runs in a task: note that it began; one of them kills its daemon."""
    import os
    import signal

    note(path, i)
    if i == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return i


deadly.__module__ = "__main__"


def test_in_the_middle_of_a_batch_each_task_runs_at_most_once_and_the_rest_runs_elsewhere(fresh, log):
    mirai_py.daemons(1, compute=fresh)
    for _ in range(20):  # it learns that they are quick
        mirai(deadly, -1, None, log.task, log.argument, _compute=fresh).call()
    log.clear()
    mirais = [mirai(deadly, i, 150, log.task, log.argument, _compute=fresh) for i in range(300)]
    mirais[150].call()
    mirai_py.launch_local(1, compute=fresh)
    values = [m.collect() for m in mirais]
    assert log.began() == Counter(str(i) for i in range(300))  # none ran twice
    assert values[150] == 19
    assert [v for i, v in enumerate(values) if i != 150] == [i for i in range(300) if i != 150]


def test_results_that_outgrow_the_shared_memory_survive_too(fresh):
    mirai_py.daemons(1, compute=fresh)

    def task(i, deadly):
        import os

        return os._exit(7) if i == deadly else bytes([i]) * 30_000

    for _ in range(20):
        mirai(task, 1, None, _compute=fresh).call()
    mirais = [mirai(task, i, 40, _compute=fresh) for i in range(50)]
    mirais[40].call()
    mirai_py.launch_local(1, compute=fresh)
    values = [m.collect() for m in mirais]
    assert values == [19 if i == 40 else bytes([i]) * 30_000 for i in range(50)]


def test_in_the_middle_of_a_chunk_each_element_runs_at_most_once_and_the_rest_runs_elsewhere(fresh, log):
    mirai_py.daemons(1, compute=fresh)
    constants = (1500, log.task, log.argument)
    mapped = mirai_py.mirai_map(range(3000), deadly, _args=constants, _compute=fresh)
    mapped[1500].call()
    mirai_py.launch_local(1, compute=fresh)
    values = mapped.collect()
    assert log.began() == Counter(str(i) for i in range(3000))  # none twice, none left out
    lost = [i for i, value in enumerate(values) if mirai_py.is_error_value(value)]
    assert lost[-1] == 1500
    assert lost == list(range(lost[0], 1501))  # it, and what was done in the moment before
    assert len(lost) < 100
    assert values[1500].detail["signal"] == "SIGKILL"
    assert values[1500].detail["task"] == mapped[1500].id
    assert all(values[i] == i for i in range(3000) if i not in lost)
    assert mirai_py.info(fresh)["completed"] == 3000


def test_a_chunk_behind_a_slow_element_is_shared_with_an_idle_daemon(fresh, gate):
    mirai_py.daemons(1, compute=fresh)
    task = gate.task
    f = lambda x, slow, folder: task(folder, x) if x == slow else x
    mirai_py.mirai_map(range(1000), f, _args=(-1, ""), _compute=fresh).call()  # it learns that they are quick
    mapped = mirai_py.mirai_map(range(1000), f, _args=(500, gate.argument), _compute=fresh)
    gate.wait()
    mirai_py.launch_local(1, compute=fresh)
    for i in range(1000):
        if i != 500:
            assert mapped[i].collect() == i
    assert not mapped[500].done()
    gate.open()
    assert mapped.collect() == list(range(1000))


def test_a_chunk_that_comes_while_the_daemon_still_cleans_up_is_shared_too(fresh, gate):
    mirai_py.daemons(1, compute=fresh)
    slow_to_clean = """
import time
from mirai_py.cleanup import Surroundings
restore = Surroundings.restore
Surroundings.restore = lambda self, namespace: (restore(self, namespace), time.sleep(0.1))
"""
    mirai_py.everywhere(slow_to_clean, _compute=fresh).collect()
    task = gate.task
    f = lambda x, slow, folder: task(folder, x) if x == slow else x
    mirai_py.mirai_map(
        range(100), f, _args=(-1, ""), _compute=fresh
    ).call()  # all values are here, it cleans up
    mapped = mirai_py.mirai_map(range(100), f, _args=(50, gate.argument), _compute=fresh)
    gate.wait()
    mirai_py.launch_local(1, compute=fresh)
    assert [mapped[i].collect() for i in range(100) if i != 50] == [i for i in range(100) if i != 50]
    gate.open()
    assert mapped.collect() == list(range(100))


def wait_for_cpu(pid):
    """Return while a process is at work."""
    before = cpu_ticks(pid)
    deadline = time.monotonic() + 10
    while cpu_ticks(pid) == before and time.monotonic() < deadline:
        os.sched_yield()


def test_sys_exit_in_a_task_is_an_error_and_the_daemon_lives(one):
    pid = pid_of(one)
    value = mirai("import sys; sys.exit(3)", _compute=one).collect()
    assert str(value) == "SystemExit: 3"
    assert pid_of(one) == pid


def test_a_task_that_raises_keyboard_interrupt_or_sends_sigint_is_an_interrupt(one):
    pid = pid_of(one)
    assert mirai_py.is_mirai_interrupt(mirai("raise KeyboardInterrupt", _compute=one).collect())
    source = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"
    m = mirai(source, _compute=one)
    assert mirai_py.is_mirai_interrupt(m.collect())
    with pytest.raises(mirai_py.MiraiInterruptedError):
        m.result()
    assert pid_of(one) == pid


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.close(0)",
        "import os; os.chdir('/')",
        "import os\nif os.fork() == 0: os._exit(0)\nos.wait()[1]",
        "import threading\nt = threading.Thread(target=print); t.start(); t.join()",
        "import os; os.environ['PATH'] = ''; del os.environ['HOME']",
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import sys; sys.path.clear()",
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "import gc; gc.disable()",
        "import sys; sys.setrecursionlimit(100)",
    ],
)
def test_a_task_that_misbehaves_leaves_a_daemon_that_works(fresh, source):
    mirai_py.daemons(1, compute=fresh)
    pid = pid_of(fresh)
    mirai(source, _compute=fresh).call()
    m = mirai("import time; time.sleep(60)", _compute=fresh)
    mirai_py.stop_mirai(m)
    assert mirai("import json; json.loads('[1]')", _compute=fresh).collect() == [1]
    assert pid_of(fresh) == pid


def test_endless_recursion_and_lack_of_memory_are_errors(one):
    pid = pid_of(one)
    value = mirai("def f(): return f()\nf()", _compute=one).collect()
    assert value.condition_class[0] == "RecursionError"
    value = mirai("bytes(1 << 60)", _compute=one).collect()
    assert value.condition_class[0] in {"MemoryError", "OverflowError"}
    assert pid_of(one) == pid


# -- what does not pickle


def test_an_argument_that_the_daemon_cannot_read_is_an_error_that_names_the_cause(one):
    class Strange:
        def __reduce__(self):
            return __import__, ("no_such_module_here",)

    value = mirai(lambda x: x, Strange(), _compute=one).collect()
    assert value.condition_class[0] == "ModuleNotFoundError"
    assert "no_such_module_here" in value.message
    assert f"while reading the task on {socket.gethostname()}, pid {pid_of(one)}" in value.traceback


def test_a_result_that_cannot_be_sent_is_an_error_that_names_its_type(one):
    pid = pid_of(one)
    value = mirai("import threading; threading.Lock()", _compute=one).collect()
    assert "cannot serialise the result of type lock" in value.message
    assert pid_of(one) == pid


def test_a_result_that_the_host_cannot_read_keeps_its_bytes(one):
    source = """
    class Strange:
        def __reduce__(self):
            return __import__, ("no_such_module_here",)
    Strange()
    """
    value = mirai(textwrap.dedent(source), _compute=one).collect()
    assert value.condition_class[0] == "ModuleNotFoundError"
    assert b"no_such_module_here" in value.raw
    assert mirai(abs, -1, _compute=one).collect() == 1


def test_an_exception_that_does_not_pickle_is_still_told(one):
    source = """
    import threading
    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")
            self.lock = threading.Lock()
            self.code = 7
    def inner():
        raise Odd(1, 2)
    inner()
    """
    value = mirai(textwrap.dedent(source), _compute=one).collect()
    assert value.condition_class[:2] == ("Odd", "Exception")
    assert value.message == "1 and 2"
    assert value.code == 7
    assert value.call == "inner"
    assert value.exception is None
    with pytest.raises(mirai_py.MiraiError, match="Odd: 1 and 2"):
        mirai(textwrap.dedent(source), _compute=one).result()


# -- cancels


def test_a_sleeping_task_is_interrupted_at_once(one, gate):
    m = mirai(gate.task, gate.argument, _compute=one)
    (pid,) = gate.wait()
    assert mirai_py.stop_mirai(m) is True
    assert m.data == 20
    assert pid_of(one) == pid


def test_a_task_that_swallows_the_interrupt_keeps_the_daemon_but_not_its_value(one, gate):
    source = """
    try:
        task(folder)
    except KeyboardInterrupt:
        pass
    task(folder, "swallowed")
    """
    m = mirai(textwrap.dedent(source), task=gate.task, folder=gate.argument, _compute=one)
    gate.wait()
    assert mirai_py.stop_mirai(m) is True
    gate.wait()
    assert m.data == 20
    assert mirai_py.info(one)["executing"] == 1
    gate.open()
    assert mirai(abs, -1, _compute=one).collect() == 1
    assert m.data == 20


def test_two_hundred_cancels_at_random_moments_hit_none_but_theirs(one):
    pid = pid_of(one)
    rng = random.Random(11)
    for _ in range(200):
        doomed = mirai("import time; time.sleep(0.001 * k)", k=rng.random() * 2, _compute=one)
        kept = mirai("import time; time.sleep(0.0005); 'kept'", _compute=one)
        for _ in range(rng.randrange(3000)):
            pass
        doomed.cancel()
        assert doomed.collect() in (None, 20)
        assert kept.collect() == "kept"
    assert pid_of(one) == pid
    assert mirai_py.info(one)["cumulative"] == 1


def test_a_timeout_frees_its_daemon(one):
    m = mirai("import time; time.sleep(60)", _timeout=20, _compute=one)
    assert m.collect() == 5
    with pytest.raises(mirai_py.MiraiTimeoutError, match="after 20 ms") as e:
        m.result()
    assert isinstance(e.value, TimeoutError)
    assert mirai(abs, -1, _compute=one).collect() == 1


# -- stopped, silent, hostile


def test_a_stopped_daemon_keeps_its_tasks_until_it_goes_on(fresh, gate):
    mirai_py.daemons(2, compute=fresh)
    m = mirai(gate.task, gate.argument, "kept", _compute=fresh)
    (pid,) = gate.wait()
    os.kill(pid, signal.SIGSTOP)
    gate.open()
    assert [mirai(abs, -i, _compute=fresh).collect() for i in range(20)] == list(range(20))
    assert not m.done()
    os.kill(pid, signal.SIGCONT)
    assert m.collect() == "kept"


def test_a_stopped_daemon_is_gone_after_the_reset(fresh, ended):
    mirai_py.daemons(1, compute=fresh)
    pid = pid_of(fresh)
    os.kill(pid, signal.SIGSTOP)
    mirai_py.daemons(0, compute=fresh)
    assert ended(pid, 0)


def test_a_daemon_does_not_trust_a_host_without_its_token():
    """Whoever listens at the address must not be able to send it a pickle."""
    from mirai_py import handshake
    from mirai_py.frames import Kind, parse_head

    url = mirai_py.local_url(tcp=True)
    with nngsock.socket("pair1", listen=url) as liar:
        address = nngsock.opt(liar.listener[0], "url")
        daemon = subprocess.Popen(
            [sys.executable, "-c", f"import mirai_py; mirai_py.daemon({address!r})"],
            env={**os.environ, "MIRAI_PY_TOKEN": "right"},
            stderr=subprocess.PIPE,
            text=True,
        )
        joined = threading.Event()
        nngsock.on_pipe(liar, lambda event, _: joined.set() if event == "add" else None)
        joined.wait(20)
        nngsock.send(liar, handshake.challenge(b"x" * 16), mode="parts", block=True)
        hello = nngsock.recv(liar, mode="buffer", block=20_000)
        assert parse_head(hello)[0] == Kind.HELLO
        evil = b"cos\nsystem\n(S'touch /tmp/evil'\ntR."
        nngsock.send(liar, handshake.init("wrong", b"y" * 16, evil), mode="parts", block=True)
        _, stderr = daemon.communicate(timeout=20)
    assert daemon.returncode == 1
    assert "does not know the token" in stderr


def test_a_daemon_whose_host_never_answers_gives_up(monkeypatch):
    from mirai_py import worker

    monkeypatch.setattr(worker, "HANDSHAKE_SECONDS", 0.05)
    with (
        nngsock.socket("pair1", listen=mirai_py.local_url(tcp=True)) as mute,
        pytest.raises(mirai_py.MiraiException, match="no mirai_py host answers at tcp://"),
    ):
        mirai_py.daemon(nngsock.opt(mute.listener[0], "url"))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_daemon_that_nobody_listens_for_fails_at_once():
    with pytest.raises(nngsock.NngError):
        mirai_py.daemon(mirai_py.local_url())


# -- the host dies

SERVE = """
import mirai_py, os, sys, time
mirai_py.daemons(1, **{options})
print(*mirai_py.everywhere("import os; os.getpid()").collect(), flush=True)
m = mirai_py.mirai({task!r}, path=sys.argv[0])
"""


@pytest.mark.parametrize(
    "work",
    [None, "import time; time.sleep(600)", "sum(range(10**12))"],
    ids=["idle", "asleep", "holding the interpreter"],
)
def test_daemons_are_gone_when_their_host_is_killed(host, ended, gate, work):
    task = "1" if work is None else f"{announce(gate)}\n{work}"
    process = host(SERVE.format(options={}, task=task) + "\nsys.stdin.read()")
    pid = int(process.stdout.readline())
    if work is not None:
        gate.wait()
        if "sum" in work:
            wait_for_cpu(pid)
    process.send_signal(signal.SIGKILL)
    assert ended(pid, 5)


def test_a_program_that_became_a_daemon_is_gone_too_while_it_holds_the_interpreter(host, ended, gate):
    process = host(f"""
    import mirai_py, sys
    mirai_py.daemons(url=mirai_py.local_url())
    source = f"import mirai_py; mirai_py.daemon({{mirai_py.nextget('url')!r}})"
    print(mirai_py.launch_process([sys.executable, "-c", source]).pid, flush=True)
    m = mirai_py.mirai({announce(gate) + chr(10) + "sum(range(10**12))"!r})
    sys.stdin.read()
    """)
    pid = int(process.stdout.readline())
    gate.wait()
    wait_for_cpu(pid)
    process.send_signal(signal.SIGKILL)
    assert ended(pid, 5)


def announce(gate):
    """Source text that tells a gate that its task has begun."""
    return (
        f"import os; begun = os.open('{gate.argument}/begun', os.O_WRONLY); "
        "os.write(begun, b'%16d' % os.getpid()); os.close(begun)"
    )


def test_with_autoexit_none_the_running_task_ends_first(host, ended, gate, tmp_path):
    task = f"{announce(gate)}; go = os.open('{gate.argument}/go', os.O_RDONLY); os.read(go, 1)\n"
    task += f"open({str(tmp_path / 'done')!r}, 'w').close()"
    process = host(SERVE.format(options={"autoexit": None}, task=task) + "\nsys.stdin.read()")
    pid = int(process.stdout.readline())
    gate.wait()
    process.send_signal(signal.SIGKILL)
    process.wait()
    gate.open()
    assert ended(pid, 10)
    assert (tmp_path / "done").exists()


def test_with_autoexit_false_a_daemon_serves_the_next_host_at_that_address(host, ended, monkeypatch):
    monkeypatch.setenv("MIRAI_PY_TOKEN", "shared")
    url = mirai_py.local_url()
    source = f"""
    import mirai_py
    mirai_py.daemons(url={url!r})
    mirai_py.launch_local(1, autoexit=False)
    print(*mirai_py.everywhere("import os; os.getpid()").collect(), flush=True)
    input()
    """
    process = host(source)
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    with mirai_py.daemons(url=url, compute="next"):
        assert mirai("import os; os.getpid()").collect() == pid
        mirai_py.daemons(None, compute="next")
    assert ended(pid, 10)


def test_a_result_for_a_host_that_is_gone_never_reaches_the_next(host, ended, gate, monkeypatch):
    """Both hosts call their first task 1."""
    monkeypatch.setenv("MIRAI_PY_TOKEN", "shared")
    url = mirai_py.local_url()
    task = f"{announce(gate)}; go = os.open('{gate.argument}/go', os.O_RDONLY); os.read(go, 1)"
    first = host(f"""
    import mirai_py
    mirai_py.daemons(url={url!r})
    mirai_py.launch_local(1, autoexit=False)
    m = mirai_py.mirai({task!r})
    input()
    """)
    (pid,) = gate.wait()
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = host(f"""
    import mirai_py
    mirai_py.daemons(url={url!r})
    profile = mirai_py.profiles.find_profile(None)
    with profile.changed:
        profile.changed.wait_for(lambda: profile.engine.info().connections)
    m = mirai_py.mirai("'of the second'")
    print(m.id, flush=True)
    print(m.collect(), flush=True)
    mirai_py.daemons(None)
    """)
    assert second.stdout.readline() == "1\n"
    gate.open()
    assert second.stdout.readline() == "of the second\n"
    second.wait(20)
    assert ended(pid, 10)


@pytest.mark.parametrize(
    ("end", "code"),
    [("", 0), ("sys.exit(7)", 7), ("raise KeyError('on purpose')", 1)],
)
def test_a_host_that_ends_with_pending_tasks_keeps_its_exit_code_and_says_nothing(host, ended, end, code):
    task = "import time; time.sleep(600)"
    source = SERVE.format(options={}, task=task)
    source += (
        "\nn = [mirai_py.mirai(abs, 1) for _ in range(100)]\ne = mirai_py.mirai(abs, 1, _compute='none')\n"
    )
    process = host(source + end)
    pid = int(process.stdout.readline())
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    assert stderr.replace("\n", "") == "" if code != 1 else "on purpose" in stderr
    assert "mirai_py" not in stderr.replace("mirai_py.mirai", "")
    assert ended(pid, 5)


def test_ctrl_c_reaches_a_waiting_host_and_leaves_its_tasks_alone(host):
    source = """
    import mirai_py, sys
    mirai_py.daemons(1)
    m = mirai_py.mirai("import sys, time; time.sleep(0.5); 'finished'")
    try:
        print("waiting", flush=True)
        m.collect()
    except KeyboardInterrupt:
        print("interrupted", m.done(), flush=True)
    print(m.collect(), flush=True)
    """
    process = host(source)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted False\n"
    assert process.stdout.readline() == "finished\n"


def test_ctrl_c_during_the_start_tears_down_what_was_started(host):
    source = """
    import mirai_py, sys
    from mirai_py import profiles
    mirai_py.launch.daemon_source = lambda *_: "import time; time.sleep(600)"  # it never connects
    launch = profiles.Profile.launch
    def watched(self, n, options):
        new = launch(self, n, options)
        print(*(d.pid for d in new), flush=True)
        return new
    profiles.Profile.launch = watched
    try:
        mirai_py.daemons(2)
    except KeyboardInterrupt:
        print("interrupted", mirai_py.daemons_set(), flush=True)
    sys.stdin.read()
    """
    process = host(source)
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted False\n"
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_forked_child_is_refused_and_leaves_the_daemons_alone(host):
    source = """
    import mirai_py, os
    mirai_py.daemons(1)
    pid = mirai_py.mirai("import os; os.getpid()").collect()
    pending = mirai_py.mirai("import time; time.sleep(600)")
    child = os.fork()
    if child == 0:
        refused = 0
        for call in (lambda: mirai_py.mirai(abs, 1), lambda: mirai_py.daemons(1), mirai_py.info,
                     pending.collect, pending.cancel, lambda: mirai_py.daemons(0)):
            try:
                call()
            except mirai_py.MiraiException:
                refused += 1
        raise SystemExit(refused)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    pending.cancel()
    print(mirai_py.mirai("import os; os.getpid()").collect() == pid, flush=True)
    """
    process = host(source)
    assert process.stdout.readline() == "6\n"
    assert process.stdout.readline() == "True\n"
    process.wait(20)
    assert process.returncode == 0


def test_a_child_forked_before_any_daemons_may_have_its_own(host):
    source = """
    import mirai_py, os
    child = os.fork()
    if child == 0:
        with mirai_py.daemons(1):
            assert mirai_py.mirai(abs, -1).collect() == 1
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    """
    assert host(source).stdout.readline() == "0\n"


# -- life cycle without loss


def test_no_task_is_lost_to_idle_exits(fresh):
    """Tasks that arrive in the instant in which an idle daemon leaves stay in the queue."""
    mirai_py.daemons(1, idletime=5, compute=fresh)
    profile = mirai_py.profiles.find_profile(fresh)
    rng = random.Random(3)
    for i in range(25):
        m = mirai(abs, -i, _compute=fresh)
        while not m.done():
            with profile.changed:
                if not profile.engine.info().connections:
                    mirai_py.launch_local(1, compute=fresh)
                profile.changed.wait_for(lambda m=m: m.done() or not profile.engine.info().connections, 0.05)
        assert m.data == i
        time.sleep(0.004 + 0.002 * rng.random())  # the idle time itself: here a moment is what is tested


def test_maxtasks_leaves_the_rest_in_the_queue(fresh, ended):
    mirai_py.daemons(2, maxtasks=2, compute=fresh)
    gone = watch_connections(fresh, 0)
    mirais = [mirai(abs, -i, _compute=fresh) for i in range(5)]
    gone()
    counts = mirai_py.info(fresh)
    assert (counts["awaiting"], counts["completed"]) == (1, 4)
    mirai_py.launch_local(1, compute=fresh)
    assert [m.collect() for m in mirais] == list(range(5))


def test_a_batch_behind_a_slow_task_is_shared_with_an_idle_daemon(fresh, gate):
    mirai_py.daemons(1, compute=fresh)
    task = lambda f, folder: f(folder) if folder else 0
    for _ in range(30):
        mirai(task, gate.task, None, _compute=fresh).call()
    first = mirai("import time; time.sleep(0.2)", _compute=fresh)
    slow = mirai(task, gate.task, gate.argument, _compute=fresh)
    quick = [mirai(task, gate.task, None, _compute=fresh) for _ in range(20)]
    first.call()
    gate.wait()
    mirai_py.launch_local(1, compute=fresh)
    assert [m.collect() for m in quick] == [0] * 20  # although the slow one is not over
    assert not slow.done()
    gate.open()
    assert slow.collect() is None


def test_an_idle_host_and_idle_daemons_use_no_cpu(host):
    source = """
    import mirai_py, sys
    mirai_py.daemons(2)
    pids = mirai_py.everywhere("import os; os.getpid()").collect()
    mirai_py.mirai_map(range(100), abs).call()
    print(*pids, flush=True)
    sys.stdin.read()
    """
    process = host(source)
    pids = [process.pid, *map(int, process.stdout.readline().split())]
    time.sleep(0.3)  # what follows a task dies away: threads go to sleep
    before = [cpu_ticks(pid) for pid in pids]
    time.sleep(1.5)  # a stretch of time is what is measured
    assert [cpu_ticks(pid) for pid in pids] == before


def test_memory_does_not_grow_with_waits_and_timeouts(one):
    gate_source = "import time; time.sleep(600)"
    m = mirai(gate_source, _compute=one)
    for _ in range(100):
        with pytest.raises(TimeoutError):
            m.result(0)
        mirai_py.waiting.wait_any([m], 0)
    assert not m._wakes
    m.cancel()
    for _ in range(2):
        mirai_py.mirai_map([1] * 5000, abs, _timeout=3_600_000, _compute=one).call()
    assert len(mirai_py.timer.timer._alarms) < 10_000
