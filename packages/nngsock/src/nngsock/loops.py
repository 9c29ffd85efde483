"""How a task of an event loop waits for what a thread of NNG brings about: in asyncio, and in trio."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from nngsock._native import life, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context

    # Is given a function to call, once and from any thread, when the wait is over; that function returns
    # False if the event loop has ended. Returns False if it will not be called, since the time is past.
    Register = Callable[[Callable[[], bool]], bool]

__all__ = ("in_trio", "wait_in_task")


def in_trio() -> bool:
    """Whether a task of trio runs; costs users of asyncio one look into a dict."""
    if "trio" not in sys.modules:
        return False
    import sniffio  # trio needs it too

    try:
        return sniffio.current_async_library() == "trio"
    except sniffio.AsyncLibraryNotFoundError:
        return False


def wait_in_task(register: Register) -> Generator[Any, Any, None]:
    """Let the task that runs wait until the function which `register` is given has been called."""
    if life.forked:
        refuse()
    if in_trio():
        yield from _wait_in_trio(register).__await__()
        return
    wait = _AsyncioWait(asyncio.get_running_loop())
    if register(wait.wake):
        yield wait


class _AsyncioWait:
    """What a task of asyncio waits for: a future, as far as tasks need one.

    One of asyncio's own would have the loop turn twice, to set its result and then to go on with the task,
    and that shows: the loop is what costs most when messages are awaited one by one.
    """

    __slots__ = ("_asyncio_future_blocking", "_cancelled", "_context", "_done", "_go_on", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done = self._cancelled = False
        self._asyncio_future_blocking = True  # by this a task knows a future, and that it is to wait for it

    def wake(self) -> bool:
        """Let the task go on; called on any thread. False if the loop is closed: nobody waits any more."""
        try:
            self._loop.call_soon_threadsafe(self._finish)
        except RuntimeError:
            return False
        return True

    def _finish(self) -> None:
        if not self._done:
            self._done = True
            self._context.run(self._go_on, self)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Asked for by the task."""
        return self._loop

    def add_done_callback(self, go_on: Callable[[_AsyncioWait], object], *, context: Context) -> None:
        """Called by the task at once when it begins to wait, before the loop can come to `_finish`."""
        self._go_on = go_on
        self._context = context

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - the task keeps its message itself
        """Called by the task when it is cancelled; False if it goes on anyway."""
        if self._done:
            return False
        self._done = self._cancelled = True
        self._loop.call_soon(self._go_on, self, context=self._context)
        return True

    def result(self) -> None:
        """Called by the task when it goes on."""
        if self._cancelled:
            raise asyncio.CancelledError


async def _wait_in_trio(register: Register) -> None:
    import trio.lowlevel

    task = trio.lowlevel.current_task()
    token = trio.lowlevel.current_trio_token()
    waits = True

    def reschedule() -> None:
        nonlocal waits
        if waits:
            waits = False
            trio.lowlevel.reschedule(task)

    def wake() -> bool:
        try:
            token.run_sync_soon(reschedule)
        except trio.RunFinishedError:
            return False
        return True

    def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
        nonlocal waits
        waits = False
        return trio.lowlevel.Abort.SUCCEEDED

    if register(wake):
        await trio.lowlevel.wait_task_rescheduled(abort)
    else:  # trio's rule: whatever is awaited lets other tasks run
        await trio.lowlevel.checkpoint()
