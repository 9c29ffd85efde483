"""Users' callbacks: run where an operation completes, or on the library's one thread for them."""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from nngsock._native import life
from nngsock.sync import acquire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = (
    "Task",
    "callback_ran",
    "later",
    "log_exception",
    "repeats_closed",
    "run_event_loop",
    "run_inline",
    "stop_thread",
)

logger = logging.getLogger("nngsock")


class Task(Protocol):
    """A user's callback with what it is called with."""

    def __call__(self) -> None:
        """Call the user's function."""

    def tells_closed(self, con: object) -> bool:
        """Whether it tells the user that this connection is closed."""


def log_exception(*exc_info: Any) -> None:
    """Send what a callback raised to logging: there is no caller to raise it to.

    On the library's own thread, since a handler may be slow, and logging would register NNG's threads with
    `threading` for ever.
    """
    if not life.closing:  # the thread has ended, and another one cannot be started
        later(_LogTask(exc_info))


class _LogTask:
    """An exception to log."""

    __slots__ = ("_exc_info",)

    def __init__(self, exc_info: Any) -> None:
        self._exc_info = exc_info

    def __call__(self) -> None:
        logger.error("exception in a callback", exc_info=self._exc_info)

    def tells_closed(self, _con: object) -> bool:
        return False


class _Inline(threading.local):
    """The callbacks that run on this thread: those that wait for their turn and the one at work."""

    queue: deque[Task] | None = None
    current: Task | None = None


_inline = _Inline()


def run_inline(tasks: Iterable[Task]) -> None:
    """Run users' callbacks here and now; if one is at work on this thread, after it has returned.

    So a callback that resubmits its own kind of operation makes a loop, not a recursion.
    """
    if _inline.queue is not None:
        _inline.queue.extend(tasks)
        return
    _inline.queue = queue = deque(tasks)
    try:
        while queue:
            _inline.current = task = queue.popleft()
            try:
                task()
            except Exception:
                log_exception(*sys.exc_info())
            callback_ran()
    finally:
        _inline.queue = _inline.current = None


# Who waits for any callback to run.
_watchers: deque[Callable[[], object]] = deque()


def callback_ran() -> None:
    """Tell who waits in `run_event_loop` that a user's callback has run."""
    while _watchers:
        with contextlib.suppress(IndexError):  # another thread was faster
            _watchers.popleft()()


def run_event_loop(timeout: float = math.inf) -> bool:
    """Wait until a callback has run. They all run by themselves; for code that was written for R.

    Args:
        timeout: Milliseconds.

    Returns:
        Whether one has run within that time.

    Example:
        >>> nngsock.run_event_loop(0)
        False
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or math.isnan(timeout):
        raise TypeError(f"`timeout` must be a number of milliseconds, not {timeout!r}")
    lock = threading.Lock()
    lock.acquire()
    _watchers.append(lock.release)
    try:
        return acquire(lock, None if math.isinf(timeout) else timeout / 1000)
    finally:
        with contextlib.suppress(ValueError):  # it has been called
            _watchers.remove(lock.release)


def repeats_closed(con: object) -> bool:
    """Whether the callback at work on this thread has been told that `con` is closed.

    If it submits to that connection again, it must not hear of it again: that would have no end.
    """
    current = _inline.current
    return current is not None and current.tells_closed(con)


class _CallbackThread:
    """The library's one thread for users' callbacks, started when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, task: Task) -> None:
        if self._thread is None:
            self._start()
        self._queue.put(task)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nngsock-callbacks", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (task := self._queue.get()) is not None and not life.closing:
            run_inline((task,))
            del task  # else an aio lives on until the next one comes

    def stop(self) -> None:
        self._queue.put(None)


_callback_thread = _CallbackThread()
later = _callback_thread.put
stop_thread = _callback_thread.stop
