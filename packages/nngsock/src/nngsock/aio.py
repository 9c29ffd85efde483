"""Aios: what a user holds of an operation under way."""

from __future__ import annotations

import asyncio
import concurrent.futures
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from nngsock._native import lib, life
from nngsock.callbacks import later, repeats_closed, run_inline
from nngsock.channel import decode
from nngsock.errors import ECANCELED, ECLOSED, UNRESOLVED, ErrorValue, NngError, exception_for
from nngsock.loops import in_trio, wait_in_task
from nngsock.message import take_content

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from nngsock.channel import Channel, Connection
    from nngsock.operation import Operation
    from nngsock.outcome import Outcome

__all__ = ("Aio", "RecvAio", "SendAio")

_pipe_of = lib.nng_msg_get_pipe


class Aio:
    """An operation under way: unresolved, then resolved once, to a value or an `ErrorValue`.

    Wait with `call` or `collect`, with `result` (which raises), with `await` in asyncio or trio, or have a
    function called. All of that works from any thread, and from several at once.
    """

    __slots__ = ("__weakref__", "con", "operation")

    def __init__(self, operation: Outcome, con: object) -> None:
        self.operation = operation
        self.con = con

    @property
    def data(self) -> Any:
        """The value, an `ErrorValue`, or `UNRESOLVED`; never waits."""
        result = self.operation.result
        if result is None:
            return UNRESOLVED
        return ErrorValue(result) if result else self._value()

    def _value(self) -> Any:
        raise NotImplementedError

    def done(self) -> bool:
        """Whether it is resolved."""
        return self.operation.result is not None

    def call(self) -> Self:
        """Wait until it is resolved.

        Returns:
            Itself.
        """
        self.operation.wait()
        return self

    def collect(self) -> Any:
        """Wait until it is resolved.

        Returns:
            The value, or an `ErrorValue`.
        """
        self.operation.wait()
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
        code = self.operation.result
        return exception_for(code) if code else None

    def _await_done(self, timeout: float | None) -> None:
        if not self.operation.wait(timeout):
            raise TimeoutError(f"not resolved within {timeout} s")

    def _outcome(self) -> Any:
        code = self.operation.result
        if code:
            raise exception_for(code)
        return self._value()

    def cancel(self) -> None:
        """Stop it, and wait until it is over: then it is resolved to 20, or to what came just before."""
        self.operation.cancel()
        self.operation.wait()

    def add_done_callback(self, fn: Callable[[Self], object], *, inline: bool = False) -> None:
        """Have a function called with this aio once it is resolved, at once if it is.

        Callbacks run one after another on a thread of this library; what they raise goes to logging. No
        callback runs once the interpreter has begun to exit.

        Args:
            fn: The function.
            inline: Call it on the very thread that completes the operation (one of NNG's, or the one of
                HTTP), which saves a change of threads. Then it must be quick and must not wait for
                anything; submitting aios is fine.
                It may submit an operation of its own kind with itself as callback: once its connection
                is closed it is told so (error 7) and not called for what it submits there afterwards.
        """
        task = _Task(fn, self)
        operation = self.operation
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
            self.operation.cancel()

    def __await__(self) -> Generator[Any, None, Any]:
        operation = self.operation
        try:
            if operation.result is None or in_trio():
                yield from wait_in_task(operation.when_done)
        except BaseException:
            self._abandon()
            raise
        if operation.result == ECANCELED and not in_trio():
            raise asyncio.CancelledError
        return self._outcome()

    def _abandon(self) -> None:
        """Stop it, and wait until it is over, since the task that awaited it has been cancelled."""
        self.cancel()


class SendAio(Aio):
    """A send under way; `data` is 0 once the message is on its way. It goes on if this object is dropped."""

    __slots__ = ()

    def _value(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "< sendAio | .data >"


class RecvAio(Aio):
    """A receive under way; `data` is what came. Dropping it stops it, so that no message gets lost in it.

    The message is decoded on first access, by the thread that asks. One that comes in the very moment in
    which the receive is dropped, or its task cancelled, is kept for the next receive.
    """

    __slots__ = ("_channel", "_content", "_decoded", "_mode", "_pipe")

    operation: Operation

    def __init__(self, operation: Operation, con: Connection, channel: Channel, mode: str) -> None:
        self.operation = operation
        self.con = con
        self._channel = channel
        self._mode = mode
        self._content: bytes | memoryview | None = None
        self._decoded: Any = UNRESOLVED
        self._pipe = 0

    def __del__(self) -> None:
        operation = self.operation
        if operation.result is None:
            self._channel.drop(operation)

    def _abandon(self) -> None:
        super()._abandon()
        self._channel.keep_unread(self.operation)

    def __repr__(self) -> str:
        return "< recvAio | .data >"

    @property
    def pipe(self) -> int:
        """The pipe that the message came through; 0 while there is none, and after an error."""
        if self.operation.message is not None:
            with self.operation.lock:
                self._open()
        return self._pipe

    def _open(self) -> bytes | memoryview | None:
        """Take the message out of the operation, whose lock is held; the content if it is not decoded yet."""
        message, self.operation.message = self.operation.message, None
        if message is not None:
            self._pipe = _pipe_of(message).id
            self._content = take_content(message)
        return self._content

    def _value(self) -> Any:
        if self._decoded is UNRESOLVED:
            with self.operation.lock:
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
        return self.aio.con is con and self.aio.operation.result == ECLOSED


def _fill(future: concurrent.futures.Future[Any], aio: Aio) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(aio.result())
    except Exception as error:
        future.set_exception(error)
