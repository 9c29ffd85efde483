"""Starting a sampler, in a process or on a thread, and what can be asked of one that runs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from autometric_py.check import STANDARD_STREAMS
from autometric_py.errors import AutometricError
from autometric_py.sampler import GROUP_SIGNALS, READY, STOP, Sampler
from autometric_py.support import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autometric_py.phase import Cell

SCRIPT = str(Path(__file__).with_name("sampler_process.py"))
# A loaded machine may take long to start a process; one that never answers must not block for ever.
START_SECONDS = 30.0
STOP_SECONDS = 1.0


class Running(Protocol):
    """A sampler at work."""

    pid: int | None

    def alive(self) -> bool:
        """Whether it still samples."""

    def send(self, order: dict[str, Any]) -> None:
        """Give it an order."""

    def stop(self) -> None:
        """End it and wait until it has ended."""

    def abandon(self) -> None:
        """Forget it in a forked child, where it is the parent's."""

    def epitaph(self) -> str:
        """How one that is no longer alive ended."""


class ProcessSampler:
    """A sampler in a process of its own.

    Its standard input carries the orders, its standard output ends when it ends.
    """

    def __init__(self, process: subprocess.Popen[bytes], orders: IO[bytes], life: IO[bytes]) -> None:
        self.pid: int | None = process.pid
        self._process = process
        self._orders = orders
        self._life = life

    def __repr__(self) -> str:
        return f"<ProcessSampler pid={self.pid} {'alive' if self.alive() else 'ended'}>"

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def send(self, order: dict[str, Any]) -> None:
        """Write one order to the pipe."""
        self._orders.write(json.dumps(order).encode() + b"\n")

    def stop(self) -> None:
        """Order it to stop; kill it when it has not ended in time."""
        # The order matters where a fork of this process keeps the pipe open: then no end-of-file comes.
        with contextlib.suppress(OSError):
            self.send(STOP)
        self._orders.close()
        if not self._wait(STOP_SECONDS):
            self._process.kill()
        self._process.wait()
        self._life.close()

    def _wait(self, seconds: float) -> bool:
        if os.name == "posix":
            return _wait_for_end(self._life, seconds)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.alive()

    def abandon(self) -> None:
        """Close this copy of the pipes; the process is not this one's child."""
        self._process.returncode = 0
        self._orders.close()
        self._life.close()

    def epitaph(self) -> str:
        """The signal or status it ended with, and the last thing it said."""
        code = self._process.wait()
        how = f"signal {-code}" if code < 0 else f"status {code}"
        said = self._life.read() if os.name == "posix" else b""
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        return f"process {self.pid} ended with {how}{last and ': ' + last}"


class ThreadSampler:
    """A sampler on a daemon thread of this process."""

    pid: int | None = None

    def __init__(self, options: dict[str, Any], cell: Cell) -> None:
        self._orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        sampler = Sampler(options, cell.read, self._orders)
        self._thread = threading.Thread(target=sampler.run, name="autometric-sampler", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<ThreadSampler {'alive' if self.alive() else 'ended'}>"

    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def send(self, order: dict[str, Any]) -> None:
        """Queue one order."""
        self._orders.put(order)

    def stop(self) -> None:
        """Order it to stop, and join it."""
        self._orders.put(STOP)
        self._thread.join()

    def abandon(self) -> None:
        """Nothing to do: no thread runs on in a forked child."""

    def epitaph(self) -> str:
        """It ends early only by an error, which its thread has shown."""
        return "its thread ended"


def start_process(options: dict[str, Any], cell: Cell) -> ProcessSampler:
    """Start a sampler process and wait until it has its first figures.

    Raises:
        OSError: The system starts no process.
        AutometricError: The process did not come up.
    """
    shared = [] if cell.temporary else [cell.descriptor]
    path = str(cell.temporary) if cell.temporary else f"/proc/self/fd/{cell.descriptor}"
    with _stream_of(options["path"]) as stream:
        search = [folder for name in ("psutil", "pynvml") if (folder := folder_of(name))]
        options = options | {"descriptor": stream, "cell": path, "search": search}
        inherited = shared if stream is None else [*shared, stream]
        with _group_signals_blocked():
            process = subprocess.Popen(
                command_line(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                cwd=os.path.abspath(os.sep),  # noqa: PTH100 - keeps no folder busy
                pass_fds=inherited,
            )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _introduce(process.stdin, process.stdout, options)
    except BaseException:  # Ctrl-C as well
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()
        raise
    return ProcessSampler(process, process.stdin, process.stdout)


def command_line() -> list[str]:
    """How to run the sampler: isolated, without `site`, and reading paths the way this process does."""
    return [sys.executable, "-I", "-S", "-X", f"utf8={sys.flags.utf8_mode}", SCRIPT, str(os.getpid())]


def _introduce(orders: IO[bytes], answers: IO[bytes], options: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # then it has ended, and said why
        orders.write(json.dumps(options).encode() + b"\n")
    answer = b""
    while not answer.endswith(READY):
        if os.name == "posix" and not _readable(answers, START_SECONDS):
            raise AutometricError(f"the sampler did not answer within {START_SECONDS:g} s")
        data = answers.read(65536)
        if not data:
            said = answer.decode(errors="replace").strip() or "nothing"
            error = AutometricError(f"the sampler ended at its start; it said: {said.rpartition(chr(10))[2]}")
            error.add_note(f"It was {' '.join(command_line())}; mode='thread' needs no process.\n{said}")
            raise error
        answer += data


def _wait_for_end(stream: IO[bytes], seconds: float) -> bool:
    """Read a pipe to its end, within this time."""
    deadline = time.monotonic() + seconds
    while _readable(stream, max(0.0, deadline - time.monotonic())):
        if not stream.read(65536):
            return True
    return False


def _readable(stream: IO[bytes], seconds: float) -> bool:
    """Wait until there is something to read, or its end."""
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


@contextlib.contextmanager
def _stream_of(path: str) -> Iterator[int | None]:
    """A descriptor for the sampler to write to, where the path is one of the standard streams.

    Opening the device anew would start at the beginning of a file that the shell redirected to.
    """
    number = STANDARD_STREAMS.get(path)
    if number is None:
        yield None
        return
    descriptor = os.dup(number)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _group_signals_blocked() -> Iterator[None]:
    """Keep Ctrl-C and its like from the sampler until it can ignore them; the mask is inherited."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
