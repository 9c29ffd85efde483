"""What is known of launched workers before they connect: who has gone, and with which last words."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from crew_py.scaling import LaunchRound, vanished

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Roster", "Streak", "last_words")

# A connection's end may be learned a moment after that of its process.
SETTLED_SECONDS: Final = 0.2


@dataclass(slots=True)
class _Launched:
    handle: Any
    count: int
    ended: float | None = None


@dataclass(slots=True)
class Roster:
    """The handles of workers that may still come.

    A handle may offer `is_alive()`, whether its process or job exists, and `failed()`, whether it will
    certainly never connect. One that offers neither is only judged by the clock.

    Attributes:
        exited: workers that ended without ever connecting.
        last: the handle of the newest of them.
    """

    exited: int = 0
    last: Any = None
    _launched: list[_Launched] = field(default_factory=list)
    _all_tell: bool = True

    def add(self, handle: Any, count: int) -> None:
        """Note a launch: one handle for all of its workers, or a list with one each."""
        handles = list(handle) if isinstance(handle, list | tuple) else [handle]
        each = 1 if len(handles) == count else count
        for one in handles:
            if hasattr(one, "is_alive") or hasattr(one, "failed"):
                self._launched.append(_Launched(one, each))
            if not hasattr(one, "is_alive"):
                self._all_tell = False

    def newly_failed(self, status: dict[str, int], total: int, failed: int) -> int:
        """How many workers, not counted in `failed` yet, will never connect."""
        unseen = max(0, total - status["cumulative"] - failed)
        found = self._said_failed()
        alive = self._alive(time.monotonic())
        if self._all_tell:
            found += vanished(status, total, failed + found, alive)
        found = min(found, unseen)
        self.exited += found
        return found

    def _said_failed(self) -> int:
        found = [one for one in self._launched if getattr(one.handle, "failed", bool)()]
        for one in found:
            self._launched.remove(one)
            self.last = one.handle
        return sum(one.count for one in found)

    def _alive(self, now: float) -> int:
        """Count the living, and forget those that ended long enough ago."""
        living = []
        for one in self._launched:
            if one.ended is None and not getattr(one.handle, "is_alive", _unknown)():
                one.ended = now
            if one.ended is None or now - one.ended < SETTLED_SECONDS:
                living.append(one)
            else:
                self.last = one.handle
        self._launched = living
        return sum(one.count for one in living)


def _unknown() -> bool:
    return True


@dataclass(slots=True)
class Streak:
    """Launch rounds in a row without any connection.

    Attributes:
        rounds: how many.
        exits: how many of them, counted back from the last, whose workers all ended by themselves.
    """

    rounds: int = 0
    exits: int = 0
    _judged: int = 0
    _seen: int = 0
    _exited: int = 0

    def judge(self, launches: Sequence[LaunchRound], *, cumulative: int, failed: int, exited: int) -> None:
        """Look at the rounds that are over: all of their workers connected or failed."""
        if cumulative > self._seen:
            self._seen = cumulative
            self.rounds = self.exits = 0
        for launched in launches:
            if not self._judged < launched.total <= cumulative + failed:
                continue
            self._judged = launched.total
            if cumulative == launched.seen:
                self.rounds += 1
                self.exits = self.exits + 1 if exited - self._exited >= launched.count else 0
            self._exited = exited


def last_words(handle: Any) -> str:
    """What a handle tells about the end of its worker, as text to append to a message; "" if nothing."""
    parts = []
    pid = handle.get_pid() if hasattr(handle, "get_pid") else None
    status = handle.get_exit_status() if hasattr(handle, "get_exit_status") else None
    if status is not None:
        parts.append(f"worker process {pid} {ending(status)}")
    if getattr(handle, "log", None):
        parts.append(f"log: {handle.log}")
    text = handle.tail() if hasattr(handle, "tail") else ""
    if text:
        parts.append(f"last lines of its output:\n{text}")
    return "; ".join(parts)


def ending(status: int) -> str:
    """An exit status in words; a negative one is a signal, as in subprocess."""
    if status >= 0:
        return f"exited with code {status}"
    import signal

    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
