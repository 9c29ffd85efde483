"""Whatever goes wrong: the other tasks are done, none runs twice, the reason is told, nothing is left behind.

That nothing is left in the process table, in /dev/shm and in the temporary folder is seen to after each test
by the fixture that all tests have; what a host leaves that is killed is looked for here.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path

import pytest

import mirai_py
import nngsock
from mirai_py import mirai


class Others:
    """Short tasks before and behind the trouble, and in one message with it."""

    def __init__(self, compute, log):
        self._compute = compute
        self._log = log
        self._mirais = []

    def add(self, number):
        """Submit some more."""
        at = len(self._mirais)
        self._mirais += [
            mirai(self._log.task, self._log.argument, f"other-{i}", i, _compute=self._compute)
            for i in range(at, at + number)
        ]

    def check(self, also=()):
        """All are done, each was run once, and so were the others that are named here."""
        assert [m.collect() for m in self._mirais] == list(range(len(self._mirais)))
        names = [f"other-{i}" for i in range(len(self._mirais))]
        assert self._log.began() == Counter([*names, *also])


@pytest.fixture
def others(fresh, log):
    return Others(fresh, log)


def pids_of(compute):
    return mirai_py.everywhere("import os; os.getpid()", _compute=compute).collect()


def lost(**end):
    """Error 19, and how the daemon ended."""

    def check(value, m, pids):
        assert value == 19
        told = value.detail
        assert end.items() <= told.items()
        assert told["task"] == m.id
        assert told["call"] == "source"
        assert told["pid"] in pids
        assert told["host"] == socket.gethostname()
        with pytest.raises(mirai_py.MiraiConnectionError, match=f"task {m.id} of source, daemon pid "):
            m.result()

    return check


def error(text):
    """A `MiraiError` that says so."""

    def check(value, _m, _pids):
        assert mirai_py.is_mirai_error(value)
        assert text in str(value)

    return check


def interrupt(value, _m, _pids):
    assert mirai_py.is_mirai_interrupt(value)


def gives(expected):
    """No trouble at all."""

    def check(value, _m, _pids):
        assert value == expected

    return check


ODD = """
import threading
class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.lock = threading.Lock()
raise Odd(1, 2)
"""
UNREADABLE = """
class Strange:
    def __reduce__(self):
        return __import__, ("no_such_module_here",)
Strange()
"""
FORK = """
import os, sys
pid = os.fork()
if pid == 0:
    {child}
