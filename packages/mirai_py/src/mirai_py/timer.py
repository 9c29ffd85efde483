"""One thread that calls functions at their time: timeouts of tasks, recalls, end of patience with a peer.

It sleeps until the earliest deadline on the monotonic clock and is started when first needed. What it calls
must be short.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("mirai_py")
_MAX_FORGOTTEN = 1000


@dataclass(order=True, slots=True)
class Alarm:
    """A call that is due at a time; `cancel()` takes it back."""

    due: float
    order: int
    call: Callable[[], object] | None = field(compare=False)
    timer: Timer = field(compare=False, repr=False)

    def cancel(self) -> None:
        """Forget the call. Harmless after it was made."""
        if self.call is not None:
            self.call = None
            self.timer.forget()


class Timer:
    """Calls functions later, on one thread of its own."""

    def __init__(self) -> None:
        self._alarms: list[Alarm] = []
        self._changed = threading.Condition()
        self._order = itertools.count()
        self._running = False
        self._forgotten = 0

    def after(self, seconds: float, call: Callable[[], object]) -> Alarm:
        """Call `call()` in `seconds`, at once if that is not positive."""
        alarm = Alarm(time.monotonic() + seconds, next(self._order), call, self)
        with self._changed:
            if self._forgotten > _MAX_FORGOTTEN and self._forgotten > len(self._alarms) // 2:
                self._drop_forgotten()
            heapq.heappush(self._alarms, alarm)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="mirai_py-timer", daemon=True).start()
            elif self._alarms[0] is alarm:
                self._changed.notify()
        return alarm

    def forget(self) -> None:
        """Note that an alarm was cancelled; those that pile up before their time are dropped."""
        self._forgotten += 1  # a guess: the real number is found when they are dropped

    def _drop_forgotten(self) -> None:
        self._alarms = [alarm for alarm in self._alarms if alarm.call is not None]
        heapq.heapify(self._alarms)
        self._forgotten = 0

    def _run(self) -> None:
        while True:
            with self._changed:
                alarm = self._next()
            call, alarm.call = alarm.call, None
            if call is None:
                continue
            try:
                call()
            except Exception:
                _log.exception("a timed call failed")
            del call, alarm  # else what they hold lives until the next one

    def _next(self) -> Alarm:
        while True:
            if not self._alarms:
                self._changed.wait()
                continue
            wait = self._alarms[0].due - time.monotonic()
            if wait <= 0 or self._alarms[0].call is None:
                return heapq.heappop(self._alarms)
            self._changed.wait(wait)

    def forget_thread(self) -> None:
        """After a fork the thread is gone; the child starts anew."""
        self.__init__()  # type: ignore[misc]


timer = Timer()
os.register_at_fork(after_in_child=timer.forget_thread)
