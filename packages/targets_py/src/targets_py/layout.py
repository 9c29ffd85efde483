"""Positions of a graph's vertices: levels from left to right, few crossings, no edge through a vertex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SWEEPS = 4
ROW_SEPARATION = 70.0
LANE_SEPARATION = 30.0
LEAST_LEVEL_SEPARATION = 150.0
LONGEST_LANE = 30  # levels; an edge across more goes straight, so that lanes stay linear in number


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the vertices of a graph are, and how the edges between them run.

    Attributes:
        levels: For each vertex the column, from 1: just before the first that needs it, and behind all
            that it needs.
        x, y: For each vertex its position.
        bends: For an edge across other levels the points where it passes them.
    """

    levels: list[int]
    x: list[float]
    y: list[float]
    bends: dict[tuple[int, int], list[tuple[float, float]]]


def lay_out(size: int, edges: Sequence[tuple[int, int]], level_separation: float | None = None) -> Layout:
    """Place the vertices of an acyclic graph; takes time linear in vertices and edges, but for sorting.

    Args:
        size: Number of vertices.
        edges: Pairs of positions: from, to.
        level_separation: Distance of levels; None: more for graphs with full levels.
    """
    levels = _levels(size, edges)
    lanes, steps = _lanes(levels, edges)
    upstream, downstream = _neighbours(len(levels), steps)
    columns: list[list[int]] = [[] for _ in range(max(levels, default=0))]
    for place, level in enumerate(levels):
        columns[level - 1].append(place)
    heights = [ROW_SEPARATION] * size + [LANE_SEPARATION] * (len(levels) - size)
    y = [0.0] * len(levels)
    for column in columns:
        _spread(column, heights, y)
    for _ in range(SWEEPS):
        for column in columns[1:]:
            _sort(column, upstream, heights, y)
        for column in reversed(columns[:-1]):
            _sort(column, downstream, heights, y)
    if level_separation is None:
        fullest = max(map(len, columns), default=0)
        level_separation = max(
            LEAST_LEVEL_SEPARATION, LEAST_LEVEL_SEPARATION * fullest / max(len(columns), 1)
        )
    x = [(level - 1) * level_separation for level in levels]
    bends = {edge: [(x[place], y[place]) for place in lane] for edge, lane in lanes.items()}
    return Layout(levels[:size], x[:size], y[:size], bends)


def _neighbours(size: int, edges: Sequence[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    upstream: list[list[int]] = [[] for _ in range(size)]
    downstream: list[list[int]] = [[] for _ in range(size)]
    for source, sink in edges:
        upstream[sink].append(source)
        downstream[source].append(sink)
    return upstream, downstream


def _levels(size: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    upstream, downstream = _neighbours(size, edges)
    levels = [1] * size
    missing = [len(above) for above in upstream]
    ready = [vertex for vertex, count in enumerate(missing) if not count]
    for vertex in ready:  # grows meanwhile
        for below in downstream[vertex]:
            levels[below] = max(levels[below], levels[vertex] + 1)
            missing[below] -= 1
            if not missing[below]:
                ready.append(below)
    for vertex in reversed(ready):
        if downstream[vertex]:
            levels[vertex] = min(levels[below] for below in downstream[vertex]) - 1
    return levels


def _lanes(
    levels: list[int], edges: Sequence[tuple[int, int]]
) -> tuple[dict[tuple[int, int], list[int]], list[tuple[int, int]]]:
    """Keep room on the levels that edges pass: one lane for all that leave the same vertex.

    Args:
        levels: Of the vertices; grows by those of the places that are kept.
        edges: Pairs of positions: from, to.

    Returns:
        For each edge across other levels its places there, and the edges from one level to the next.
    """
    of_source: dict[int, list[int]] = {}
    lanes: dict[tuple[int, int], list[int]] = {}
    steps: list[tuple[int, int]] = []
    for source, sink in edges:
        passed = levels[sink] - levels[source] - 1
        if passed > LONGEST_LANE:
            continue
        lane = of_source.setdefault(source, [])
        while len(lane) < passed:
            steps.append((lane[-1] if lane else source, len(levels)))
            lane.append(len(levels))
            levels.append(levels[source] + len(lane))
        if passed:
            lanes[source, sink] = lane[:passed]
        steps.append((lane[passed - 1] if passed else source, sink))
    return lanes, steps


def _spread(column: list[int], heights: list[float], y: list[float]) -> None:
    top = -sum(heights[place] for place in column) / 2
    for place in column:
        y[place] = top + heights[place] / 2
        top += heights[place]


def _sort(column: list[int], neighbours: list[list[int]], heights: list[float], y: list[float]) -> None:
    """Order a level by where the neighbours are on average; what has none stays where it is."""
    centres = {
        place: sum(y[other] for other in neighbours[place]) / len(neighbours[place])
        if neighbours[place]
        else y[place]
        for place in column
    }
    column.sort(key=centres.__getitem__)
    _spread(column, heights, y)