os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid else "of the child"
"""
TROUBLES = {
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", lost(signal="SIGKILL")),
    "terminated": (
        "import os, signal; signal.signal(15, signal.SIG_DFL); os.kill(os.getpid(), 15)",
        lost(signal="SIGTERM"),
    ),
    "crashes": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", lost(signal="SIGSEGV")),
    "ends at once": ("import os; os._exit(3)", lost(exit_code=3)),
    "exits": ("import sys; sys.exit(3)", error("SystemExit: 3")),
    "interrupts itself": ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", interrupt),
    "raises what does not pickle": (ODD, error("Odd: 1 and 2")),
    "returns what does not pickle": (
        "import threading; threading.Lock()",
        error("cannot serialise the result of type lock"),
    ),
    "returns what cannot be read here": (UNREADABLE, error("no_such_module_here")),
    "closes stdin": ("import os; os.closerange(0, 1); 'fine'", gives("fine")),
    "closes all its streams": ("import os; os.closerange(0, 3); 'fine'", gives("fine")),
    "changes directory": ("import os; os.chdir('/'); 'fine'", gives("fine")),
    "forks a child that exits": (FORK.format(child="sys.exit(7)"), gives(7)),
    "forks a child that fails": (FORK.format(child="raise KeyError"), gives(1)),
    "forks a child that returns": (FORK.format(child="pass"), gives(0)),
    "starts threads": (
        "import threading, time; threading.Thread(target=time.sleep, args=(1,)).start(); 'fine'",
        gives("fine"),
    ),
    "recurses for ever": ("def f(): return f()\nf()", error("RecursionError")),
    "wants all memory": ("bytes(1 << 60)", error("Error")),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_task_that_makes_trouble_harms_none_but_itself(fresh, log, others, trouble):
    source, check = TROUBLES[trouble]
    mirai_py.daemons(2, compute=fresh)
    pids = pids_of(fresh)

    def submit(name):
        noting = f"note(path, {name!r})\n{source}"
        return mirai(noting, note=log.task, path=log.argument, _compute=fresh)

    alone = submit("alone")
    check(alone.collect(), alone, pids)
    others.add(60)  # they are short, so that the next ones travel together
    batched = submit("batched")
    others.add(60)
    if alone.data == 19:
        mirai_py.launch_local(1, compute=fresh)
    value = batched.collect()
    others.check(also=["alone", "batched"])
    check(value, batched, pids if alone.data != 19 else [value.detail["pid"]])
    counts = mirai_py.info(fresh)
    assert (counts["awaiting"], counts["executing"], counts["completed"]) == (0, 0, 124)
    assert counts["cumulative"] - counts["connections"] == (2 if alone.data == 19 else 0)


def test_children_of_the_elements_of_a_map_are_not_daemons(fresh, log):
    mirai_py.daemons(1, compute=fresh)

    def f(i, note, path):
        import os
        import sys

        note(path, i)
        pid = os.fork() if i % 10 == 0 else None
        if pid == 0:
            sys.exit(i)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid else i

    mapped = mirai_py.mirai_map(range(200), f, note=log.task, path=log.argument, _compute=fresh)
    assert mapped.collect() == list(range(200))
    assert log.began() == Counter(str(i) for i in range(200))


@pytest.mark.parametrize(
    "url",
    [mirai_py.local_url(), "ipc://{}/s", "tcp://127.0.0.1:0", "ws://127.0.0.1:0"],
    ids=["abstract", "ipc", "tcp", "ws"],
)
def test_a_daemon_whose_task_left_a_child_is_missed_at_once(fresh, others, ended, tmp_path, url):
    mirai_py.daemons(url=url.format(tmp_path), compute=fresh)
    mirai_py.launch_local(2, compute=fresh)
    others.add(20)
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    source = f"""
    import os, time
    child = os.fork()
    if child:
        with open({str(pids)!r}, "w") as told:
            told.write(f"{{os.getpid()}} {{child}}")
    time.sleep(600)
    """
    m = mirai(textwrap.dedent(source), _compute=fresh)
    pid, child = map(int, pids.read_text().split())
    others.add(20)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(mirai_py.MiraiConnectionError, match="signal SIGKILL"):
        m.result(timeout=20)
    others.check()
    os.kill(child, signal.SIGKILL)
    assert ended(child)


@pytest.mark.parametrize("what", ["function", "argument", "global"])
def test_what_does_not_pickle_is_told_to_who_submits_it(fresh, others, what):
    mirai_py.daemons(2, compute=fresh)
    others.add(30)
    lock = threading.Lock()
    call, told = {
        "function": (lambda: mirai(lambda: lock, _compute=fresh), "the function '"),
        "argument": (lambda: mirai(abs, [lock], _compute=fresh), "argument 0 of type builtins.list"),
        "global": (lambda: mirai("lock", _globals={"lock": lock}, _compute=fresh), "'lock'"),
    }[what]
    with pytest.raises(mirai_py.MiraiSerializationError, match=rf"{told}.*cannot pickle '_thread\.lock'"):
        call()
    others.add(30)
    others.check()
    assert mirai_py.info(fresh)["completed"] == 60


def test_a_daemon_that_is_killed_while_it_is_idle(fresh, log, others, ended):
    mirai_py.daemons(2, compute=fresh)
    pids = pids_of(fresh)
    profile = mirai_py.profiles.find_profile(fresh)
    os.kill(pids[0], signal.SIGKILL)
    with profile.changed:
        assert profile.changed.wait_for(lambda: profile.engine.info().connections == 1, 10)
    others.add(60)
    others.check()
    assert ended(pids[0])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT], ids=lambda s: s.name)
def test_daemons_that_are_killed_while_they_run(fresh, log, others, gate, how):
    mirai_py.daemons(2, compute=fresh)
    others.add(60)
    running = [mirai(gate.task, gate.argument, _compute=fresh) for _ in range(2)]
    others.add(60)
    pids = gate.wait(2)
    for pid in pids:
        os.kill(pid, how)
    assert [m.collect() for m in running] == [19, 19]
    assert {m.data.detail["pid"] for m in running} == set(pids)
    assert all(m.data.detail["signal"] == how.name and m.data.detail["task"] == m.id for m in running)
    mirai_py.launch_local(1, compute=fresh)
    others.check()


SEND_IN_BAND = """
import resource, signal
import mirai_py
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # no shared memory is to be had
mirai_py.daemon({url!r})
"""


def test_a_daemon_that_is_killed_while_it_sends_100_megabytes(fresh, log, others, relay):
    mirai_py.daemons(url="tcp://127.0.0.1:0", compute=fresh)
    others.add(60)
    slow = relay(mirai_py.nextget("url", compute=fresh), stop_after=10_000_000)
    source = SEND_IN_BAND.format(url=slow.url)
    daemon = mirai_py.launch_process([sys.executable, "-c", source], compute=fresh, stderr=subprocess.DEVNULL)
    m = mirai("note(path, 'large'); bytes(100_000_000)", note=log.task, path=log.argument, _compute=fresh)
    assert slow.stopped.wait(30)  # a tenth of the result is here
    others.add(60)
    daemon.signal(signal.SIGKILL)
    slow.cut()
    lost(signal="SIGKILL")(m.collect(), m, [daemon.pid])
    mirai_py.launch_local(1, compute=fresh)
    others.check(also=["large"])


class Relay:
    """A connection of a daemon that passes on what it sends up to a size, then nothing any more."""

    def __init__(self, url, stop_after):
        host, _, port = url.removeprefix("tcp://").partition(":")
        self._there = (host, int(port))
        self._left = stop_after
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        self.stopped = threading.Event()
        self._cut = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        daemon, _ = self._listening.accept()
        with daemon, socket.create_connection(self._there) as host:
            back = threading.Thread(target=self._pass, args=(host, daemon))
            back.start()
            while self._left > 0:
                data = daemon.recv(1 << 16)
                self._left -= len(data)
                host.sendall(data)
            self.stopped.set()
            self._cut.wait(30)
            for end in (host, daemon):
                end.shutdown(socket.SHUT_RDWR)
            back.join()

    def _pass(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)

    def cut(self):
        """End the connection."""
        self._cut.set()
        self._thread.join(30)
        self._listening.close()


@pytest.fixture
def relay():
    made = []

    def make(*arguments, **options):
        made.append(Relay(*arguments, **options))
        return made[-1]

    yield make
    for each in made:
        each.cut()


def test_a_daemon_that_is_stopped_in_a_task(fresh, log, others, gate):
    mirai_py.daemons(2, compute=fresh)
    others.add(60)
    m = mirai(gate.task, gate.argument, "kept", _compute=fresh)
    (pid,) = gate.wait()
    os.kill(pid, signal.SIGSTOP)
    gate.open()
    others.add(60)
    others.check()
    assert not m.done()
    assert mirai_py.info(fresh)["executing"] == 1
    os.kill(pid, signal.SIGCONT)
    assert m.collect() == "kept"


def test_a_thousand_cancels_in_a_loop(fresh, log, others):
    mirai_py.daemons(2, compute=fresh)
    pids = set(pids_of(fresh))
    choose = random.Random(5)
    doomed = []
    for i in range(1000):
        doomed.append(mirai(log.task, log.argument, f"doomed-{i}", "ran", _compute=fresh))
        if choose.random() < 0.3:
            others.add(1)
        assert doomed[-1].cancel() in (True, False)
        assert doomed[-1].data in ("ran", 20)
    assert set(pids_of(fresh)) == pids  # each daemon is done with all that it was given
    began = [name for name in log.began() if name.startswith("doomed")]
    others.check(also=began)  # none of them twice
    assert {f"doomed-{i}" for i, m in enumerate(doomed) if m.data == "ran"} <= set(began)


HOSTILE = [b"", b"x", b"GET / HTTP/1.1\r\n\r\n", b"MPY1" + bytes(200), b"\x80\x05.", b"\xff" * 100_000]


def test_peers_that_send_garbage_or_do_not_know_the_token(fresh, log, others, caplog):
    mirai_py.daemons(2, compute=fresh)
    url = mirai_py.nextget("url", compute=fresh)
    for garbage in HOSTILE:
        with nngsock.socket("pair1", dial=url) as peer:
            gone = threading.Event()
            nngsock.on_pipe(peer, lambda event, _, gone=gone: gone.set() if event == "remove" else None)
            assert nngsock.recv(peer, mode="raw", block=10_000)  # it is challenged
            others.add(20)
            nngsock.send(peer, garbage, mode="raw", block=True)
            assert gone.wait(10)
    stranger = subprocess.run(
        [sys.executable, "-c", f"import mirai_py; mirai_py.daemon({url!r})"],
        env={**os.environ, "MIRAI_PY_TOKEN": "a guess"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert stranger.returncode == 1
    assert "refused this daemon: the token is wrong" in stranger.stderr
    others.add(20)
    others.check()
    assert caplog.text.count("cut off a peer that sent what is no frame") == len(HOSTILE)
    assert "refused a daemon: the token is wrong" in caplog.text
    assert mirai_py.info(fresh)["cumulative"] == 2


# -- the host

HOST = """
import os, signal, sys, threading
import mirai_py
path, = sys.argv[1:]
def noted(name, seconds=0.0, data=None):
    import os, time
    log = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(log, f"{{name}}\\n".encode())
    os.close(log)
    time.sleep(seconds)
    return data
