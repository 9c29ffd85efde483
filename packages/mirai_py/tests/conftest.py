"""What the tests of this package share."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

import mirai_py
from mirai_py import posixshm, shm
from mirai_py.handles import Mirai
from mirai_py.shm import Pool
from mirai_py.sweeper import Sweeper


@pytest.fixture(scope="module")
def two():
    """The name of a profile with two daemons, for tests that leave it as they found it."""
    name = f"two-{uuid.uuid4().hex[:8]}"
    mirai_py.daemons(2, compute=name)
    yield name
    mirai_py.daemons(0, compute=name)


@pytest.fixture(scope="module")
def one():
    """The name of a profile with one daemon, for tests that leave it as they found it."""
    name = f"one-{uuid.uuid4().hex[:8]}"
    mirai_py.daemons(1, compute=name)
    yield name
    mirai_py.daemons(0, compute=name)


@pytest.fixture
def fresh():
    """A name for a profile of the test's own; it is reset afterwards."""
    name = f"fresh-{uuid.uuid4().hex[:8]}"
    yield name
    mirai_py.daemons(0, compute=name)


@pytest.fixture
def resolved():
    """A function that gives a mirai with a value."""

    def make(value):
        m = Mirai()
        m._resolve_value(value)
        return m

    return make


@pytest.fixture
def sent(monkeypatch):
    """Sizes of the messages that the host sends."""
    sizes = []
    send = mirai_py.host.Host.send

    def watch(self, pipe, parts):
        sizes.append(sum(map(len, parts)))
        send(self, pipe, parts)

    monkeypatch.setattr(mirai_py.host.Host, "send", watch)
    return sizes


class Gate:
    """Lets a test know that a task runs, and the task go on when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._holds = []
        self._make("begun")
        self._make("go")

    def _make(self, name: str) -> None:
        os.mkfifo(self.folder / name)
        # Held open at both ends, so that neither side waits for the other to open it.
        self._holds.append(os.open(self.folder / name, os.O_RDWR))

    @property
    def argument(self) -> str:
        """What to give to `pass_gate` in the task."""
        return str(self.folder)

    def wait(self, times: int = 1) -> list[int]:
        """Wait until that many tasks stand at the gate; gives the pids of their daemons."""
        pids = []
        for _ in range(times):
            assert select.select([self._holds[0]], [], [], 30)[0], "no task came to the gate"
            pids.append(int(os.read(self._holds[0], 16)))
        return pids

    def open(self, times: int = 1) -> None:
        """Let that many tasks go on."""
        for _ in range(times):
            os.write(self._holds[1], b"g")

    def close(self) -> None:
        for descriptor in self._holds:
            os.close(descriptor)


def pass_gate(folder, value=None):
    """Runs in a task: report, wait, return."""
    import os

    begun = os.open(f"{folder}/begun", os.O_WRONLY)
    os.write(begun, b"%16d" % os.getpid())
    os.close(begun)
    go = os.open(f"{folder}/go", os.O_RDONLY)
    os.read(go, 1)
    os.close(go)
    return value


@pytest.fixture
def gate(tmp_path):
    """A gate, see `Gate`, with `gate.task` to run in a daemon."""
    folder = tmp_path / "gate"
    folder.mkdir()
    gate = Gate(folder)
    gate.task = by_value(pass_gate)
    yield gate
    gate.close()


class Log:
    """Where tasks note that they begin: `log.task` runs in a daemon, as `task(log.argument, name)`."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path = path
        self.task = by_value(note)

    @property
    def argument(self) -> str:
        """What to give to the task."""
        return str(self._path)

    def began(self) -> Counter[str]:
        """How often each has begun, by name."""
        return Counter(self._path.read_text().split())

    def clear(self) -> None:
        """Forget all."""
        self._path.write_text("")


def note(path, name, value=None):
    """Runs in a task: note that it began, and return the value."""
    import os

    log = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(log, f"{name}\n".encode())
    os.close(log)
    return value


@pytest.fixture
def log(tmp_path):
    """A log, see `Log`."""
    return Log(tmp_path / "log")


def by_value(function):
    """A copy of a function that belongs to no module that could be imported, so that it travels by value."""
    import types

    copy = types.FunctionType(
        function.__code__, {"__builtins__": __builtins__}, function.__name__, function.__defaults__
    )
    copy.__module__ = "__main__"
    return copy


@pytest.fixture
def ended():
    """Wait for a process to end: `ended(pid)` is true if it does within the time."""

    def wait(pid: int, seconds: float = 10.0) -> bool:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            try:
                return bool(select.select([descriptor], [], [], seconds)[0])
            finally:
                os.close(descriptor)
        return True

    return wait


@pytest.fixture
def logged(caplog):
    """A block that ends once a message with a text was logged: `with logged(text)`."""

    @contextlib.contextmanager
    def wait(text):
        came = threading.Event()

        class Watcher(logging.Handler):
            def emit(self, record):
                if text in record.getMessage():
                    came.set()

        # Behind caplog's own, which then has it too.
        logger, watcher = logging.getLogger(), Watcher()
        logger.addHandler(watcher)
        try:
            yield
            assert came.wait(30), f"{text!r} was not logged but {caplog.text!r}"
        finally:
            logger.removeHandler(watcher)

    return wait


@pytest.fixture
def memory_of_kind(monkeypatch):
    """Use one kind of shared memory, here and in daemons: `memory_of_kind("posix")` gives the pool."""
    pool, sweeper = Pool(), Sweeper()

    def use(kind):
        monkeypatch.setattr(posixshm, "sweeper", sweeper)
        monkeypatch.setattr(shm, "kind", shm.KINDS[kind])
        monkeypatch.setattr(shm, "pool", pool)
        monkeypatch.setattr(shm, "_probe", "")
        monkeypatch.setattr(shm, "_probes", [])
        monkeypatch.setenv(shm.VARIABLE, kind)
        return pool

    yield use
    shm._probes.clear()
    gc.collect()
    deadline = time.monotonic() + 10
    # What daemons held comes back once they are seen to be gone.
    while pool._open and time.monotonic() < deadline:
        pool.drain()
        time.sleep(0.01)
    sweeper.close()
    assert pool._open == 0


@pytest.fixture
def without(monkeypatch):
    """Make a package as good as not installed: `without("aiohttp")`."""

    def hide(package):
        for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, package, None)

    return hide


@pytest.fixture
def host():
    """Run a host in a process of its own: `host(source, *arguments)`; what it prints is read line by line."""
    started = []

    def start(source, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
