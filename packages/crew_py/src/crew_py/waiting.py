"""Wait for tasks: look, scale, sleep until the relay wakes us."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from crew_py import validation

if TYPE_CHECKING:
    from collections.abc import Callable

    from crew_py.relay import CrewRelay

__all__ = ("MODES", "check", "wait_until")

MODES: Final = ("all", "one")


def check(mode: str, seconds_timeout: float) -> None:
    """Check the arguments of `wait`.

    Raises:
        CrewValueError: one is wrong.
    """
    validation.one_of("mode", mode, MODES)
    validation.number("seconds_timeout", seconds_timeout, at_least=0)


def wait_until(
    ready: Callable[[], bool],
    advance: Callable[[], object],
    relay: CrewRelay,
    seconds_timeout: float,
) -> bool:
    """Wait until something holds.

    Args:
        ready: whether it holds.
        advance: called once per turn, to scale.
        relay: wakes us when a task is resolved; it limits a turn too.
        seconds_timeout: how long at most, in seconds.

    Returns:
        Whether it held in time.
    """
    deadline = time.monotonic() + seconds_timeout
    while not ready():
        advance()
        left = deadline - time.monotonic()
        if left <= 0 or relay.condition is None:
            return ready()
        relay.wait(left)
    return True
