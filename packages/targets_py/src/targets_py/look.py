"""How graphs of pipelines look: colours, shapes, labels, legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from targets_py.units import pretty_bytes, pretty_sec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Status -> fill and text.
COLORS = {
    "completed": ("#E1BD6D", "#000000"),
    "uptodate": ("#354823", "#ffffff"),
    "outdated": ("#78B7C5", "#000000"),
    "dispatched": ("#DC863B", "#000000"),
    "canceled": ("#FAD510", "#000000"),
    "errored": ("#C93312", "#ffffff"),
    "queued": ("#D2D2D0", "#000000"),
    "skipped": ("#7500D1", "#ffffff"),
    "none": ("#94a4ac", "#000000"),
}
TYPES = ("stem", "pattern", "function", "object")
TYPE_COLOR = "#899DA4"
TEXTS = {"uptodate": "Up to date", "stem": "Regular\ntarget", "pattern": "Dynamic\nbranches"}


@dataclass(frozen=True, slots=True)
class Vertex:
    """A target, function or other global in a graph.

    Attributes:
        name: Its name.
        type: "stem", "pattern", "function" or "object".
        description: Of a target, None if it has none.
        status: What the last run did with it, or whether it is up to date.
        seconds, bytes: Recorded run time and size (a pattern: sum over its branches), None if unknown.
        branches: Recorded number of branches, None for what is no pattern and if unknown.
    """

    name: str
    type: str
    description: str | None = None
    status: str = "none"
    seconds: float | None = None
    bytes: int | None = None
    branches: int | None = None


def label_lines(vertex: Vertex, label: Collection[str], width: int) -> list[str]:
    """The lines of a vertex's label: its name, then what is known and asked for.

    Args:
        vertex: The vertex.
        label: Any of "description", "time", "size", "branches".
        width: Longest line.
    """
    known = {
        "description": vertex.description,
        "time": None if vertex.seconds is None else pretty_sec(vertex.seconds),
        "size": None if vertex.bytes is None else pretty_bytes(vertex.bytes),
        "branches": None if vertex.branches is None else f"{vertex.branches} branches",
    }
    lines = [vertex.name, *(text for part, text in known.items() if text and part in label)]
    return [_cut(line, width) for line in lines]


def legend_entries(vertices: Iterable[Vertex]) -> list[tuple[str, str, str]]:
    """What a legend explains: the statuses that occur, then the types.

    Returns:
        Kind ("status" or "type"), word, and its text.
    """
    present = list(vertices)
    statuses, types = {vertex.status for vertex in present}, {vertex.type for vertex in present}
    entries = [("status", word, _text(word)) for word in COLORS if word in statuses and word != "none"]
    return entries + [("type", word, _text(word)) for word in TYPES if word in types]


def _text(word: str) -> str:
    return TEXTS.get(word, word.capitalize())


def _cut(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    return line[: max(width - 3, 0)] + "..."[: max(width, 0)]
