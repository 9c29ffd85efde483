"""One sampler per process: starting it, stopping it, asking after it."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from autometric_py.check import (
    STANDARD_STREAMS,
    Pairs,
    Pids,
    StrPath,
    check_choice,
    check_extras,
    check_label,
    check_measurable,
    check_path,
    check_pid,
    check_pids,
    check_seconds,
)
from autometric_py.errors import AutometricError
from autometric_py.phase import log_phase_get, phase_cell
from autometric_py.support import log_version, supported

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from autometric_py.launch import Running
    from autometric_py.phase import Cell

Mode: TypeAlias = Literal["process", "thread"]


@dataclass(eq=False)
class Run:
    """What a sampler was told, and the process it runs in."""

    path: str
    seconds: float
    pids: Pairs
    mode: Mode
    sampler_pid: int | None = None


class _Control:
    """The sampler of this process, if there is one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._run: Run | None = None
        self._sampler: Running | None = None
        self._at_exit = False

    def current(self) -> Run | None:
        """The run whose sampler is alive; tells once of one that has ended by itself."""
        with self.lock:
            if self._sampler is None or self._sampler.alive():
                return self._run
            assert self._run is not None
            message = (
                f"the sampler is gone ({self._sampler.epitaph()}) and the log {self._run.path} stops there"
            )
            self.stop()
        warnings.warn(f"{message}; log_start() begins a new one", RuntimeWarning, stacklevel=3)
        return None

    def begin(self, run: Run, sampler: Running) -> None:
        self._run, self._sampler = run, sampler
        if not self._at_exit:
            self._at_exit = True
            atexit.register(log_stop)

    def send(self, order: dict[str, Any]) -> None:
        assert self._sampler is not None
        try:
            self._sampler.send(order)
        except OSError as error:
            raise AutometricError(f"the sampler takes no orders: {error}") from error

    def stop(self) -> None:
        with self.lock:
            sampler, self._sampler, self._run = self._sampler, None, None
            if sampler is not None:
                sampler.stop()

    def after_fork(self) -> None:
        """The sampler is the parent's; this process may start its own."""
        self.lock = threading.RLock()
        sampler, self._sampler, self._run = self._sampler, None, None
        if sampler is not None:
            sampler.abandon()


_control = _Control()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_control.after_fork)


