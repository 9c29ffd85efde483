"""Start daemons on this machine, know them, and see them out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from mirai_py.errors import MiraiLaunchError
from mirai_py.handshake import TOKEN_VARIABLE
from mirai_py.lane import Lane
from mirai_py.lifetime import LOCAL_VARIABLE, life_line
from mirai_py.record import Record, shared_memory
from mirai_py.timer import timer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    File = IO[bytes] | int | None

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
STDERR_LINES = 20
TERMINATE_SECONDS = 2.0


def daemon_source(url: str, options: Mapping[str, Any]) -> str:
    """The one line of Python that is a daemon.

    Example:
        >>> daemon_source("tcp://127.0.0.1:5555", {"maxtasks": 2})
        'import mirai_py; mirai_py.daemon("tcp://127.0.0.1:5555", maxtasks=2)'
    """
    arguments = "".join(f", {name}={_literal(value)}" for name, value in options.items())
    return f"import mirai_py; mirai_py.daemon({_literal(url)}{arguments})"


def _literal(value: object) -> str:
    """Python for a value, without single quotes where possible: shells put them around it."""
    if isinstance(value, str | os.PathLike):
        value = os.fspath(value)
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        inner = ", ".join(map(_literal, value))
        return f"({inner})" if len(value) != 1 else f"({inner},)"
    return f'float("{value}")' if value in (float("inf"), float("-inf")) else repr(value)


@dataclass(eq=False, repr=False)
class LocalDaemon:
    """A daemon that this process started; what `launch_process` returns.

    Attributes:
        process: its process; do not wait for it, but use `wait` and `when_ended`.
        record: what it has begun and finished.
        lane: the short way to it.
        output: a file that holds its stderr, where that went nowhere else.

    Example:
        >>> with daemons(url=local_url()):
        ...     source = f"import mirai_py; mirai_py.daemon({nextget('url')!r})"
        ...     program = launch_process([sys.executable, "-c", source])
        ...     _ = mirai(abs, -1).collect()
        >>> program.wait(10), program.returncode
        (True, 0)
    """

    process: subprocess.Popen[bytes]
    record: Record
    lane: Lane | None = None
    output: IO[bytes] | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _calls: list[Callable[[dict[str, Any]], object]] = field(default_factory=list)
    _started: int = 0
    _finished: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    _pieces: list[tuple[int, int, bytes]] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, minus the signal's number if one ended it; None while it runs."""
        return self.process.returncode if self.gone() else None

    def started(self) -> int:
        """Id of the task that it started last, 0 if none."""
        with self._lock:
            return self._started if self._ended.is_set() else self.record.started()

    def finished(self) -> dict[int, tuple[int, bytes]]:
        """Status and body of results that it had not sent when it ended, by task."""
        return self._finished

    def pieces(self) -> list[tuple[int, int, bytes]]:
        """Values of elements of maps that it had not sent when it ended: first id, number, page."""
        return self._pieces

    def gone(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for its end; whether it has ended within `timeout` seconds (None: for ever)."""
        return self._ended.wait(timeout)

    def signal(self, number: int) -> None:
        """Send it a signal; one that has ended gets none."""
        self.process.send_signal(number)

    def when_ended(self, call: Callable[[dict[str, Any]], object], patience: float | None = 1.0) -> None:
        """Call back once it has ended, at once if it has.

        Args:
            call: called, on any thread, with `{"exit_code": int}` or `{"signal": name}`; with nothing in the
                dict if the end does not come in time.
            patience: seconds to wait for the end; None for ever.
        """
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
            self._started = self.record.started()
            self._finished, self._pieces = self.record.finished(), self.record.pieces()
            self._ended.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call(self.end())

    def last_words(self) -> str:
        """The last lines of its stderr before it was connected."""
        if self.output is None or self.output.closed:
            return ""
        self.output.seek(0)
        lines = self.output.read().decode(errors="replace").rstrip().splitlines()
        return "\n".join(lines[-STDERR_LINES:])

    def see_out(self, seconds: float) -> None:
        """Wait for it to end by itself, then make it."""
        for wait, number in ((seconds, signal.SIGTERM), (TERMINATE_SECONDS, signal.SIGKILL)):
            if self._ended.wait(wait):
                break
            self.signal(number)
            self.signal(signal.SIGCONT)  # one that is stopped does not see a SIGTERM
        self._ended.wait()
        self.release()

    def release(self) -> None:
        """Give back what was kept for it; it has ended."""
        if self.output is not None:
            self.output.close()
        self.record.close()

    def __repr__(self) -> str:
        code = self.returncode
        return f"< daemon [pid {self.pid}, {'running' if code is None else f'exit status {code}'}] >"


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
    output = None if options.get("output") is True else tempfile.TemporaryFile()  # noqa: SIM115 - seen out
    environment = dict(os.environ)
    # PYTHONPATH finds this package in the child; the daemon then puts back what was there, for the
    # programs that tasks start.
    paths = {"path": sys.path, "pythonpath": os.environ.get("PYTHONPATH")}
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(p) for p in sys.path)  # noqa: PTH100
    if threads is not None:
        for name in THREAD_VARIABLES:
            environment.setdefault(name, str(threads))
    try:
        return start_process(
            [sys.executable, "-c", daemon_source(url, options)],
            token,
            environment,
            stdout=subprocess.DEVNULL if output else None,
            stderr=output,
            output=output,
            settings=paths,
        )
    except BaseException:
        if output is not None:
            output.close()
        raise


def start_process(
    command: Sequence[str],
    token: str,
    environment: Mapping[str, str],
    *,
    stdout: File = None,
    stderr: File = None,
    output: IO[bytes] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> LocalDaemon:
    """Start a program that becomes a daemon of this process.

    Args:
        command: the program with its arguments.
        token: what the daemon must know.
        environment: its variables, besides those that the library adds.
        stdout: where its output goes, as for `subprocess.Popen`.
        stderr: likewise.
        output: a file in which to find its last words.
        settings: what else to tell the daemon.

    Raises:
        MiraiLaunchError: the program cannot be started.
    """
    with shared_memory() as descriptor:
        record = Record(descriptor)
        life = life_line().reader
        ours, theirs = Lane.pair() or (None, None)
        passed = [life, descriptor] if theirs is None else [life, descriptor, theirs.descriptor]
        local = {**dict(zip(("life", "record", "lane"), passed, strict=False)), **(settings or {})}
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**environment, TOKEN_VARIABLE: token, LOCAL_VARIABLE: json.dumps(local)},
                pass_fds=passed,
                # Ctrl-C in a terminal is for the host; it decides what becomes of its daemons.
                start_new_session=True,
            )
        except BaseException as error:
            record.close()
            if isinstance(error, OSError):
                message = f"cannot start a daemon with {command[0]!r}: {error}"
                raise MiraiLaunchError(message) from error
            raise
    daemon = LocalDaemon(process, record, ours, output)
    threading.Thread(target=daemon.watch, name=f"mirai_py-daemon-{process.pid}", daemon=True).start()
    return daemon
