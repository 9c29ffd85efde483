"""The handle of a task, and everything that waits for one.

A mirai is resolved once, by whichever thread learns of its end. It is resolved without a lock: the outcome is
stored first, then whoever waits is woken; whoever starts to wait registers first, then looks at the outcome
again. What a woken waiter does must be short, for it may run on the thread that receives all messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

from mirai_py import serial
from mirai_py.arguments import function
from mirai_py.bodies import Reference
from mirai_py.callbacks import callbacks
from mirai_py.errors import CANCELED, MiraiError, MiraiInterrupt, MiraiTypeError, raised, rebuild
from mirai_py.frames import Buffer, Status
from mirai_py.futures import MiraiFuture
from mirai_py.generic import T_co
from mirai_py.lifetime import check_process
from mirai_py.loops import LoopWaker, end
from nngsock import UNRESOLVED, ErrorValue

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Generator
    from typing import Self

    from nngsock import Inbox

    Stop = Callable[["Mirai"], bool]
    Wake = Callable[[], object]

_log = logging.getLogger("mirai_py")
_registering = threading.Lock()
# Held while a value in shared memory is read.
reading = threading.RLock()
_ids = itertools.count(1)
_PENDING: Any = object()
# More threads than this are never between looking up `_ids` and taking from it.
_ID_GAP = 1024


def take_ids(number: int) -> int:
    """The first of `number` ids that follow each other."""
    global _ids
    with _registering:
        first = next(_ids) + _ID_GAP
        _ids = itertools.count(first + number)
    return first


class Mirai(Generic[T_co]):
    """A value that arrives later.

    Made by `mirai()` and its relatives, never directly. `.data` is the value, or `UNRESOLVED`; a failure is a
    value too (`is_error_value`). `.result()` and `await` raise it instead: to a type checker they are of the
    type that the task returns, `.data` and `.collect()` of that type or any other.

    Attributes:
        id: a number unique in this process, increasing; None for a task without daemons.

    Example:
        >>> with daemons(1):
        ...     m = mirai("1 / 0")
        ...     m.collect()  # a failure is a value ...
        ...     m.result()  # ... or raised
        Traceback (most recent call last):
        ZeroDivisionError: division by zero
    """

    __slots__ = ("__weakref__", "_body", "_inbox", "_key", "_outcome", "_stop", "_value", "_wakes", "id")

    def __init__(self, stop: Stop | None = None, inbox: Inbox | None = None) -> None:
        self._key = next(_ids)
        self.id: int | None = self._key
        self._stop = stop
        self._inbox = inbox
        self._outcome: int | None = None
        self._body: Buffer = b""
        self._value: Any = _PENDING
        self._wakes: list[Wake] | None = None

    # -- what resolves it

    def _store(self, status: int, body: Buffer) -> None:
        """Keep the outcome as it came, unread. `_wake` has to follow, from the same thread."""
        self._body = body
        self._outcome = status

    def _store_value(self, value: Any) -> None:
        """Keep a value as the outcome. `_wake` has to follow, from the same thread."""
        self._value = value
        self._outcome = Status.OK

    def _resolve_value(self, value: Any) -> None:
        self._store_value(value)
        self._wake()

    def _wake(self) -> None:
        """Call who waits, each once."""
        if self._wakes is None:
            return
        with _registering:
            wakes, self._wakes = self._wakes, None
        for wake in wakes or ():
            wake()

    def _on_wake(self, wake: Wake) -> None:
        """Call `wake()` once it is resolved, at once if it is."""
        with _registering:
            if self._wakes is None:
                self._wakes = []
            self._wakes.append(wake)
        if self._outcome is not None:
            self._wake()

    def _forget_wake(self, wake: Wake) -> None:
        """Undo `_on_wake`, so that waits that time out leave nothing behind."""
        with _registering:
            if self._wakes is not None:
                with contextlib.suppress(ValueError):
                    self._wakes.remove(wake)

    # -- what reads it

    @property
    def data(self) -> T_co | Any:
        """The value, or `UNRESOLVED`. It is unpickled on first access, on the thread that asks."""
        if self._outcome is None:
            return UNRESOLVED
        if self._value is _PENDING:
            # What is in shared memory can be taken from there once.
            with reading if isinstance(self._body, Reference) else contextlib.nullcontext():
                if self._value is _PENDING:
                    self._read_value(self._outcome, self._body)
        return self._value

    def _read_value(self, status: int, body: Buffer) -> None:
        value = read_outcome(status, body)
        with _registering:
            if self._value is _PENDING:
                self._value = value
                self._body = b""

    def done(self) -> bool:
        """Whether it is resolved."""
        return self._outcome is not None

    def call(self) -> Self:
        """Wait until it is resolved.

        Returns:
            This mirai.
        """
        wait(self, None)
        return self

    def collect(self) -> T_co | Any:
        """Wait, then give the value; failures are values.

        Example:
            >>> with daemons(1):
            ...     mirai(pow, 2, 10).collect()
            1024
        """
        wait(self, None)
        return self.data

    def result(self, timeout: float | None = None) -> T_co:
        """Wait, then give the value or raise what went wrong.

        Args:
            timeout: seconds to wait; None for ever.

        Raises:
            TimeoutError: nothing came in time. The task runs on.
            BaseException: as `mirai_py.errors.raised` lists.
        """
        if not wait(self, timeout):
            raise TimeoutError(f"the mirai is unresolved after {timeout} s; it runs on")
        return raised(self.data)  # type: ignore[no-any-return]  # what is not raised is of that type

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait, then give the exception that `result` would raise, or None.

        Args:
            timeout: seconds to wait; None for ever.

        Raises:
            TimeoutError: nothing came in time.
        """
        if not wait(self, timeout):
            raise TimeoutError(f"the mirai is unresolved after {timeout} s; it runs on")
        try:
            raised(self.data)
        except BaseException as error:
            return error
        return None

    def cancel(self) -> bool:
        """Stop the task: see `stop_mirai`."""
        check_process()
        return self._outcome is None and self._stop is not None and self._stop(self)

    def add_done_callback(self, fn: Callable[[Mirai[T_co]], object]) -> None:
        """Call `fn(self)` on a library thread once it is resolved; its exceptions are logged."""
        function("fn", fn)
        self._on_wake(lambda: callbacks.put(lambda: fn(self)))

    def future(self) -> concurrent.futures.Future[T_co]:
        """A `concurrent.futures.Future` that ends as this mirai does; cancelling it stops the task."""
        future = MiraiFuture()
        future.follow(self)
        return future

    def __await__(self) -> Generator[Any, None, T_co]:
        return self._awaited().__await__()

    async def _awaited(self) -> T_co:
        if self._outcome is None:
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            self._on_wake(LoopWaker.of(loop).wake_for(partial(end, future)))
            try:
                await future
            except asyncio.CancelledError:
                self.cancel()
                raise
        return awaited(self.data)  # type: ignore[no-any-return]  # as in `result`

    def __repr__(self) -> str:
        return "< mirai [data] >" if self.done() else "< mirai [] >"

    def __getitem__(self, _: object) -> Any:
        raise MiraiTypeError("a mirai has no items: .collect() waits for its value, .data looks at it")

    def __reduce__(self) -> Any:
        raise MiraiTypeError("a mirai belongs to the process that made it; send its value: mirai.collect()")


