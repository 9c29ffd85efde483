"""Start daemons on this machine, know them, and see them out."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mirai_py.errors import MiraiLaunchError
from mirai_py.handshake import TOKEN_VARIABLE
from mirai_py.lifetime import LOCAL_VARIABLE, life_line
from mirai_py.timer import timer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
STDERR_LINES = 20
TERMINATE_SECONDS = 2.0


def daemon_source(url: str, options: Mapping[str, Any]) -> str:
    """The one line of Python that is a daemon.

    Example:
        >>> daemon_source("tcp://127.0.0.1:5555", {"maxtasks": 2})
        "import mirai_py; mirai_py.daemon('tcp://127.0.0.1:5555', maxtasks=2)"
    """
    arguments = "".join(f", {name}={_literal(value)}" for name, value in options.items())
    return f"import mirai_py; mirai_py.daemon({url!r}{arguments})"


def _literal(value: object) -> str:
    return f"float({str(value)!r})" if value in (float("inf"), float("-inf")) else repr(value)


@dataclass(eq=False)
class LocalDaemon:
    """A daemon that this process started."""

    process: subprocess.Popen[bytes]
    cell: mmap.mmap
    output: Any
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _calls: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    _started: int = 0

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def started(self) -> int:
        """Id of the task that it started last, 0 if none."""
        with self._lock:
            return self._started if self._ended.is_set() else self._read_cell()

    def _read_cell(self) -> int:
        number: int = struct.unpack_from("<Q", self.cell)[0]
        return number

    def gone(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def when_ended(self, call: Callable[[dict[str, Any]], None], patience: float | None = 1.0) -> None:
        """Call back with its exit code or signal once it has ended, with nothing if that takes too long."""
        once = threading.Lock()

        def answer(end: dict[str, Any]) -> None:
            if once.acquire(blocking=False):
                call(end)

        with self._lock:
            if not self._ended.is_set():
                self._calls.append(answer)
                if patience is not None:
                    timer.after(patience, lambda: answer({}))
                return
        answer(self.end())

    def end(self) -> dict[str, Any]:
        """How it ended."""
        code = self.process.returncode
        return {"exit_code": code} if code >= 0 else {"signal": _signal_name(-code)}

    def watch(self) -> None:
        """Wait for its end, on a thread of its own: reaps it and tells who wants to know."""
        self.process.wait()
        with self._lock:
            self._started = self._read_cell()
            self._ended.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call(self.end())

    def last_words(self) -> str:
        """The last lines of its stderr before it was connected."""
        if self.output.closed:
            return ""
        self.output.seek(0)
        lines = self.output.read().decode(errors="replace").rstrip().splitlines()
        return "\n".join(lines[-STDERR_LINES:])

    def see_out(self, seconds: float) -> None:
        """Wait for it to end by itself, then make it."""
        for wait, number in ((seconds, signal.SIGTERM), (TERMINATE_SECONDS, signal.SIGKILL)):
            if self._ended.wait(wait):
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
                os.kill(self.pid, signal.SIGCONT)  # one that is stopped does not see a SIGTERM
        self._ended.wait()
        self.release()

    def release(self) -> None:
        """Give back what was kept for it; it has ended."""
        self.output.close()
        self.cell.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def start_local(url: str, token: str, options: Mapping[str, Any], *, threads: int | None = 1) -> LocalDaemon:
    """Start one daemon on this machine.

    Args:
        url: where the host listens.
        token: what it must know.
        options: keyword arguments of `daemon`.
        threads: threads of BLAS and OpenMP, where the environment does not say; None leaves them alone.

    Raises:
        MiraiLaunchError: the interpreter cannot be started.
    """
    with _memory() as descriptor:
        cell = mmap.mmap(descriptor, 8)
        life = life_line().reader
        output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the daemon is seen out
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", daemon_source(url, options)],
                stdin=subprocess.DEVNULL,
                stdout=None if options.get("output") is True else subprocess.DEVNULL,
                stderr=None if options.get("output") is True else output,
                env=_environment(token, life, descriptor, threads),
                pass_fds=(life, descriptor),
                # Ctrl-C in a terminal is for the host; it decides what becomes of its daemons.
                start_new_session=True,
            )
        except BaseException as error:
            output.close()
            cell.close()
            if isinstance(error, OSError):
                message = f"cannot start a daemon with {sys.executable!r}: {error}"
                raise MiraiLaunchError(message) from error
            raise
    daemon = LocalDaemon(process, cell, output)
    threading.Thread(target=daemon.watch, name=f"mirai_py-daemon-{process.pid}", daemon=True).start()
    return daemon


@contextlib.contextmanager
def _memory() -> Any:
    """A descriptor of 8 bytes of memory that host and daemon share; gone with its last user."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("mirai_py-started")
    else:
        descriptor, name = tempfile.mkstemp(prefix="mirai_py-")
        os.unlink(name)  # noqa: PTH108 - beside the descriptor
    try:
        os.truncate(descriptor, 8)
        yield descriptor
    finally:
        os.close(descriptor)


def _environment(token: str, life: int, cell: int, threads: int | None) -> dict[str, str]:
    environment = dict(os.environ)
    # PYTHONPATH finds this package in the child; the daemon then puts back what was there, for the
    # programs that tasks start.
    local = {"life": life, "cell": cell, "path": sys.path, "pythonpath": os.environ.get("PYTHONPATH")}
    environment[LOCAL_VARIABLE] = json.dumps(local)
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(p) for p in sys.path)  # noqa: PTH100
    environment[TOKEN_VARIABLE] = token
    if threads is not None:
        for name in THREAD_VARIABLES:
            environment.setdefault(name, str(threads))
    return environment