class LogHandle:
    """A running log; as a context manager it stops the log that it started.

    `log_start` makes it. Where a sampler ran already, the handle tells of that one and does not stop it.

    Attributes:
        path: The file, absolute.
        seconds: The interval.
        mode: `"process"` or `"thread"`.

    Example:
        >>> with log_start("/dev/null", seconds=0.5) as log:
        ...     log.active
        True
        >>> log.active
        False
    """

    def __init__(self, run: Run, *, owner: bool) -> None:
        self._run = run
        self._owner = owner
        self.path = run.path
        self.seconds = run.seconds
        self.mode = run.mode

    def __repr__(self) -> str:
        state = "active" if self.active else "stopped"
        return (
            f"<LogHandle {self.path!r} every {self.seconds:g} s, {len(self.pids)} pids, {self.mode}, {state}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owner and self.active:
            log_stop()

    @property
    def pids(self) -> Pairs:
        """Pairs of name and pid that are followed, those attached later included."""
        return self._run.pids

    @property
    def active(self) -> bool:
        """Whether this very log still runs."""
        return _control.current() is self._run

    @property
    def sampler_pid(self) -> int | None:
        """The sampler's process; None on a thread."""
        return self._run.sampler_pid


def log_start(
    path: StrPath,
    seconds: float = 1.0,
    pids: Pids | None = None,
    error: bool | None = True,
    mode: Mode = "process",
    *,
    children: bool = False,
    extras: Sequence[str] = (),
) -> LogHandle:
    """Begin to log processes: a sampler appends a line for each of them at every interval.

    There is one sampler per process; while it runs, further calls change nothing. It is a small process of
    its own, so it keeps its beat whatever this one does, and it ends with this one, however that ends.
    The first line comes one interval after the call. CPU time is counted in ticks of 10 ms on Linux, so
    intervals below half a second give coarse figures.

    Args:
        path: The log, a text file that is appended to; missing folders are made. `"/dev/stdout"` and
            `"/dev/stderr"` (Linux and macOS) stand for what these descriptors are at the time of the call.
        seconds: The interval in seconds.
        pids: Whom to follow: None for this process under the name `"local"`, a pid, a sequence of pids, a
            mapping of names to pids, or a sequence of (name, pid) pairs.
        error: Whether to raise where logging is not supported (see `log_support`); None asks the environment
            variable `AUTOMETRIC_ERROR`, `0` for no.
        mode: `"process"`, or `"thread"` where no process may be started: then lines are late while this
            process holds the interpreter's lock.
        children: Whether the processes that these start, and those in turn, have lines as well, named
            `<name>/<program>`.
        extras: Extra columns of every line: `"threads"`, `"files"` (open ones), `"read"` and `"written"`
            (bytes since the process began), `"gpu"` (utilisation, percent) and `"gpu_memory"` (bytes; both
            need the extra `autometric-py[gpu]`).

    Returns:
        The running log; use it in a `with` statement to stop it at the end.

    Raises:
        AutometricTypeError: An argument is of the wrong type.
        AutometricValueError: An argument has a value that cannot be used.
        AutometricError: The file cannot be made, logging or an extra column is not supported, or the sampler
            did not start.

    Example:
        >>> log = log_start("/dev/null", seconds=0.5)
        >>> log_active()
        True
        >>> log_stop()
    """
    asked = Run(_checked(path), check_seconds(seconds), check_pids(pids), mode)
    check_choice("error", error, (True, False, None))
    check_choice("mode", mode, ("process", "thread"))
    check_choice("children", children, (True, False))
    options: dict[str, Any] = {
        "path": asked.path,
        "seconds": asked.seconds,
        "pids": asked.pids,
        "version": log_version(),
        "children": children,
        "extras": check_extras(extras),
    }
    with _control.lock:
        running = _control.current()
        if running is not None:
            return LogHandle(running, owner=False)
        if not supported(error=error):
            return LogHandle(asked, owner=False)
        check_measurable(options["extras"])
        _make_file(asked.path)
        sampler = _start(asked, options)
        _control.begin(asked, sampler)
        return LogHandle(asked, owner=True)


def _start(run: Run, options: dict[str, Any]) -> Running:
    """Start the sampler where it was asked for, or on a thread where no process can be started."""
    from autometric_py.launch import ThreadSampler

    cell = phase_cell()
    if run.mode == "process":
        sampler = _start_process(options, cell)
        if sampler is not None:
            run.sampler_pid = sampler.pid
            return sampler
        run.mode = "thread"
    return ThreadSampler(options | {"descriptor": STANDARD_STREAMS.get(run.path)}, cell)


def _start_process(options: dict[str, Any], cell: Cell) -> Running | None:
    """A sampler process, or None, with a warning, where no process can be started."""
    from autometric_py.launch import start_process

    reason = "there is no Python interpreter to run it"
    if sys.executable and not getattr(sys, "frozen", False):
        try:
            return start_process(options, cell)
        except OSError as error:
            reason = str(error)
    warnings.warn(
        f"the sampler runs on a thread, as no process could be started: {reason}; "
        "pass mode='thread' to be spared this warning",
        RuntimeWarning,
        stacklevel=4,
    )
    return None


def _checked(path: StrPath) -> str:
    try:
        return check_path(path)
    except OSError as error:
        raise AutometricError(f"the folder that {path!r} is relative to is gone: {error}") from error


def _make_file(path: str) -> None:
    """Make the log and the folders above it, so that a place that cannot be written is known at once."""
    try:
        if path in STANDARD_STREAMS:
            os.fstat(STANDARD_STREAMS[path])
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab"):  # noqa: PTH123 - devices and files alike
            pass
    except OSError as error:
        raise AutometricError(f"the log cannot be written to {path!r}: {error}") from error


def log_stop() -> None:
    """Stop the sampler of this process and wait until it has ended.

    After that no line is added and no process remains. Without a sampler nothing happens, as in a forked
    child, where the sampler is the parent's.

    Example:
        >>> _ = log_start("/dev/null", seconds=0.5)
        >>> log_stop()
        >>> log_active()
        False
    """
    if _control.current() is not None:
        _control.stop()


def log_active() -> bool:
    """Tell whether this process started a sampler that is alive.

    Returns:
        True while it is; a sampler that ended by itself is told of once, by a RuntimeWarning.

    Example:
        >>> log_active()
        False
    """
    return _control.current() is not None


def log_attach(pid: int, name: str = "") -> None:
    """Let the running sampler follow one more process; without a sampler nothing happens.

    Args:
        pid: The process; one that is followed already keeps its name.
        name: What its lines call it.

    Raises:
        AutometricTypeError: An argument is of the wrong type.
        AutometricValueError: `pid` is negative, or `name` holds `|` or a line break.
        AutometricError: The sampler does not take the order.

    Example:
        >>> import os
        >>> with log_start("/dev/null", seconds=0.5) as log:
        ...     log_attach(os.getppid(), "parent")
        ...     [name for name, _ in log.pids]
        ['local', 'parent']
    """
    pair = (check_label("name", name), check_pid(pid))
    with _control.lock:
        run = _control.current()
        if run is None or any(known == pair[1] for _, known in run.pids):
            return
        _control.send({"attach": pair})
        run.pids = (*run.pids, pair)


def log_detach(pid: int) -> None:
    """Let the running sampler no longer follow a process; without a sampler nothing happens.

    Args:
        pid: The process.

    Raises:
        AutometricTypeError: `pid` is not a number.
        AutometricValueError: `pid` is negative.
        AutometricError: The sampler does not take the order.

    Example:
        >>> import os
        >>> with log_start("/dev/null", seconds=0.5, pids=[os.getpid(), os.getppid()]) as log:
        ...     log_detach(os.getppid())
        ...     len(log.pids)
        1
    """
    number = check_pid(pid)
    with _control.lock:
        run = _control.current()
        if run is None or all(known != number for _, known in run.pids):
            return
        _control.send({"detach": number})
        run.pids = tuple(pair for pair in run.pids if pair[1] != number)


def log_print(
    path: StrPath, seconds: float = 1.0, pids: Pids | None = None, error: bool | None = True
) -> None:
    """Measure over one interval, here and now, and append one line per process to a log.

    It works beside a running sampler.

    Args:
        path: The log, as in `log_start`.
        seconds: The interval in seconds, for which the call blocks.
        pids: Whom to measure, as in `log_start`.
        error: Whether to raise where logging is not supported, as in `log_start`.

    Raises:
        AutometricTypeError: An argument is of the wrong type.
        AutometricValueError: An argument has a value that cannot be used.
        AutometricError: The log cannot be written, or logging is not supported.

    Example:
        >>> log_print("/dev/null", seconds=0.1)
    """
    file, interval, pairs = _checked(path), check_seconds(seconds), check_pids(pids)
    check_choice("error", error, (True, False, None))
    if not supported(error=error):
        return
    _make_file(file)
    from autometric_py.record import record_line
    from autometric_py.sampler import Sink, Watch

    watches = [Watch(name, pid) for name, pid in pairs]
    try:
        time.sleep(interval)
        phase = log_phase_get()
        lines = [record_line(log_version(), w.pid, w.name, phase, w.sample()) for w in watches]
        Sink(file, STANDARD_STREAMS.get(file)).append(lines)
    except OSError as failure:
        raise AutometricError(f"the log cannot be written to {file!r}: {failure}") from failure
    finally:
        for watch in watches:
            watch.close()
