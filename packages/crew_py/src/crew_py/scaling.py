"""How many workers to launch: arithmetic alone, nothing here starts anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ("LaunchRound", "Plan", "plan", "vanished")


@dataclass(frozen=True, slots=True)
class LaunchRound:
    """One launch: of `count` workers at once.

    Attributes:
        handle: what the launcher's hook returned.
        start: monotonic time in seconds.
        count: workers launched in this round.
        total: workers launched up to and including this round.
        seen: connections ever made when the round began.
    """

    handle: Any
    start: float
    count: int
    total: int
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Attributes:
        n: workers to launch now.
        failed: workers so far that were launched and did not connect in time.
        rounds: the launch rounds still of interest.
    """

    n: int
    failed: int
    rounds: tuple[LaunchRound, ...]


def plan(
    status: Mapping[str, int],
    rounds: Sequence[LaunchRound],
    failed: int,
    *,
    workers: int,
    seconds_launch: float,
    now: float,
) -> Plan:
    """Compare the demand for workers with those that are there or on their way.

    Args:
        status: counts of the client: connections, cumulative, awaiting, executing.
        rounds: launch rounds, oldest first.
        failed: workers known not to have come.
        workers: most workers to have at a time.
        seconds_launch: a worker that is older and was not seen has failed.
        now: monotonic time in seconds.

    Returns:
        The plan.

    Example:
        >>> idle = {"connections": 0, "cumulative": 0, "awaiting": 3, "executing": 0}
        >>> plan(idle, (), 0, workers=5, seconds_launch=30, now=0.0).n
        3
    """
    seen = status["cumulative"]
    expected = max(0, _total(rounds) - seen - failed)
    launching = _younger(rounds, expected, now - seconds_launch)
    demand = min(workers, status["awaiting"] + status["executing"])
    return Plan(
        n=max(0, demand - launching - status["connections"]),
        failed=failed + expected - launching,
        # The last round is always kept: the running total continues from it.
        rounds=tuple(r for r in rounds[:-1] if r.total >= seen) + tuple(rounds[-1:]),
    )


def vanished(status: Mapping[str, int], total: int, failed: int, alive: int) -> int:
    """How many launched workers have surely ended without ever connecting.

    Who of them connected is not known, but how many did: workers not seen yet can only be among those alive
    that are not connected.

    Args:
        status: counts of the client.
        total: workers launched.
        failed: those known not to have come.
        alive: launched workers whose process, or job, exists.

    Returns:
        A number to add to `failed`.

    Example:
        >>> vanished({"connections": 1, "cumulative": 1}, total=3, failed=0, alive=2)
        1
    """
    unseen = total - status["cumulative"] - failed
    unconnected = max(0, alive - status["connections"])
    return max(0, unseen - unconnected)


def _total(rounds: Sequence[LaunchRound]) -> int:
    return rounds[-1].total if rounds else 0


def _younger(rounds: Sequence[LaunchRound], last: int, than: float) -> int:
    """How many of the `last` workers launched were launched after a time."""
    found = 0
    for launched in reversed(rounds):
        if last <= 0 or launched.start <= than:
            break
        found += min(last, launched.count)
        last -= launched.count
    return found