mirai_py.daemons(2)
pids = mirai_py.everywhere("import os; os.getpid()").collect()
large = bytes(5_000_000)  # in shared memory
mirais = [mirai_py.mirai(noted, i, 0.001, large if i % 10 == 0 else None) for i in range(1000)]
expected = [large if i % 10 == 0 else None for i in range(1000)]
mirais[100].call()
print(*pids, flush=True)
{end}
"""
ENDS = {
    "is killed": ("sys.stdin.read()", signal.SIGKILL, -signal.SIGKILL),
    "is terminated": ("sys.stdin.read()", signal.SIGTERM, -signal.SIGTERM),
    "gets Ctrl-C": ("[m.collect() for m in mirais]", signal.SIGINT, None),
    "ends": ("", None, 0),
    "exits": ("sys.exit(4)", None, 4),
    "fails": ("raise KeyError('on purpose')", None, 1),
    "ends at once": ("os._exit(5)", None, 5),
    "aborts": ("os.abort()", None, -signal.SIGABRT),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_host_that_ends_however_leaves_nothing_and_ran_nothing_twice(host, log, ended, how):
    end, number, code = ENDS[how]
    process = host(HOST.format(end=end), log.argument)
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2
    if number is not None:
        process.send_signal(number)
    process.communicate(timeout=40)
    assert code is None or process.returncode == code
    assert all(ended(pid) for pid in pids)
    assert set(log.began().values()) == {1}
    names = {f"mirai_py-{pid}-" for pid in [process.pid, *pids]}
    segments = Path("/dev/shm")
    assert not [p for p in segments.glob("mirai_py-*") if p.name.startswith(tuple(names))]


def test_a_host_that_is_interrupted_while_it_waits_goes_on(host, log):
    process = host(
        HOST.format(
            end=textwrap.dedent("""
            while True:
                try:
                    print("waiting", flush=True)
                    values = [m.collect() for m in mirais]
                    break
                except KeyboardInterrupt:
                    print("interrupted", flush=True)
            print(values == expected, mirai_py.info()["completed"])
            """)
        ),
        log.argument,
    )
    process.stdout.readline()
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert out.splitlines()[-1] == "True 1002", err
    assert log.began() == Counter(str(i) for i in range(1000))


def test_a_host_that_forks_goes_on_and_its_children_end_in_peace(host, log):
    process = host(
        HOST.format(
            end=textwrap.dedent("""
            children = []
            for how in range(3):
                child = os.fork()
                if child == 0:
                    if how == 0:
                        sys.exit(10)
                    if how == 1:
                        os._exit(11)
                    try:
                        mirais[-1].collect()
                    except mirai_py.MiraiException:
                        sys.exit(12)
                children.append(child)
            print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
            values = [m.collect() for m in mirais]
            print(values == expected, mirai_py.info()["connections"])
            """)
        ),
        log.argument,
    )
    out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    assert out.splitlines()[1:] == ["[10, 11, 12]", "True 2"]
    assert log.began() == Counter(str(i) for i in range(1000))
