"""Operations under way and how they end: the one callback through which every aio of NNG completes.

The callback gets an integer key into `pending`, never a pointer to a Python object: a key that is gone
is ignored where a stale handle would crash. An aio works on one operation at a time, and is kept for the
next when neither its callback nor a canceller still uses it (hence `Operation.users`). None is ever freed:
reaping wakes another thread for each message, and aborts the process if `nng_fini` comes before it is done.
So there are as many as there once were operations under way.

Rules of NNG's threads, on which `Operation.__call__` runs: never free, stop or wait for an aio there (that
never returns), never block, never hold a lock of ours while calling NNG.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import sys
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from nngsock import _native
from nngsock._native import ffi, lib, life, new
from nngsock.errors import ECANCELED, ECLOSED, check
from nngsock.message import free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = (
    "DEFAULT",
    "Operation",
    "Task",
    "at_exit",
    "keep_aio",
    "later",
    "pending",
    "run_inline",
    "submit",
    "take_aio",
)

logger = logging.getLogger("nngsock")

DEFAULT = -2  # NNG_DURATION_DEFAULT: the timeout that the socket has as an option

_AIO_P = ffi.typeof("nng_aio **")
_VOID_P = ffi.typeof("void *")
_UINTPTR = ffi.typeof("uintptr_t")
_cast = ffi.cast
_alloc_aio = lib.nng_aio_alloc
_cancel = lib.nng_aio_cancel
_is_busy = lib.nng_aio_busy
_result_of = lib.nng_aio_result
_message_of = lib.nng_aio_get_msg
_set_message = lib.nng_aio_set_msg
_set_timeout = lib.nng_aio_set_timeout
_new_lock = threading.Lock
# Re-entrant, since the garbage collector may drop an aio, and so cancel it, inside any of these blocks.
_new_rlock = threading.RLock
_keys = itertools.count(1)
_idle: list[tuple[int, Any]] = []

# What NNG works on, by key: each is called, once, when its aio has completed.
pending: dict[int, Callable[[], None]] = {}


def _complete(pointer: Any) -> None:
    done = pending.pop(int(_cast(_UINTPTR, pointer)), None)
    if done is not None:
        done()


def log_exception(*exc_info: Any) -> None:
    """Send what a callback raised to logging: there is no caller to raise it to.

    On the library's own thread, since a handler may be slow, and logging would register NNG's threads with
    `threading` for ever.
    """
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


def _make_callback() -> tuple[Any, dict[Any, Any]]:
    try:
        return ffi.callback("void(void*)", _complete, onerror=log_exception), pending
    except MemoryError:  # a kernel that forbids executable memory: use the function compiled into pynng
        import pynng._aio

        return lib._async_complete, pynng._aio._aio_map  # noqa: SLF001


_callback, pending = _make_callback()


def take_aio() -> tuple[int, Any]:
    """An idle aio with its key, or a new one."""
    try:
        return _idle.pop()
    except IndexError:
        key = next(_keys)
        out = new(_AIO_P)
        check(_alloc_aio(out, _callback, _cast(_VOID_P, key)))
        return key, out[0]


def keep_aio(key: int, aio: Any) -> None:
    """Keep an aio that nobody uses any more for the next operation."""
    _idle.append((key, aio))


class Task(Protocol):
    """A user's callback with what it is called with."""

    def __call__(self) -> None:
        """Call the user's function."""

    def tells_closed(self, con: object) -> bool:
        """Whether it tells the user that this connection is closed."""


class Gate:
    """What every call passes that works on a socket or its contexts, so that none meets their closing.

    NNG forgets an operation that comes while it closes the socket, and aborts the process when that one is
    cancelled later, or when a context is used while its socket is being closed. The lock is held for calls
    that do not wait only.

    Args:
        socket: For a context, the gate of its socket.

    Attributes:
        closed: Nothing may pass any more.
        lock: Shared by a socket and its contexts.
    """

    __slots__ = ("__weakref__", "_contexts", "closed", "lock", "socket")

    lock: threading.RLock

    def __init__(self, socket: Gate | None = None) -> None:
        self.closed = False
        self._contexts: weakref.WeakSet[Gate] = weakref.WeakSet()
        self.socket = socket
        # Re-entrant, since the garbage collector may close one socket or context within a call of another.
        self.lock = _new_rlock() if socket is None else socket.lock
        if socket is not None:
            socket.add(self)

    def add(self, context: Gate) -> None:
        """Close that one with this one."""
        with self.lock:
            self._contexts.add(context)
            context.closed = self.closed

    def close(self) -> None:
        """Let nothing pass any more."""
        with self.lock:
            self.closed = True
            for context in self._contexts:
                context.closed = True

    def call(self, function: Callable[..., int], *args: Any) -> int:
        """Call a function of NNG that does not wait; error 7 if closed."""
        if life.halted:
            return too_late()
        with self.lock:
            return ECLOSED if self.closed else function(*args)

    def belongs_to(self, other: Gate) -> bool:
        """Whether it is that gate, or of a context of that socket."""
        return other is self or other is self.socket


