"""Wake whoever waits for results, instead of letting them sleep and look."""

from __future__ import annotations

import nngsock
from crew_py.errors import CrewError, CrewTypeError
from crew_py.throttle import CrewThrottle

__all__ = ("CrewRelay", "crew_class_relay", "crew_relay")


class CrewRelay:
    """A condition variable that passes signals on: from a profile, to a controller, to a group.

    Args:
        throttle: how long a wait may last; None for `crew_throttle()`.

    Example:
        >>> relay = crew_relay()
        >>> relay.start()
        >>> relay.signal()
        >>> relay.wait()
        True
    """

    def __init__(self, throttle: CrewThrottle | None = None) -> None:
        self._throttle = CrewThrottle() if throttle is None else throttle
        self._condition: nngsock.ConditionVariable | None = None
        self._from: nngsock.ConditionVariable | None = None
        self._to: nngsock.ConditionVariable | None = None
        self.validate()

    @property
    def condition(self) -> nngsock.ConditionVariable | None:
        """What this relay waits on; None unless started."""
        return self._condition

    @property
    def from_(self) -> nngsock.ConditionVariable | None:
        """What signals this relay."""
        return self._from

    @property
    def to(self) -> nngsock.ConditionVariable | None:
        """What this relay signals in turn."""
        return self._to

    @property
    def throttle(self) -> CrewThrottle:
        """How long a wait may last."""
        return self._throttle

    def start(self) -> None:
        """Make the condition variable and connect it; nothing happens when it is there."""
        if self._condition is None:
            self._condition = nngsock.cv()
            self._connect()

    def terminate(self) -> None:
        """Drop the condition variable. `to` is kept for the next start, `from_` is not."""
        self._condition = None
        self._from = None

    def set_from(self, cv: nngsock.ConditionVariable | None) -> None:
        """Set what signals this relay."""
        self._from = cv
        self._connect()

    def set_to(self, cv: nngsock.ConditionVariable | None) -> None:
        """Set what this relay signals in turn."""
        self._to = cv
        self._connect()

    def _connect(self) -> None:
        if self._condition is None:
            return
        if self._from is not None:
            nngsock.forward(self._from, self._condition)
        if self._to is not None:
            nngsock.forward(self._condition, self._to)

    def signal(self) -> None:
        """Wake who waits here, and at what this relay signals."""
        condition = self._condition
        if condition is not None:
            condition.signal()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for a signal, at most the throttle's current interval. All signals so far are consumed.

        Args:
            seconds: a shorter limit, in seconds; None for none.

        Returns:
            Whether there was a signal.

        Raises:
            CrewError: the relay is not started.
        """
        condition = self._condition
        if condition is None:
            raise CrewError("the relay is not started: call start()")
        limit = self._throttle.seconds_interval
        if seconds is not None:
            limit = min(limit, max(0.0, seconds))
        # Whole milliseconds, rounded up: until() truncates, and 0 would spin.
        signalled = bool(condition.until(max(1, int(limit * 1000 + 0.999))))
        if signalled:
            condition.reset()
        self._throttle.update(signalled)
        return signalled

    def validate(self) -> None:
        """Check the fields.

        Raises:
            CrewTypeError: the throttle is none.
        """
        if not isinstance(self._throttle, CrewThrottle):
            raise CrewTypeError(f"`throttle` must come from crew_throttle(), got {self._throttle!r}")
        self._throttle.validate()

    def __repr__(self) -> str:
        return (
            f"crew_relay({'started' if self._condition is not None else 'not started'}, {self._throttle!r})"
        )


crew_relay = CrewRelay
crew_class_relay = CrewRelay
