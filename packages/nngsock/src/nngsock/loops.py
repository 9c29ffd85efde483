"""How a task of an event loop waits for what a thread of NNG brings about: in asyncio, and in trio."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

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
    if in_trio():
        yield from _wait_in_trio(register).__await__()
        return
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    if register(partial(_wake_asyncio, loop, future)):
        yield from future


def _wake_asyncio(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> bool:
    try:
        loop.call_soon_threadsafe(_finish, future)
    except RuntimeError:  # the loop has been closed: nobody waits any more
        return False
    return True


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


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
