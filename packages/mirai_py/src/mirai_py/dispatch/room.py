"""How much waits in a queue, and who waits for it to become less."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

MEGABYTE = 1_000_000


@dataclass(slots=True)
class Room:
    """Bytes of the tasks that wait, with a bound or without. Its owner's lock guards all but `full`.

    Attributes:
        capacity: the bound in bytes; None for none. What is let in while there is room may exceed it once.
        used: bytes that wait now.
        peak: the most that ever waited.
    """

    capacity: float | None = None
    used: int = 0
    peak: int = 0
    _waiting: list[threading.Lock] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether nothing more is let in."""
        return self.capacity is not None and self.used >= self.capacity

    def add(self, size: int) -> None:
        """Count what has come to wait."""
        self.used += size

    def note_peak(self) -> None:
        """Take note of a maximum, once what could leave at once has left."""
        self.peak = max(self.peak, self.used)

    def remove(self, size: int) -> None:
        """Count what waits no longer; wake who waits for room."""
        self.used -= size
        if self._waiting and not self.full:
            self.wake()

    def wait_lock(self) -> threading.Lock:
        """A lock that is held until there is room. Acquiring it is interrupted by Ctrl-C at once."""
        lock = threading.Lock()
        lock.acquire()
        self._waiting.append(lock)
        return lock

    def wake(self) -> None:
        """Let all look again who wait for room."""
        waiting, self._waiting = self._waiting, []
        for lock in waiting:
            lock.release()

    def report(self) -> dict[str, float | None]:
        """used, peak and capacity in MB (1 MB = 1e6 bytes)."""
        capacity = None if self.capacity is None else self.capacity / MEGABYTE
        return {"used": self.used / MEGABYTE, "peak": self.peak / MEGABYTE, "capacity": capacity}
