"""Aios: what a user holds of an operation under way, and functions over one or many of them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar

from nngsock._native import lib, life
from nngsock.channel import decode
from nngsock.completion import Operation, acquire, later, repeats_closed, run_inline
from nngsock.errors import ECANCELED, ECLOSED, UNRESOLVED, ErrorValue, NngError, NngsockError, exception_for
from nngsock.message import take_content

if TYPE_CHECKING:
    from nngsock.channel import Channel, Connection
    from nngsock.sync import ConditionVariable

__all__ = (
    "Aio",
    "RecvAio",
    "SendAio",
    "as_completed",
    "call_aio",
    "call_aio_",
    "collect_aio",
    "collect_aio_",
    "count_unresolved",
    "is_aio",
    "pipe_id",
    "race_aio",
    "stop_aio",
    "stop_request",
    "unresolved",
)

T = TypeVar("T")

_pipe_of = lib.nng_msg_get_pipe


class Aio:
    """An operation under way: unresolved, then resolved once, to a value or an `ErrorValue`.

    Wait with `call` or `collect`, with `result` (which raises), with `await` in asyncio, or have a function
    called. All of that works from any thread, and from several at once.
    """

    __slots__ = ("__weakref__", "_operation", "con")

    def __init__(self, operation: Operation, con: object) -> None:
        self._operation = operation
        self.con = con

    @property
    def data(self) -> Any:
        """The value, an `ErrorValue`, or `UNRESOLVED`; never waits."""
        result = self._operation.result
        if result is None:
            return UNRESOLVED
        return ErrorValue(result) if result else self._value()

    def _value(self) -> Any:
        raise NotImplementedError

    def done(self) -> bool:
        """Whether it is resolved."""
        return self._operation.result is not None

    def call(self) -> Self:
        """Wait until it is resolved.

        Returns:
            Itself.
        """
        self._operation.wait()
        return self

    def collect(self) -> Any:
        """Wait until it is resolved.

        Returns:
            The value, or an `ErrorValue`.
        """
        self._operation.wait()
        return self.data

    def result(self, timeout: float | None = None) -> Any:
        """Wait until it is resolved, and raise if that is to an error.

        Args:
            timeout: In **seconds**; None waits for ever.

        Returns:
            The value.

        Raises:
            TimeoutError: It is not resolved in that time; it goes on.
            NngError: It failed.
        """
        self._await_done(timeout)
        return self._outcome()

    def exception(self, timeout: float | None = None) -> NngError | None:
        """Wait until it is resolved.

        Args:
            timeout: In **seconds**; None waits for ever.

        Returns:
            The exception that `result` raises, or None.

        Raises:
            TimeoutError: It is not resolved in that time; it goes on.
        """
        self._await_done(timeout)
        code = self._operation.result
        return exception_for(code) if code else None

    def _await_done(self, timeout: float | None) -> None:
        if not self._operation.wait(timeout):
            raise TimeoutError(f"not resolved within {timeout} s")

    def _outcome(self) -> Any:
        code = self._operation.result
        if code:
            raise exception_for(code)
        return self._value()

    def cancel(self) -> None:
        """Stop it, and wait until it is over: then it is resolved to 20, or to what came just before."""
        self._operation.cancel()
        self._operation.wait()

    def add_done_callback(self, fn: Callable[[Self], object], *, inline: bool = False) -> None:
        """Have a function called with this aio once it is resolved, at once if it is.

        Callbacks run one after another on a thread of this library; what they raise goes to logging. No
        callback runs once the interpreter has begun to exit.

        Args:
            fn: The function.
            inline: Call it on the very thread of NNG that completes the operation, which saves a change of
                threads. Then it must be quick and must not wait for anything; submitting aios is fine.
                It may submit an operation of its own kind with itself as callback: once its connection
                is closed it is told so (error 7) and not called for what it submits there afterwards.
        """
        task = _Task(fn, self)
        operation = self._operation
        if operation.result is None and (
            operation.then_run(task) if inline else operation.when_done(partial(later, task))
        ):
            return
        if life.halted or (operation.result == ECLOSED and repeats_closed(self.con)):
            return
        if inline:
            run_inline((task,))
        else:
            later(task)

    def future(self) -> concurrent.futures.Future[Any]:
        """A future with the outcome; cancelling it stops the operation."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.add_done_callback(self._stop_if_cancelled)
        self.add_done_callback(partial(_fill, future))
        return future

    def _stop_if_cancelled(self, future: concurrent.futures.Future[Any]) -> None:
        if future.cancelled():
            self._operation.cancel()

    def __await__(self) -> Generator[Any, None, Any]:
        operation = self._operation
        if operation.result is None:
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            if operation.when_done(partial(_wake, loop, future)):
                try:
                    yield from future
                except BaseException:
                    operation.cancel()
                    raise
        if operation.result == ECANCELED:
            raise asyncio.CancelledError
        return self._outcome()


