"""Exponential backoff: how often something may be done that costs."""

from __future__ import annotations

import math
import time

from crew_py import validation
from crew_py.errors import CrewValueError

__all__ = ("CrewThrottle", "crew_class_throttle", "crew_throttle")


class CrewThrottle:
    """Say when an interval has passed that shrinks with activity and grows without.

    Args:
        seconds_max: longest interval, in seconds.
        seconds_min: shortest interval, in seconds, above 0.
        seconds_start: interval at the start and after `reset`; None = `seconds_min`.
        base: factor by which the interval grows and shrinks, above 1.

    Raises:
        CrewValueError: not 0 < seconds_min <= seconds_start <= seconds_max, or base <= 1.

    Example:
        >>> throttle = crew_throttle(seconds_max=4, seconds_min=1)
        >>> throttle.decelerate()
        >>> throttle.seconds_interval
        2.0
    """

    def __init__(
        self,
        seconds_max: float = 1,
        seconds_min: float = 1e-6,
        seconds_start: float | None = None,
        base: float = 2,
    ) -> None:
        self._seconds_max = validation.number("seconds_max", seconds_max, above=0)
        self._seconds_min = validation.finite("seconds_min", seconds_min, above=0)
        start = seconds_min if seconds_start is None else seconds_start
        self._seconds_start = validation.finite("seconds_start", start, above=0)
        self._base = validation.finite("base", base, above=1)
        self._seconds_interval = self._seconds_start
        self._polled: float | None = None
        self.validate()

    @property
    def seconds_max(self) -> float:
        """Longest interval in seconds."""
        return self._seconds_max

    @property
    def seconds_min(self) -> float:
        """Shortest interval in seconds."""
        return self._seconds_min

    @property
    def seconds_start(self) -> float:
        """Interval in seconds at the start and after `reset`."""
        return self._seconds_start

    @property
    def base(self) -> float:
        """Factor of growth."""
        return self._base

    @property
    def seconds_interval(self) -> float:
        """Current interval in seconds."""
        return self._seconds_interval

    @property
    def polled(self) -> float | None:
        """Monotonic time of the last `poll` that said True (or of the first); None before."""
        return self._polled

    def poll(self) -> bool:
        """Ask whether more than the interval has passed since the last time it had.

        Returns:
            False at the first call ever, which only notes the time.
        """
        now = time.monotonic()
        if self._polled is None:
            self._polled = now
            return False
        if now - self._polled <= self._seconds_interval:
            return False
        self._polled = now
        return True

    def accelerate(self) -> None:
        """Shorten the interval."""
        self._seconds_interval = max(self._seconds_min, self._seconds_interval / self._base)

    def decelerate(self) -> None:
        """Lengthen the interval."""
        self._seconds_interval = min(self._seconds_max, self._seconds_interval * self._base)

    def reset(self) -> None:
        """Go back to the interval of the start; the next `poll` says True."""
        self._seconds_interval = self._seconds_start
        self._polled = -math.inf

    def update(self, activity: bool) -> None:
        """Reset after activity, decelerate without.

        Args:
            activity: whether something was going on.
        """
        if activity:
            self.reset()
        else:
            self.decelerate()

    def validate(self) -> None:
        """Check the fields.

        Raises:
            CrewValueError: they contradict one another.
        """
        if not self._seconds_min <= self._seconds_start <= self._seconds_max:
            raise CrewValueError(
                "a throttle needs seconds_min <= seconds_start <= seconds_max, got "
                f"{self._seconds_min:g}, {self._seconds_start:g}, {self._seconds_max:g}"
            )

    def __repr__(self) -> str:
        return (
            f"crew_throttle(seconds_max={self._seconds_max:g}, seconds_min={self._seconds_min:g}, "
            f"seconds_start={self._seconds_start:g}, base={self._base:g})"
        )


crew_throttle = CrewThrottle
crew_class_throttle = CrewThrottle
