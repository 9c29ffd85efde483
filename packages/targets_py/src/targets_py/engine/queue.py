"""The queue of what is ready to run."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from targets_py.engine.graph import Node

NODE = -1  # instead of a branch number: a stem, or a pattern that is to be expanded


class ReadyQueue:
    """What is ready, in the order of priority, place in the script, branch number."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Node]] = []

    def push(self, node: Node, branch: int = NODE) -> None:
        """Add a stem or a pattern to expand, or one of a pattern's branches."""
        negative, position = node.order
        heappush(self._heap, (negative, position, branch, node))

    def pop(self) -> tuple[Node, int]:
        """Take what comes first."""
        _, _, branch, node = heappop(self._heap)
        return node, branch

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()

    def __len__(self) -> int:
        return len(self._heap)

    def __repr__(self) -> str:
        return f"<ReadyQueue of {len(self)}>"
