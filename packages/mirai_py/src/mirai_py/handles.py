"""The handle of a task, and everything that waits for one.

A mirai is resolved once, by whichever thread learns of its end. It is resolved without a lock: the outcome is
stored first, then whoever waits is woken; whoever starts to wait registers first, then looks at the outcome
again. What a woken waiter does must be short, for it may run on the thread that receives all messages.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import logging
import queue
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, overload

from mirai_py import serial
from mirai_py.bodies import Reference
from mirai_py.callbacks import callbacks
from mirai_py.errors import CANCELED, MiraiError, MiraiInterrupt, MiraiTypeError, raised, rebuild
from mirai_py.frames import Buffer, Status
from mirai_py.generic import T, T_co
from mirai_py.lifetime import check_process
from nngsock import UNRESOLVED, ErrorValue

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from typing import Self

    from typing_extensions import TypeIs

    from mirai_py.map import MiraiMap
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
        value = _read(status, body)
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
        _wait(self, None)
        return self

    def collect(self) -> T_co | Any:
        """Wait, then give the value; failures are values.

        Example:
            >>> with daemons(1):
            ...     mirai(pow, 2, 10).collect()
            1024
        """
        _wait(self, None)
        return self.data

    def result(self, timeout: float | None = None) -> T_co:
        """Wait, then give the value or raise what went wrong.

        Args:
            timeout: seconds to wait; None for ever.

        Raises:
            TimeoutError: nothing came in time. The task runs on.
            BaseException: as `mirai_py.errors.raised` lists.
        """
        if not _wait(self, timeout):
            raise TimeoutError(f"the mirai is unresolved after {timeout} s; it runs on")
        return raised(self.data)  # type: ignore[no-any-return]  # what is not raised is of that type

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait, then give the exception that `result` would raise, or None.

        Args:
            timeout: seconds to wait; None for ever.

        Raises:
            TimeoutError: nothing came in time.
        """
        if not _wait(self, timeout):
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


def _read(status: int, body: Buffer) -> Any:
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


def _wait(mirai: Mirai, timeout: float | None) -> bool:
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
        came = lock.acquire() if left is None else lock.acquire(timeout=_bounded(left))
    finally:
        if not came:
            mirai._forget_wake(wake)
    return came or mirai.done()


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), threading.TIMEOUT_MAX)


class MiraiFuture(concurrent.futures.Future[Any]):
    """A future that stays pending until its mirai is resolved, so that it can be cancelled all the time."""

    def __init__(self) -> None:
        super().__init__()
        self._mirai: Mirai | None = None

    def follow(self, mirai: Mirai) -> None:
        """End as this mirai does; a future that is cancelled by now stops it."""
        self._mirai = mirai
        if self.cancelled():
            mirai.cancel()
        mirai._on_wake(lambda: callbacks.put(self._settle))

    def cancel(self) -> bool:
        """Stop the task, running or not; False if it is resolved."""
        if self._mirai is None:
            return super().cancel()
        self._mirai.cancel()
        return _is_stopped(self._mirai) and self._become_cancelled()

    def _become_cancelled(self) -> bool:
        return super().cancel()

    def _settle(self) -> None:
        """Take over the outcome of the mirai."""
        assert self._mirai is not None
        if _is_stopped(self._mirai):
            self._become_cancelled()
        if not self.set_running_or_notify_cancel():
            return
        try:
            value = raised(self._mirai.data)
        except BaseException as error:
            self.set_exception(error)
        else:
            self.set_result(value)


def _is_stopped(mirai: Mirai) -> bool:
    return isinstance(mirai.data, ErrorValue) and mirai.data == CANCELED


