"""Positions of a graph's vertices: levels from left to right, few crossings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SWEEPS = 4
ROW_SEPARATION = 70.0
LEAST_LEVEL_SEPARATION = 150.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the vertices of a graph are.

    Attributes:
        levels: For each vertex 1 for a source, else 1 + the largest level upstream.
        x, y: For each vertex its position.
    """

    levels: list[int]
    x: list[float]
    y: list[float]


def lay_out(size: int, edges: Sequence[tuple[int, int]], level_separation: float | None = None) -> Layout:
    """Place the vertices of an acyclic graph; takes time linear in vertices and edges, but for sorting.

    Args:
        size: Number of vertices.
        edges: Pairs of positions: from, to.
        level_separation: Distance of levels; None: more for graphs with full levels.
    """
    upstream: list[list[int]] = [[] for _ in range(size)]
    downstream: list[list[int]] = [[] for _ in range(size)]
    for source, sink in edges:
        upstream[sink].append(source)
        downstream[source].append(sink)
    levels = _levels(upstream, downstream)
    columns: list[list[int]] = [[] for _ in range(max(levels, default=0))]
    for vertex, level in enumerate(levels):
        columns[level - 1].append(vertex)
    y = [0.0] * size
    for column in columns:
        _spread(column, y)
    for _ in range(SWEEPS):
        for column in columns[1:]:
            _sort(column, upstream, y)
        for column in reversed(columns[:-1]):
            _sort(column, downstream, y)
    if level_separation is None:
        fullest = max(map(len, columns), default=0)
        level_separation = max(
            LEAST_LEVEL_SEPARATION, LEAST_LEVEL_SEPARATION * fullest / max(len(columns), 1)
        )
    return Layout(levels, [(level - 1) * level_separation for level in levels], y)


def _levels(upstream: list[list[int]], downstream: list[list[int]]) -> list[int]:
    levels = [1] * len(upstream)
    missing = [len(above) for above in upstream]
    ready = [vertex for vertex, count in enumerate(missing) if not count]
    for vertex in ready:  # grows meanwhile
        for below in downstream[vertex]:
            levels[below] = max(levels[below], levels[vertex] + 1)
            missing[below] -= 1
            if not missing[below]:
                ready.append(below)
    return levels


def _spread(column: list[int], y: list[float]) -> None:
    top = (len(column) - 1) / 2
    for row, vertex in enumerate(column):
        y[vertex] = (row - top) * ROW_SEPARATION


def _sort(column: list[int], neighbours: list[list[int]], y: list[float]) -> None:
    """Order a level by where the neighbours are on average; vertices without any stay where they are."""
    centres = {
        vertex: sum(y[other] for other in neighbours[vertex]) / len(neighbours[vertex])
        if neighbours[vertex]
        else y[vertex]
        for vertex in column
    }
    column.sort(key=centres.__getitem__)
    _spread(column, y)
