"""The graph of a pipeline as a drawing that needs no program to be shown."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from targets_py.look import COLORS, TYPE_COLOR, legend_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from targets_py.layout import Layout
    from targets_py.look import Vertex

RADIUS = 12.0
MARGIN = 60.0
LINE_HEIGHT = 14.0
LEGEND_STEP = 40.0
LEGEND_WIDTH = 130.0
TRIANGLE = (-1, 0.8, 1, 0.8, 0, -1)
UPSIDE_DOWN = (-1, -0.8, 1, -0.8, 0, 1)


def draw(
    vertices: Sequence[Vertex],
    edges: Sequence[tuple[int, int]],
    layout: Layout,
    labels: Sequence[Sequence[str]],
) -> str:
    """SVG code of a graph.

    Args:
        vertices: The vertices.
        edges: Pairs of positions: from, to.
        layout: Where the vertices are.
        labels: Lines of each vertex's label.
    """
    legend = legend_entries(vertices)
    left = LEGEND_WIDTH + MARGIN
    top = MARGIN - min(layout.y, default=0)
    width = left + max(layout.x, default=0) + 2 * MARGIN
    lines = max(map(len, labels), default=1)
    height = max(
        top + max(layout.y, default=0) + MARGIN + lines * LINE_HEIGHT, MARGIN + len(legend) * LEGEND_STEP
    )
    points = [(left + x, top + y) for x, y in zip(layout.x, layout.y, strict=True)]
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for source, sink in edges:
        bends = [(left + x, top + y) for x, y in layout.bends.get((source, sink), ())]
        parts.append(_edge([points[source], *bends, points[sink]], vertices[sink]))
    for vertex, point, label in zip(vertices, points, labels, strict=True):
        parts.append(_shape(vertex.type, point, COLORS[vertex.status][0], vertex.name))
        parts += _text(label, point[0], point[1] + RADIUS + LINE_HEIGHT, "middle")
    for row, (kind, word, text) in enumerate(legend):
        point = (MARGIN / 2, MARGIN / 2 + row * LEGEND_STEP)
        shape, fill = ("stem", COLORS[word][0]) if kind == "status" else (word, TYPE_COLOR)
        parts.append(_shape(shape, point, fill, text))
        parts += _text(text.split("\n"), point[0] + 2 * RADIUS, point[1] + 4, "start")
    return "\n".join([*parts, "</svg>", ""])


def _edge(points: Sequence[tuple[float, float]], sink: Vertex) -> str:
    """A curve through the points, level in each of them, with an arrowhead at the last."""
    (x1, y1), *between, (x2, y2) = points
    x2 -= RADIUS + 6
    x, y = x1 + RADIUS, y1
    curve = f"M{x:.1f},{y:.1f}"
    for next_x, next_y in [*between, (x2, y2)]:
        middle = (x + next_x) / 2
        curve += f" C{middle:.1f},{y:.1f} {middle:.1f},{next_y:.1f} {next_x:.1f},{next_y:.1f}"
        x, y = next_x, next_y
    color = COLORS[sink.status][0]
    tip = f"M{x2:.1f},{y2 - 4:.1f} l7,4 l-7,4 z"
    return (
        f'<path d="{curve}" fill="none" stroke="{color}" stroke-width="1.5"/><path d="{tip}" fill="{color}"/>'
    )


def _shape(kind: str, point: tuple[float, float], fill: str, title: str) -> str:
    x, y = point
    tip = f"<title>{escape(title)}</title>"
    if kind == "stem":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}" fill="{fill}" stroke="#000000">{tip}</circle>'
    corners = {"function": TRIANGLE, "object": UPSIDE_DOWN}.get(
        kind, (-0.9, -0.9, 0.9, -0.9, 0.9, 0.9, -0.9, 0.9)
    )
    points = " ".join(
        f"{x + RADIUS * dx:.1f},{y + RADIUS * dy:.1f}"
        for dx, dy in zip(corners[::2], corners[1::2], strict=True)
    )
    return f'<polygon points="{points}" fill="{fill}" stroke="#000000">{tip}</polygon>'


def _text(lines: Sequence[str], x: float, y: float, anchor: str) -> list[str]:
    return [
        f'<text x="{x:.1f}" y="{y + row * LINE_HEIGHT:.1f}" text-anchor="{anchor}">{escape(line)}</text>'
        for row, line in enumerate(lines)
    ]
