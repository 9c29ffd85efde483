"""How long tasks take, as was measured lately; hence how many of them go into one message."""

from __future__ import annotations

from collections import OrderedDict
from math import inf

# A batch is as many short tasks as take about this long, so that what follows is not held up.
BATCH_SECONDS = 0.003
# What a task costs besides its own time; keeps batches of trivial tasks at a few hundred.
TASK_OVERHEAD_SECONDS = 0.000_012
# Tasks that take longer than this travel alone.
SHORT_SECONDS = 0.001
# A chunk of short elements takes about this long: long enough that messages cost nothing beside it, short
# enough to end together with the others.
CHUNK_SECONDS = 0.02
LEAST_CHUNK_SECONDS = 0.001
ELEMENT_OVERHEAD_SECONDS = 0.000_000_5
_NEWS = 0.2
_MAX_ESTIMATES = 4096


class Pace:
    """Seconds that tasks with some code take."""

    def __init__(self) -> None:
        self._seconds: OrderedDict[bytes, float] = OrderedDict()

    def learn(self, key: bytes, seconds: float, number: int = 1) -> None:
        """Take note of what `number` tasks with the code of this key took on average."""
        before = self._seconds.get(key)
        if before is not None:
            seconds += (before - seconds) * (1 - _NEWS) ** number
        self._seconds[key] = seconds
        self._seconds.move_to_end(key)
        if len(self._seconds) > _MAX_ESTIMATES:
            self._seconds.popitem(last=False)

    def expected(self, key: bytes) -> float:
        """Seconds that a task will probably take; for ever, if none was seen."""
        return self._seconds.get(key, inf)

    def chunk(self, key: bytes, left: int, daemons: int) -> int:
        """How many of the elements that are left of a map make a chunk for one of these daemons.

        Half of its fair share, so that chunks become smaller towards the end, but no longer than a chunk
        may take, and no less than is worth a message.
        """
        expected = self.expected(key)
        if expected > SHORT_SECONDS:
            return 1
        expected += ELEMENT_OVERHEAD_SECONDS
        fair = -(-left // max(1, daemons))
        least = int(LEAST_CHUNK_SECONDS / expected)
        return max(1, min(int(CHUNK_SECONDS / expected), max(fair // 2, least), fair))