class SendAio(Aio):
    """A send under way; `data` is 0 once the message is on its way. It goes on if this object is dropped."""

    __slots__ = ()

    def _value(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "< sendAio | .data >"


class RecvAio(Aio):
    """A receive under way; `data` is what came. Dropping it stops it, so that no message gets lost in it.

    The message is decoded on first access, by the thread that asks.
    """

    __slots__ = ("_channel", "_content", "_decoded", "_mode", "_pipe")

    def __init__(self, operation: Operation, con: Connection, channel: Channel, mode: str) -> None:
        self._operation = operation
        self.con = con
        self._channel = channel
        self._mode = mode
        self._content: bytes | memoryview | None = None
        self._decoded: Any = UNRESOLVED
        self._pipe = 0

    def __del__(self) -> None:
        operation = self._operation
        if operation.result is None:
            operation.cancel()

    def __repr__(self) -> str:
        return "< recvAio | .data >"

    @property
    def pipe(self) -> int:
        """The pipe that the message came through; 0 while there is none, and after an error."""
        if self._operation.message is not None:
            with self._operation.lock:
                self._open()
        return self._pipe

    def _open(self) -> bytes | memoryview | None:
        """Take the message out of the operation, whose lock is held; the content if it is not decoded yet."""
        message, self._operation.message = self._operation.message, None
        if message is not None:
            self._pipe = _pipe_of(message).id
            self._content = take_content(message)
        return self._content

    def _value(self) -> Any:
        if self._decoded is UNRESOLVED:
            with self._operation.lock:
                content = self._open()
                if content is not None:
                    self._decoded = decode(self._mode, content, self._channel.codec)
                    self._content = None
        return self._decoded


class _Task:
    """A user's callback with its aio."""

    __slots__ = ("aio", "fn")

    def __init__(self, fn: Callable[[Any], object], aio: Aio) -> None:
        self.fn = fn
        self.aio = aio

    def __call__(self) -> None:
        self.fn(self.aio)

    def tells_closed(self, con: object) -> bool:
        return self.aio.con is con and self.aio._operation.result == ECLOSED  # noqa: SLF001 - same module


def _wake(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    try:
        loop.call_soon_threadsafe(_finish, future)
    except RuntimeError:  # the loop has been closed: nobody waits any more
        return


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fill(future: concurrent.futures.Future[Any], aio: Aio) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(aio.result())
    except Exception as error:
        future.set_exception(error)


def is_aio(x: object) -> bool:
    """Whether x is an Aio."""
    return isinstance(x, Aio)


def _members(x: object) -> Iterable[Any]:
    """The elements of a list, tuple or dict; x itself otherwise."""
    if isinstance(x, Mapping):
        return x.values()
    return x if isinstance(x, list | tuple) else (x,)


def call_aio(x: T) -> T:
    """Wait until an Aio, or each Aio in a list or dict, is resolved.

    Args:
        x: The Aio or Aios; anything else is returned untouched.

    Returns:
        The same object.
    """
    for member in _members(x):
        if isinstance(member, Aio):
            member.call()
    return x


def collect_aio(x: Any) -> Any:
    """Wait until an Aio, or each Aio in a list or dict, is resolved.

    Args:
        x: An Aio, a list or tuple of Aios, or a dict with Aios as values.

    Returns:
        The value, a list of values, or a dict of values.

    Raises:
        TypeError: Something is not an Aio.
    """
    for member in _members(x):
        if not isinstance(member, Aio):
            raise TypeError(f"object is not an Aio or list of Aios: {member!r}")
    if isinstance(x, Mapping):
        return {key: aio.collect() for key, aio in x.items()}
    return x.collect() if isinstance(x, Aio) else [aio.collect() for aio in x]


def stop_aio(x: object) -> None:
    """Stop an Aio or a list of Aios, and return when they are over.

    Those that are resolved keep their value; whatever is not an Aio is ignored.

    Args:
        x: The Aio or Aios.
    """
    members = [member for member in _members(x) if isinstance(member, Aio)]
    for member in members:
        member._operation.cancel()  # noqa: SLF001 - same module
    for member in members:
        member.cancel()


def stop_request(x: object) -> bool | list[bool]:
    """Stop an Aio or a list of Aios.

    Returns:
        False, or a list of False: True is for systems that also stop the peer's work.
    """
    stop_aio(x)
    return [False for _ in x] if isinstance(x, list | tuple) else False


def unresolved(x: object) -> bool:
    """Whether an Aio, any Aio in a list, or a value is unresolved; never waits.

    Args:
        x: An Aio, a list or dict of Aios, `UNRESOLVED`, or anything else, which counts as resolved.
    """
    return any(_is_unresolved(member) for member in _members(x))


def count_unresolved(x: object) -> int:
    """The number of unresolved Aios in a list or dict; never waits."""
    return sum(_is_unresolved(member) for member in _members(x))


def _is_unresolved(x: object) -> bool:
    return x is UNRESOLVED or (isinstance(x, Aio) and not x.done())


def pipe_id(x: RecvAio) -> int:
    """The pipe that a resolved receive came through; 0 if it failed.

    Raises:
        NngsockError: It is unresolved.
        TypeError: It is not a RecvAio.
    """
    if not isinstance(x, RecvAio):
        raise TypeError(f"`x` is not a valid RecvAio: {x!r}")
    if not x.done():
        raise NngsockError("the aio is unresolved and has no pipe yet: wait for it with call()")
    return x.pipe


def race_aio(x: Sequence[Any], cv: ConditionVariable | None = None) -> int | None:
    """Wait until one of several Aios is resolved.

    Args:
        x: A list of Aios.
        cv: Waiting ends when this is flagged; none of its signals is taken.

    Returns:
        The 0-based position of the first in the list that is resolved. None if there is no Aio in x, or
        if `cv` is flagged.
    """
    aios = (
        [(i, aio) for i, aio in enumerate(x) if isinstance(aio, Aio)] if isinstance(x, list | tuple) else []
    )
    if not aios:
        return None
    event = threading.Lock()
    event.acquire()
    wake = partial(_release, event)
    end_watch = _nothing if cv is None else cv.watch(wake)
    watched: list[Operation] = []
    try:
        for _, aio in aios:
            if aio._operation.when_done(wake):  # noqa: SLF001 - same module
                watched.append(aio._operation)  # noqa: SLF001
        while True:
            if cv is not None and cv.flagged:
                return None
            for i, aio in aios:
                if aio.done():
                    return i
            acquire(event)
    finally:
        end_watch()
        for operation in watched:
            operation.forget(wake)


def _nothing() -> None:
    pass


def _release(lock: threading.Lock) -> None:
    try:
        lock.release()
    except RuntimeError:  # released already, by another one that was faster
        return


def as_completed(xs: Iterable[Aio], timeout: float | None = None) -> Iterator[Aio]:
    """Give Aios in the order in which they are resolved.

    Args:
        xs: The Aios.
        timeout: In **seconds**, for all together; None waits for ever.

    Yields:
        Each Aio, once.

    Raises:
        TimeoutError: Not all are resolved in that time.
    """
    deadline: Final = None if timeout is None else time.monotonic() + timeout
    done: queue.SimpleQueue[Aio] = queue.SimpleQueue()
    aios = list(xs)
    for aio in aios:
        if not isinstance(aio, Aio):
            _not_an_aio(aio)
        put = partial(done.put, aio)
        if not aio._operation.when_done(put):  # noqa: SLF001 - same module
            put()
    for left in range(len(aios), 0, -1):
        try:
            yield done.get(timeout=None if deadline is None else max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise TimeoutError(f"{left} of {len(aios)} not resolved within {timeout} s") from None


def _not_an_aio(x: object) -> NoReturn:
    raise TypeError(f"object is not an Aio or list of Aios: {x!r}")


# Every wait can be interrupted here, so the original's second forms are the first.
call_aio_ = call_aio
collect_aio_ = collect_aio
