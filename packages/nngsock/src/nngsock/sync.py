"""Condition variables: a counter that completions and pipe events raise and waits lower, and a flag."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import types
from collections import deque
from typing import TYPE_CHECKING, Any

from nngsock._native import life, refuse
from nngsock.loops import wait_in_task

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = (
    "ConditionVariable",
    "acquire",
    "cv",
    "cv_reset",
    "cv_signal",
    "cv_value",
    "forward",
    "until",
    "until_",
    "wait",
    "wait_",
)


if sys.platform == "win32":  # there, waiting for a lock is not interruptible

    def acquire(lock: threading.Lock, seconds: float | None = None) -> bool:
        """Wait for a lock in slices, so that Ctrl-C comes through."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = 0.1 if deadline is None else min(0.1, deadline - time.monotonic())
            if lock.acquire(timeout=max(left, 0)):
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False

else:

    def acquire(lock: threading.Lock, seconds: float | None = None) -> bool:
        """Wait for a lock."""
        if seconds is None:
            return lock.acquire()
        return lock.acquire(timeout=min(max(seconds, 0), threading.TIMEOUT_MAX))


class ConditionVariable:
    """A counter with waiters, first come first served, and a flag.

    Made by `cv()`. Each signal either goes to the waiter that has waited longest or adds 1 to the
    counter; each successful wait takes 1. Works from any thread and from callbacks.
    """

    __slots__ = ("__weakref__", "_flag", "_lock", "_target", "_value", "_waiters", "_watchers")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._value = 0
        self._flag = False
        self._waiters: deque[Callable[[], object]] = deque()
        self._target: ConditionVariable | None = None
        self._watchers: list[Callable[[], object]] = []

    def __repr__(self) -> str:
        return f"< conditionVariable | value: {self._value}{' | flagged' if self._flag else ''} >"

    def signal(self) -> int:
        """Add 1, or wake a waiter.

        Returns:
            0.
        """
        return self._signal(flag=False)

    def flag(self) -> int:
        """Signal, and set the flag, which makes `wait` return False until the next reset.

        Returns:
            0.
        """
        return self._signal(flag=True)

    def _signal(self, *, flag: bool) -> int:
        with self._lock:
            if flag:
                self._flag = True
            if self._waiters:
                wake: Callable[[], object] | None = self._waiters.popleft()
            else:
                wake = None
                self._value += 1
            target = self._target
            watchers = tuple(self._watchers) if self._watchers else ()
        if wake is not None:
            wake()
        for watch in watchers:
            watch()
        if target is not None:
            target._signal(flag=flag)  # noqa: SLF001 - same class
        return 0

    def wait(self) -> bool:
        """Wait for a signal and take it.

        Returns:
            False if the flag is set, else True.
        """
        self._take(None)
        return not self._flag

    def until(self, msec: float) -> bool:
        """Wait for a signal, not longer than this, and take it; the flag plays no part.

        Args:
            msec: Milliseconds, truncated to a whole number; up to 0 does not wait.

        Returns:
            True, or False when the time is over.
        """
        if isinstance(msec, bool) or not isinstance(msec, int | float):
            raise TypeError(f"`msec` must be a number of milliseconds, not {msec!r}")
        return self._take(max(int(msec), 0) / 1000)

    def _take(self, seconds: float | None) -> bool:
        with self._lock:
            if self._value:
                self._value -= 1
                return True
            if life.forked:
                refuse()
            lock = threading.Lock()
            lock.acquire()
            wake = lock.release
            self._waiters.append(wake)
        came = False
        try:
            came = acquire(lock, seconds)
        except BaseException:
            if not self._leave(wake):
                self._give_back()
            raise
        return came or not self._leave(wake)

    def _leave(self, wake: Callable[[], object]) -> bool:
        """Stop waiting; False if the signal has come already."""
        with self._lock:
            if wake not in self._waiters:
                return False
            self._waiters.remove(wake)
            return True

    def _give_back(self) -> None:
        """Return a signal that was taken and not used; it has been counted and forwarded before."""
        with self._lock:
            if not self._waiters:
                self._value += 1
                return
            wake = self._waiters.popleft()
        wake()

    async def wait_async(self) -> bool:
        """Wait as `wait` does, in a task of asyncio or trio.

        Returns:
            False if the flag is set, else True.
        """
        await self._take_in_task()
        return not self._flag

    @types.coroutine
    def _take_in_task(self) -> Generator[Any, Any, None]:
        taken = returned = False
        waiter: Callable[[], object] | None = None

        def register(wake: Callable[[], bool]) -> bool:
            nonlocal taken, waiter

            def wake_or_return() -> None:
                nonlocal returned
                if not wake():
                    returned = True
                    self._give_back()

            with self._lock:
                if self._value:
                    self._value -= 1
                    taken = True
                    return False
                waiter = wake_or_return
                self._waiters.append(waiter)
                return True

        try:
            yield from wait_in_task(register)
        except BaseException:
            if taken or (waiter is not None and not self._leave(waiter) and not returned):
                self._give_back()
            raise

    def value(self) -> int:
        """The number of signals that nobody has taken."""
        return self._value

    def reset(self) -> int:
        """Set the counter to 0 and clear the flag.

        Returns:
            0.
        """
        with self._lock:
            self._value = 0
            self._flag = False
        return 0

    @property
    def flagged(self) -> bool:
        """Whether the flag is set."""
        return self._flag

    def forward(self, cv2: ConditionVariable) -> ConditionVariable:
        """Reset this one, and from now on signal `cv2` whenever it is signalled.

        There is one target, the newest. `cv >> cv2` does the same.

        Args:
            cv2: The condition variable to signal too.

        Returns:
            `cv2`, so that chains can be written.
        """
        _valid(cv2)
        following: ConditionVariable | None = cv2
        while following is not None:
            if following is self:
                raise ValueError("`cv2` forwards to this condition variable already: a circle has no end")
            following = following._target  # noqa: SLF001 - same class
        with self._lock:
            self.reset()
            self._target = cv2
        return cv2

    __rshift__ = forward

    def watch(self, function: Callable[[], object]) -> Callable[[], None]:
        """Have a function called at every signal, on the thread that signals; takes no signal away.

        Args:
            function: Called without arguments; must not block.

        Returns:
            A function that ends it.
        """
        with self._lock:
            self._watchers.append(function)

        def end() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._watchers.remove(function)

        return end


