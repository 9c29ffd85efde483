"""Scale in the background, for programs that do not wait at the controller."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ("AsyncioLoop", "ThreadLoop")

_log = logging.getLogger("crew_py")


class Scaled(Protocol):
    """What is called again and again."""

    def scale(self, throttle: bool = True) -> bool:
        """Launch workers if needed."""


class _Loop:
    """Scale a controller as long as it exists. An error is noted, logged, and ends the loop."""

    def __init__(self, controller: Scaled, seconds: Callable[[], float]) -> None:
        self._controller = weakref.ref(controller)
        self._seconds = seconds
        self.error: Exception | None = None

    def _scale(self) -> bool:
        controller = self._controller()
        if controller is None:
            return False
        try:
            controller.scale(throttle=True)
        except Exception as error:
            _log.exception("autoscaling has stopped")
            self.error = error
            return False
        return True


class ThreadLoop(_Loop):
    """Scale on a daemon thread.

    Args:
        controller: what to scale; only weakly referenced.
        seconds: current pause between two times.
    """

    def __init__(self, controller: Scaled, seconds: Callable[[], float]) -> None:
        super().__init__(controller, seconds)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crew_py-autoscale", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._scale() and not self._stop.wait(self._seconds()):
            pass

    def stop(self) -> None:
        """End it, and wait for its end."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()


class AsyncioLoop(_Loop):
    """Scale on an event loop.

    Args:
        controller: what to scale; only weakly referenced.
        seconds: current pause between two times.
        loop: the event loop.
    """

    def __init__(
        self, controller: Scaled, seconds: Callable[[], float], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(controller, seconds)
        self._loop = loop
        self._stopped = False
        loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        if not self._stopped and self._scale():
            self._loop.call_later(self._seconds(), self._run)

    def stop(self) -> None:
        """Do not scale again."""
        self._stopped = True