class LoopWaker:
    """Wakes an event loop once for all that came since it last looked."""

    _of: dict[asyncio.AbstractEventLoop, LoopWaker] = {}  # noqa: RUF012 - one table, on purpose

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: deque[Callable[[], object]] = deque()
        self._lock = threading.Lock()
        self._called = False

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> LoopWaker:
        """The waker of a loop; those of closed loops are dropped."""
        waker = cls._of.get(loop)
        if waker is None:
            for other in [o for o in list(cls._of) if o.is_closed()]:
                cls._of.pop(other, None)
            waker = cls._of[loop] = cls(loop)
        return waker

    def wake_for(self, call: Callable[[], object]) -> Wake:
        """A function that has `call()` made on the loop, from any thread."""
        return partial(self._add, call)

    def _add(self, call: Callable[[], object]) -> None:
        with self._lock:
            self._ready.append(call)
            if self._called:
                return
            self._called = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._ready.clear()

    def _drain(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, deque()
            self._called = False
        for call in ready:
            call()


def end(future: asyncio.Future[None]) -> None:
    """End a future of asyncio that may be over."""
    if not future.done():
        future.set_result(None)


def unresolved(x: Any) -> bool:
    """Whether a mirai, a value, or anything in a list of them is still to come. Never waits.

    Example:
        >>> unresolved(5)
        False
    """
    if isinstance(x, Mirai):
        return not x.done()
    if isinstance(x, dict):
        return any(unresolved(item) for item in x.values())
    if isinstance(x, list | tuple):
        return any(unresolved(item) for item in x)
    if is_mirai_map(x):
        return not x.done()
    return x is UNRESOLVED


def is_mirai_map(x: object) -> TypeIs[MiraiMap]:
    """Whether `x` is what `mirai_map` returned.

    Example:
        >>> with daemons(1):
        ...     is_mirai_map(mirai_map([1], abs)), is_mirai_map([1])
        (True, False)
    """
    from mirai_py.map import MiraiMap

    return isinstance(x, MiraiMap)


def is_mirai(x: object) -> TypeIs[Mirai]:
    """Whether `x` is a mirai; its value is not.

    Example:
        >>> with daemons(1):
        ...     m = mirai(abs, -1)
        ...     is_mirai(m), is_mirai(m.collect())
        (True, False)
    """
    return isinstance(x, Mirai)


def members(x: Any, name: str = "x") -> list[Mirai]:
    """The mirais of one, a list, a dict, or a map.

    Raises:
        TypeError: there is something else among them.
    """
    if isinstance(x, Mirai):
        return [x]
    if isinstance(x, dict):
        found = list(x.values())
    elif isinstance(x, list | tuple) or is_mirai_map(x):
        found = list(x)
    else:
        raise MiraiTypeError(
            f"`{name}` must be a mirai, a list or dict of them, or a mirai_map, not {type(x).__name__}"
        )
    for item in found:
        if not isinstance(item, Mirai):
            raise MiraiTypeError(f"`{name}` must hold nothing but mirais, no {type(item).__name__}")
    return found


def call_mirai(x: T) -> T:
    """Wait for a mirai, or all of a list, dict or map.

    Returns:
        The same object. Ctrl-C leaves it unresolved and usable.

    Example:
        >>> with daemons(1):
        ...     call_mirai(mirai(pow, 2, 3))
        < mirai [data] >
    """
    if is_mirai_map(x):
        x.call()  # without making its mirais
        return x
    for mirai in members(x):
        _wait(mirai, None)
    return x


@overload
def stop_mirai(x: Mirai) -> bool: ...
@overload
def stop_mirai(x: Sequence[object] | dict[Any, Any]) -> list[bool]: ...
@overload
def stop_mirai(x: object) -> bool | list[bool]: ...
def stop_mirai(x: Any) -> bool | list[bool]:
    """Stop tasks: a waiting one is never run, a running one is interrupted. Their value is error 20 at once.

    Args:
        x: a mirai, or a list, dict or map of them, of which the newest is stopped first, so that no daemon is
            freed only to start one that is about to be stopped.

    Returns:
        True if it was waiting or running, False if it was resolved or nothing that can be stopped; a list of
        these for several.

    Example:
        >>> with daemons(1):
        ...     m = mirai("import time; time.sleep(60)")
        ...     stop_mirai(m), m.data
        (True, errorValue 20 | Operation canceled)
    """
    if isinstance(x, Mirai):
        return x.cancel()
    if is_mirai_map(x):
        return x.cancel()
    if isinstance(x, list | tuple | dict):
        items = list(x.values()) if isinstance(x, dict) else list(x)
        answers = [False] * len(items)
        mirais = [(item._key, place) for place, item in enumerate(items) if isinstance(item, Mirai)]
        for _, place in sorted(mirais, reverse=True):
            answers[place] = items[place].cancel()
        return answers
    return False


def wait_any(waiting: Sequence[Mirai], timeout: float | None = None) -> int | None:
    """Position of the first resolved mirai in list order, waiting for one; None after `timeout` seconds."""
    first = next((i for i, m in enumerate(waiting) if m.done()), None)
    if first is not None:
        return first
    lock = threading.Lock()
    lock.acquire()

    def wake() -> None:
        if lock.locked():
            with contextlib.suppress(RuntimeError):  # two mirais at the same instant
                lock.release()

    try:
        for mirai in waiting:
            mirai._on_wake(wake)
        lock.acquire(timeout=-1 if timeout is None else _bounded(timeout))
    finally:
        for mirai in waiting:
            mirai._forget_wake(wake)
    return next((i for i, m in enumerate(waiting) if m.done()), None)


def as_completed(xs: Iterable[Mirai[T]], timeout: float | None = None) -> Iterator[Mirai[T]]:
    """Iterate over mirais as they resolve.

    Args:
        xs: mirais, or a map.
        timeout: seconds from the first `next()`; None for ever.

    Raises:
        TimeoutError: not all came in time.

    Example:
        >>> with daemons(1):
        ...     [m.data for m in as_completed([mirai(pow, 2, 3)])]
        [8]
    """
    waiting = members(xs if isinstance(xs, dict) or is_mirai_map(xs) else list(xs), "xs")
    for index in arrivals(waiting, timeout):
        yield waiting[index]


def arrivals(waiting: Sequence[Mirai], timeout: float | None = None) -> Iterator[int]:
    """Iterate over positions as their mirais resolve.

    Raises:
        TimeoutError: not all came within `timeout` seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
    wakes = [partial(arrived.put, index) for index in range(len(waiting))]
    try:
        for mirai, wake in zip(waiting, wakes, strict=True):
            mirai._on_wake(wake)
        for _ in waiting:
            yield arrived.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise TimeoutError(f"not all mirais were resolved within {timeout} s") from None
    finally:
        for mirai, wake in zip(waiting, wakes, strict=True):
            mirai._forget_wake(wake)