def _valid(x: object) -> ConditionVariable:
    if not isinstance(x, ConditionVariable):
        raise TypeError(f"`cv` is not a valid Condition Variable: {x!r}; make one with cv()")
    return x


def cv() -> ConditionVariable:
    """Make a condition variable: counter 0, flag not set.

    Example:
        >>> c = cv()
        >>> c.signal(), c.value(), c.wait(), c.value()
        (0, 1, True, 0)
    """
    return ConditionVariable()


def wait(cv: ConditionVariable) -> bool:
    """Wait for a signal and take it; see `ConditionVariable.wait`.

    Example:
        >>> c = cv()
        >>> cv_signal(c), wait(c)
        (0, True)
    """
    return _valid(cv).wait()


def until(cv: ConditionVariable, msec: float) -> bool:
    """Wait for a signal, not longer than `msec` milliseconds; see `ConditionVariable.until`.

    Example:
        >>> c = cv()
        >>> until(c, 10), cv_signal(c), until(c, 10)
        (False, 0, True)
    """
    return _valid(cv).until(msec)


def cv_value(cv: ConditionVariable) -> int:
    """The number of signals that nobody has taken.

    Example:
        >>> c = cv()
        >>> cv_signal(c), cv_signal(c), cv_value(c)
        (0, 0, 2)
    """
    return _valid(cv).value()


def cv_reset(cv: ConditionVariable) -> int:
    """Set the counter to 0 and clear the flag; returns 0.

    Example:
        >>> c = cv()
        >>> cv_signal(c), cv_reset(c), cv_value(c)
        (0, 0, 0)
    """
    return _valid(cv).reset()


def cv_signal(cv: ConditionVariable) -> int:
    """Add 1, or wake a waiter; returns 0.

    Example:
        >>> cv_signal(cv())
        0
    """
    return _valid(cv).signal()


def forward(cv: ConditionVariable, cv2: ConditionVariable) -> ConditionVariable:
    """Signal `cv2` whenever `cv` is; see `ConditionVariable.forward`. Returns `cv2`.

    Example:
        >>> one, all_of_them = cv(), cv()
        >>> forward(one, all_of_them) is all_of_them, cv_signal(one), cv_value(all_of_them)
        (True, 0, 1)
    """
    return _valid(cv).forward(cv2)


# Every wait can be interrupted here, so the original's second forms are the first.
wait_ = wait
until_ = until