class Operation:
    """One send or receive, from its submission to its outcome.

    Attributes:
        aio: NNG's handle; None if the operation ended before one was needed.
        gate: What it was submitted through.
        key: The key of the aio in `pending`.
        message: What is to be sent, or what has been received: ours to free.
        result: None while under way, then 0 or the error number.
        sending: Whether it is a send.
        wakers: Functions of this library to call at completion; None afterwards.
        tasks: Users' callbacks to run on NNG's thread after them; None afterwards.
        users: How many (the callback, cancellers) still use the aio.
    """

    __slots__ = ("aio", "gate", "key", "lock", "message", "result", "sending", "tasks", "users", "wakers")

    def __init__(self, gate: Gate, message: Any, result: int | None, *, sending: bool) -> None:
        self.aio: Any = None
        self.key = 0
        self.gate = gate
        self.message = message
        self.result = result
        self.sending = sending
        self.lock = _new_rlock()
        self.users = 1
        self.wakers: list[Callable[[], object]] | None = None
        self.tasks: list[Task] | None = None

    def __call__(self) -> None:
        """Complete; called by NNG."""
        aio = self.aio
        result = _result_of(aio)
        if self.sending:
            message, self.message = self.message, None
            if result:
                free(message)  # a failed send leaves it to us
        elif not result:
            self.message = _message_of(aio)
        with self.lock:
            self.result = result
            wakers, self.wakers = self.wakers, None
            tasks, self.tasks = self.tasks, None
            self.users -= 1
            last = not self.users
        if wakers:
            for wake in wakers:
                wake()
        if tasks and not life.closing:
            run_inline(tasks)
        if last:
            keep_aio(self.key, aio)

    def __del__(self) -> None:
        if self.message is not None:
            free(self.message)

    def when_done(self, wake: Callable[[], object]) -> bool:
        """Have `wake` called at completion; False, and no call, if that is past."""
        with self.lock:
            if self.result is not None:
                return False
            if self.wakers is None:
                self.wakers = [wake]
            else:
                self.wakers.append(wake)
            return True

    def then_run(self, task: Task) -> bool:
        """Have a user's callback run on NNG's thread at completion; False, and no call, if that is past."""
        with self.lock:
            if self.result is not None:
                return False
            if self.tasks is None:
                self.tasks = [task]
            else:
                self.tasks.append(task)
            return True

    def forget(self, wake: Callable[[], object]) -> None:
        """Undo `when_done`."""
        with self.lock:
            if self.wakers is not None and wake in self.wakers:
                self.wakers.remove(wake)

    def cancel(self) -> None:
        """Ask NNG to end it; the outcome comes through the callback as always."""
        if not life.halted:  # at exit all are ended, and afterwards NNG would abort the process
            self.abort()

    def abort(self) -> None:
        """Cancel, whatever state the library is in."""
        with self.lock:
            if self.result is not None:
                return
            self.users += 1
        _cancel(self.aio)
        with self.lock:
            self.users -= 1
            last = not self.users
        if last:
            keep_aio(self.key, self.aio)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the outcome; False if it takes longer. Interrupted by signals on the main thread."""
        if self.result is not None:
            return True
        if life.forked:
            _native.refuse()
        lock = _new_lock()
        lock.acquire()
        release = lock.release
        if not self.when_done(release):
            return True
        came = False
        try:
            came = acquire(lock, seconds)
        finally:
            if not came:
                self.forget(release)
        return came or self.result is not None


if sys.platform == "win32":  # there, waiting for a lock is not interruptible

    def acquire(lock: threading.Lock, seconds: float | None = None) -> bool:
        """Wait for a lock in slices, so that Ctrl-C comes through."""
        import time

        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = 0.1 if deadline is None else min(0.1, deadline - time.monotonic())
            if lock.acquire(timeout=max(left, 0)):
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False

else:

    def acquire(lock: threading.Lock, seconds: float | None = None) -> bool:
        """Wait for a lock."""
        if seconds is None:
            return lock.acquire()
        return lock.acquire(timeout=min(max(seconds, 0), threading.TIMEOUT_MAX))


def submit(
    gate: Gate, start: Callable[[Any, Any], None], handle: Any, timeout: int, message: Any = None
) -> Operation:
    """Give NNG one operation.

    Args:
        gate: The gate of the socket or context.
        start: The function of NNG that starts it, called with the handle and the aio.
        handle: NNG's socket or context.
        timeout: In milliseconds, -1 for ever, `DEFAULT` for the socket's option.
        message: What to send; None for a receive.
    """
    key, aio = take_aio()
    operation = Operation(gate, message, None, sending=message is not None)
    operation.key = key
    operation.aio = aio
    _set_timeout(aio, timeout)
    if message is not None:
        _set_message(aio, message)
    if not begin(gate, start, handle, key, aio, operation):
        keep_aio(key, aio)
        operation.result = too_late()
    return operation


def begin(
    gate: Gate, start: Callable[[Any, Any], None], handle: Any, key: int, aio: Any, done: Callable[[], None]
) -> bool:
    """Start an aio at whose completion `done` is called; False, and no call, if the gate is closed."""
    if life.halted:
        return False
    with gate.lock:
        if gate.closed:
            return False
        pending[key] = done  # before the start: the callback may run before that returns
        start(handle, aio)
        return True


def run_and_wait(
    gate: Gate, start: Callable[[Any, Any], None], handle: Any, timeout: int, message: Any = None
) -> tuple[int, Any, BaseException | None]:
    """Give NNG one operation and wait for its outcome, with as little as that takes.

    Args:
        gate: The gate of the socket or context.
        start: The function of NNG that starts it, called with the handle and the aio.
        handle: NNG's socket or context.
        timeout: In milliseconds, -1 for ever, `DEFAULT` for the socket's option.
        message: What to send; None for a receive.

    Returns:
        0 or the error number; the message that has been received, or that could not be sent; what
        interrupted the wait, which has then cancelled the operation (it may have succeeded just before).
    """
    key, aio = take_aio()
    over = _new_lock()
    over.acquire()
    _set_timeout(aio, timeout)
    if message is not None:
        _set_message(aio, message)
    interruption = None
    began = True
    try:
        began = begin(gate, start, handle, key, aio, over.release)
        if began:
            acquire(over)
    except BaseException as error:  # raised by a signal handler
        interruption = error
        began = _end(aio, over)
    if not began:
        pending.pop(key, None)
        keep_aio(key, aio)
        return too_late() if interruption is None else ECANCELED, message, interruption
    result: int = _result_of(aio)
    if message is None and not result:
        message = _message_of(aio)
    elif not result:
        message = None
    keep_aio(key, aio)
    return result, message, interruption


def _end(aio: Any, over: threading.Lock) -> bool:
    """Cancel an operation and see its end, however often that is interrupted; False if it had not begun."""
    while True:
        try:
            _cancel(aio)
            return over.acquire(blocking=_is_busy(aio))
        except BaseException:  # noqa: S112 - the first interruption is the one that is reported
            continue


def too_late() -> int:
    """The error of an operation on what is closed, or at the interpreter's exit; in a forked child, raise."""
    if life.forked:
        _native.refuse()
    return ECLOSED


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
    finally:
        _inline.queue = _inline.current = None


def repeats_closed(con: object) -> bool:
    """Whether the callback at work on this thread has been told that `con` is closed.

    If it submits to that connection again, it must not hear of it again: that would have no end.
    """
    current = _inline.current
    return current is not None and current.tells_closed(con)


class _CallbackThread:
    """The library's one thread for users' callbacks, started when first needed."""

    def __init__(self) -> None:
        import queue

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


_at_exit: list[Callable[[], object]] = []
at_exit = _at_exit.append


def _exit() -> None:
    """End everything that is under way, so that pynng's `nng_fini`, which comes next, waits for nothing."""
    if life.forked:
        return
    life.close()
    _callback_thread.stop()
    for end in reversed(_at_exit):
        end()
    for operation in list(pending.values()):
        if isinstance(operation, Operation):
            operation.abort()


atexit.register(_exit)