def read_outcome(status: int, body: Buffer) -> Any:
    """The value that a daemon sent, or the failure."""
    if status == Status.INTERRUPT:
        return MiraiInterrupt()
    if status == Status.CANCELED:
        return ErrorValue(CANCELED)
    try:
        return serial.loads(body) if status == Status.OK else rebuild(body)
    except Exception as error:
        return MiraiError(
            f"the result cannot be read here: {type(error).__name__}: {error}",
            tuple(c.__name__ for c in type(error).__mro__ if c is not object),
            exception=error,
            raw=bytes(body),
        )


def awaited(value: Any) -> Any:
    """As `raised`, for coroutines: what was stopped raises asyncio's own CancelledError."""
    if isinstance(value, ErrorValue) and value == CANCELED:
        raise asyncio.CancelledError
    return raised(value)


def wait(mirai: Mirai, timeout: float | None) -> bool:
    """Wait for one mirai; False if it takes longer. Ctrl-C interrupts it at once."""
    if mirai._outcome is not None:
        return True
    check_process()
    deadline = None if timeout is None else time.monotonic() + timeout
    inbox = mirai._inbox
    if inbox is not None and inbox.take_over():
        try:
            _receive_until(mirai, inbox, deadline)
        finally:
            inbox.give_back()
    return mirai._outcome is not None or _sleep_until(mirai, deadline)


def _receive_until(mirai: Mirai, inbox: Inbox, deadline: float | None) -> None:
    """Receive the results of its profile on this thread, until there is its own."""
    wake = inbox.knock  # it may also be stopped, or time out
    mirai._on_wake(wake)
    try:
        while mirai._outcome is None and inbox.handle(_left(deadline)):
            pass
    finally:
        if mirai._outcome is None:
            mirai._forget_wake(wake)


def _sleep_until(mirai: Mirai, deadline: float | None) -> bool:
    """Wait for another thread to resolve it. A lock per wait: acquiring one is interrupted by Ctrl-C."""
    lock = threading.Lock()
    lock.acquire()
    wake = lock.release
    mirai._on_wake(wake)
    came = False
    try:
        left = _left(deadline)
        came = lock.acquire() if left is None else lock.acquire(timeout=bounded(left))
    finally:
        if not came:
            mirai._forget_wake(wake)
    return came or mirai.done()


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def bounded(seconds: float) -> float:
    """No less than nothing, and no more than a lock can wait."""
    return min(max(0.0, seconds), threading.TIMEOUT_MAX)
