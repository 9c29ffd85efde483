"""Outcomes: what becomes of something under way, and who waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nngsock._native import life, refuse
from nngsock.callbacks import Task, run_inline
from nngsock.sync import acquire

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Outcome",)

_new_lock = threading.Lock
# Re-entrant, since the garbage collector may drop an aio, and so cancel it, inside any of these blocks.
_new_rlock = threading.RLock


class Outcome:
    """What an aio stands on: unresolved, then resolved once.

    Attributes:
        result: None while under way, then 0 or the error number.
        wakers: Functions of this library to call at completion; None afterwards.
        tasks: Users' callbacks to run at completion, on the thread that completes; None afterwards.
    """

    __slots__ = ("lock", "result", "tasks", "wakers")

    def __init__(self, result: int | None = None) -> None:
        self.result = result
        self.lock = _new_rlock()
        self.wakers: list[Callable[[], object]] | None = None
        self.tasks: list[Task] | None = None

    def resolve(self, result: int) -> None:
        """Have the result, which nobody has set before, and tell all who wait for it."""
        with self.lock:
            self.result = result
            wakers, self.wakers = self.wakers, None
            tasks, self.tasks = self.tasks, None
        for wake in wakers or ():
            wake()
        if tasks and not life.closing:
            run_inline(tasks)

    def when_done(self, wake: Callable[[], object]) -> bool:
        """Have `wake` called at completion; False, and no call, if that is past."""
        self._refuse_in_child()
        with self.lock:
            if self.result is not None:
                return False
            if self.wakers is None:
                self.wakers = [wake]
            else:
                self.wakers.append(wake)
            return True

    def then_run(self, task: Task) -> bool:
        """Have a user's callback run where it completes; False, and no call, if that is past."""
        self._refuse_in_child()
        with self.lock:
            if self.result is not None:
                return False
            if self.tasks is None:
                self.tasks = [task]
            else:
                self.tasks.append(task)
            return True

    def _refuse_in_child(self) -> None:
        """Raise in a forked child: what is under way there never ends."""
        if life.forked and self.result is None:
            refuse()

    def forget(self, wake: Callable[[], object]) -> None:
        """Undo `when_done`."""
        with self.lock:
            if self.wakers is not None and wake in self.wakers:
                self.wakers.remove(wake)

    def cancel(self) -> None:
        """Ask for its end; it comes as every other completion does."""
        raise NotImplementedError

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the outcome; False if it takes longer. Interrupted by signals on the main thread."""
        if self.result is not None:
            return True
        self._refuse_in_child()
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
