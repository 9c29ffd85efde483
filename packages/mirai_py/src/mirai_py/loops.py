"""Wake event loops from other threads."""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from mirai_py.handles import Mirai

    Stop = Callable[["Mirai"], bool]
    Wake = Callable[[], object]


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
