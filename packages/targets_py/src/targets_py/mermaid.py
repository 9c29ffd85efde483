"""The graph of a pipeline as text for mermaid, which GitHub and notebooks draw."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import xxhash

from targets_py.child import callr_r
from targets_py.errors import TarValidateWarning
from targets_py.look import COLORS, Vertex, label_lines, legend_entries
from targets_py.network import Network, look_at_network
from targets_py.places import setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from targets_py.places import StrPath
    from targets_py.selection import Selector

__all__ = ("MermaidText", "tar_mermaid")

EDGE_LIMIT = 500  # renderers draw no more by default
BRACKETS = {"stem": ("([", "])"), "pattern": ("[", "]"), "function": (">", "]"), "object": ("{{", "}}")}


class MermaidText(str):
    """Mermaid code, which notebooks show as a drawing."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return f"```mermaid\n{self}\n```"


def tar_mermaid(
    targets_only: bool = False,
    names: Selector = None,
    shortcut: bool = False,
    allow: Selector = None,
    exclude: Selector = None,
    outdated: bool = True,
    label: Sequence[str] | str | None = None,
    label_width: int | None = None,
    legend: bool = True,
    color: bool = True,
    reporter: str | None = None,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> MermaidText:
    """The graph of the pipeline as text for mermaid.

    Args:
        targets_only: Leave out functions and other globals.
        names: These targets and what they need; None: all.
        shortcut: Exactly the named targets.
        allow: Of these vertices, only those; None: all.
        exclude: And not those.
        outdated: Whether to find out what is up to date.
        label: What stands below a name: any of "description", "time", "size", "branches"; None: as
            configured.
        label_width: Longest line of a label; None: as configured.
        legend: Whether to explain colours and shapes.
        color: Whether to colour by status.
        reporter: What to show on stderr meanwhile: balanced, terse or silent.
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script; None: that of the project.
        store: The data store; None: that of the project.

    Returns:
        The text, which notebooks show as a drawing; empty for an empty graph.

    Example:
        >>> tar_mermaid(targets_only=True).splitlines()[0]
        'graph LR'
    """
    network = look_at_network(
        "tar_mermaid",
        targets_only=targets_only,
        names=names,
        shortcut=shortcut,
        allow=allow,
        exclude=exclude,
        outdated=outdated,
        reporter=reporter,
        callr_function=callr_function,
        callr_arguments=callr_arguments,
        envir=envir,
        script=script,
        store=store,
    )
    if len(network.edges) > EDGE_LIMIT:
        warnings.warn(
            f"the graph has {len(network.edges)} edges, and most renderers of mermaid stop at {EDGE_LIMIT}:"
            " use names=, allow=, exclude= or targets_only=True to show less, or tar_visnetwork()",
            TarValidateWarning,
            stacklevel=2,
        )
    wanted, width = setting("label", label), setting("label_width", label_width)
    return MermaidText(mermaid_text(network, wanted, width, legend=legend, color=color))


def mermaid_text(
    network: Network, label: Sequence[str] | str, label_width: int, *, legend: bool, color: bool
) -> str:
    """Mermaid code of a network."""
    if not network.vertices:
        return ""
    lines = ["graph LR"]
    if legend:
        lines += ["  style Legend fill:#FFFFFF00,stroke:#000000;"]
    lines += ["  style Graph fill:#FFFFFF00,stroke:#000000;"]
    if legend:
        lines += ["  subgraph Legend", *_legend(network, color=color), "  end"]
    lines += ["  subgraph Graph", "    direction LR"]
    wanted = [label] if isinstance(label, str) else label
    for vertex in network.vertices:
        status = vertex.status if color else ""
        lines.append(_vertex(vertex.name, label_lines(vertex, wanted, label_width), vertex.type, status))
    lines += [f"    {_identifier(source)} --> {_identifier(sink)}" for source, sink in network.edges]
    lines += ["  end"]
    if color:
        lines += _classes(network.vertices)
    return "\n".join(lines)


def _legend(network: Network, *, color: bool) -> list[str]:
    entries = legend_entries(network.vertices)
    lines = []
    for kind, word, text in entries:
        shape = "stem" if kind == "status" else word
        status = "" if not color else word if kind == "status" else "none"
        lines.append(_vertex(f"{kind} {word}", text.split("\n"), shape, status))
    chain = [_identifier(f"{kind} {word}") for kind, word, _ in entries]
    return lines + [f"    {left} --- {right}" for left, right in pairwise(chain)]


def _vertex(name: str, lines: Sequence[str], shape: str, status: str) -> str:
    opening, closing = BRACKETS[shape]
    text = "<br>".join(
        line.replace("&", "&amp;").replace("<", "&lt;").replace('"', "#quot;") for line in lines
    )
    text = text.replace("\n", " ")
    return f'    {_identifier(name)}{opening}"{text}"{closing}' + (f":::{status}" if status else "")


def _identifier(name: str) -> str:
    return f"x{xxhash.xxh3_64_hexdigest(name.encode())}"


def _classes(vertices: Sequence[Vertex]) -> list[str]:
    present = {vertex.status for vertex in vertices}
    return [
        f"  classDef {status} stroke:#000000,color:{text},fill:{fill};"
        for status, (fill, text) in COLORS.items()
        if status in present or status == "none"
    ]
