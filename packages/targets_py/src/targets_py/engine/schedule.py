"""The schedule: what becomes ready when something is finished.

A stem is ready when all it needs is finished. A pattern is *expanded* as soon as its dimensions have
children, so at once where these are expanded patterns; each branch is then ready when its own children and
everything else that the pattern needs are finished. Branches are a name, positions and a counter, never
objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from targets_py.engine.queue import ReadyQueue

if TYPE_CHECKING:
    from targets_py.definition.patterns import Grid
    from targets_py.engine.graph import Graph, Node


@dataclass(slots=True)
class Expansion:
    """The branches of a pattern.

    Attributes:
        names: Their names, in order.
        grid: Dimension -> for each branch, the position of its child.
        missing: For each branch, how many of the things it waits for are unfinished.
        finished: For each branch, whether it is finished.
        unfinished: How many branches are not.
        waiters: Branch -> the branches below that wait for it.
    """

    names: list[str]
    grid: Grid
    missing: list[int]
    finished: bytearray
    unfinished: int
    waiters: dict[int, list[tuple[Node, int]]]


@dataclass(slots=True)
class _Waiting:
    """What a node still waits for."""

    dimensions: int  # dimensions without children
    others: int  # unfinished upstreams that are no dimensions


class Schedule:
    """What is ready and what waits for what.

    Args:
        graph: The targets of this run; upstreams that are not in it count as finished.

    Attributes:
        expansions: Pattern -> its branches, from its expansion on.
    """

    def __init__(self, graph: Graph) -> None:
        self.expansions: dict[str, Expansion] = {}
        self._graph = graph
        self._ready = ReadyQueue()
        self._waiting: dict[str, _Waiting] = {}
        self._trimmed: set[str] = set()
        for node in graph.values():
            dimensions = sum(upstream in graph for upstream in node.dimensions)
            everything = sum(upstream in graph for upstream in node.upstreams)
            self._waiting[node.name] = _Waiting(dimensions, everything - dimensions)
            if not (dimensions if node.is_pattern else everything):
                self._ready.push(node)

    def __repr__(self) -> str:
        return f"<Schedule of {len(self._graph)} targets, {len(self._ready)} ready>"

    def __bool__(self) -> bool:
        return bool(self._ready)

    def pop(self) -> tuple[Node, int] | None:
        """What comes next: a stem, a pattern to expand (both with NODE) or a branch; None if nothing is."""
        while self._ready:
            node, branch = self._ready.pop()
            if node.name not in self._trimmed:
                return node, branch
        return None

    def expand(self, node: Node, names: list[str], grid: Grid) -> None:
        """Give a pattern its branches.

        Args:
            node: The pattern.
            names: Names of the branches.
            grid: Dimension -> for each branch, the position of its child.
        """
        gate = 1 if self._waiting[node.name].others else 0
        size = len(names)
        expansion = Expansion(names, grid, [gate] * size, bytearray(size), size, {})
        self.expansions[node.name] = expansion
        for dimension in node.dimensions:
            above = self.expansions.get(dimension)
            if above is not None and above.unfinished:
                _wait_for_children(node, expansion, grid[dimension], above)
        for branch, missing in enumerate(expansion.missing):
            if not missing:
                self._ready.push(node, branch)
        for downstream in node.downstreams:
            if node.name in downstream.dimensions:
                self._dimension_ready(downstream)

    def finish_branch(self, node: Node, branch: int) -> bool:
        """Release what waits for a branch.

        Args:
            node: The pattern.
            branch: Number of the branch.

        Returns:
            Whether it was the last one: then conclude the pattern and call `finish`.
        """
        expansion = self.expansions[node.name]
        expansion.finished[branch] = 1
        expansion.unfinished -= 1
        for below, number in expansion.waiters.pop(branch, ()):
            self._branch_released(below, self.expansions[below.name], number)
        return not expansion.unfinished

    def finish(self, node: Node) -> None:
        """Release what waits for a stem, or for a whole pattern."""
        for downstream in node.downstreams:
            if node.name not in downstream.dimensions:
                self._other_ready(downstream)
            elif node.name not in self.expansions:  # an expanded pattern has told it already
                self._dimension_ready(downstream)

    def trim(self, node: Node) -> None:
        """Drop everything below a node, and the branches of the node itself that have not started."""
        pending = [node]
        while pending:
            current = pending.pop()
            if current.name not in self._trimmed:
                self._trimmed.add(current.name)
                pending += current.downstreams

    def is_trimmed(self, node: Node) -> bool:
        """Whether nothing of a node may start any more."""
        return node.name in self._trimmed

    def clear(self) -> None:
        """Start nothing any more."""
        self._trimmed.update(self._graph)

    def _dimension_ready(self, node: Node) -> None:
        waiting = self._waiting[node.name]
        waiting.dimensions -= 1
        if not waiting.dimensions:
            self._ready.push(node)

    def _other_ready(self, node: Node) -> None:
        waiting = self._waiting[node.name]
        waiting.others -= 1
        if waiting.others:
            return
        if not node.is_pattern:
            self._ready.push(node)
        elif node.name in self.expansions:
            expansion = self.expansions[node.name]
            for branch in range(len(expansion.names)):
                self._branch_released(node, expansion, branch)

    def _branch_released(self, node: Node, expansion: Expansion, branch: int) -> None:
        expansion.missing[branch] -= 1
        if not expansion.missing[branch]:
            self._ready.push(node, branch)


def _wait_for_children(node: Node, expansion: Expansion, column: list[int], above: Expansion) -> None:
    for branch, child in enumerate(column):
        if not above.finished[child]:
            expansion.missing[branch] += 1
            above.waiters.setdefault(child, []).append((node, branch))
