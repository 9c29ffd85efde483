"""The graph of a pipeline as a page that one can move about in, and as a picture."""

from __future__ import annotations

import html
import json
import tempfile
import webbrowser
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.child import callr_r
from targets_py.errors import TarValidateError
from targets_py.layout import Layout, lay_out
from targets_py.look import COLORS, TYPE_COLOR, label_lines, legend_entries
from targets_py.network import EDGES, Network, look_at_network, vertices_frame
from targets_py.places import setting
from targets_py.svg import draw
from targets_py.tables import table
from targets_py.units import pretty_bytes, pretty_sec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from targets_py.look import Vertex
    from targets_py.places import StrPath
    from targets_py.selection import Selector

__all__ = ("TarGraph", "tar_glimpse", "tar_visnetwork")

PAGE = Path(__file__).parent / "page"


@dataclass(frozen=True)
class TarGraph:
    """A drawing of a pipeline's graph; notebooks show it.

    Attributes:
        network: The graph.
        label: What stands below names.
        label_width: Longest line of a label.
        level_separation: Distance of levels, None: chosen by size.
        degree_from, degree_to: How far what a vertex needs, and what needs it, stays visible on a click.
        zoom_speed: Speed of zooming, 1 is normal.
        physics: Whether vertices are moved apart by simulated forces.
        title: Title of the page.

    Example:
        >>> graph = tar_visnetwork(targets_only=True)
        >>> graph.save("graph.svg")
        >>> graph.vertices.height
        4
    """

    network: Network
    label: tuple[str, ...] = ()
    label_width: int = 30
    level_separation: float | None = None
    degree_from: int = 1
    degree_to: int = 1
    zoom_speed: float = 1.0
    physics: bool = False
    title: str = "targets"

    @cached_property
    def html(self) -> str:
        """The page: one file that loads nothing from elsewhere."""
        page = (PAGE / "graph.html").read_text(encoding="utf-8")
        library = (PAGE / "cytoscape.min.js").read_text(encoding="utf-8")
        # In the order in which they stand, so that nothing is replaced inside of what was put in.
        before, _, rest = page.partition("{{title}}")
        between, _, rest = rest.partition("{{data}}")
        scripts, _, after = rest.partition("{{cytoscape}}")
        return "".join((before, html.escape(self.title), between, self._data(), scripts, library, after))

    @property
    def svg(self) -> str:
        """The picture, as code of SVG."""
        return draw(self.network.vertices, self._edges, self._layout, self._labels)

    @property
    def vertices(self) -> pl.DataFrame:
        """The vertices, as in `tar_network()`."""
        return vertices_frame(self.network)

    @property
    def edges(self) -> pl.DataFrame:
        """The edges, as in `tar_network()`."""
        return table(EDGES, self.network.edges)

    @property
    def legend(self) -> pl.DataFrame:
        """What colours and shapes mean: a frame with the columns kind, name, label."""
        return table({"kind": "str", "name": "str", "label": "str"}, legend_entries(self.network.vertices))

    def save(self, path: StrPath) -> None:
        """Write the page (.html) or the picture (.svg).

        Raises:
            TarValidateError: Another suffix.
        """
        file = Path(path)
        kinds = {".html": lambda: self.html, ".htm": lambda: self.html, ".svg": lambda: self.svg}
        make = kinds.get(file.suffix.lower())
        if make is None:
            raise TarValidateError(f"cannot write {path}: the suffix must be .html or .svg")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(make(), encoding="utf-8")

    def show(self) -> None:
        """Open the page in a browser."""
        with tempfile.NamedTemporaryFile("w", suffix=".html", delete=False, encoding="utf-8") as file:
            file.write(self.html)
        webbrowser.open(Path(file.name).as_uri())

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" style="width: 100%; height: 500px; border: 0"'
            f' sandbox="allow-scripts" title="{html.escape(self.title)}"></iframe>'
        )

    def __repr__(self) -> str:
        return f"<TarGraph of {len(self.network.vertices)} vertices, {len(self.network.edges)} edges>"

    @cached_property
    def _edges(self) -> list[tuple[int, int]]:
        rows = {vertex.name: row for row, vertex in enumerate(self.network.vertices)}
        return [(rows[source], rows[sink]) for source, sink in self.network.edges]

    @cached_property
    def _layout(self) -> Layout:
        return lay_out(len(self.network.vertices), self._edges, self.level_separation)

    @cached_property
    def _labels(self) -> list[list[str]]:
        return [label_lines(vertex, self.label, self.label_width) for vertex in self.network.vertices]

    def _data(self) -> str:
        layout = self._layout
        bent = {edge: [[(round(x), round(y)) for x, y in points]] for edge, points in layout.bends.items()}
        vertices = [
            (
                lines[0] if len(vertex.name) > self.label_width else vertex.name,
                vertex.type,
                vertex.status,
                round(x),
                round(y),
                lines[1:],
                level,
            )
            for vertex, lines, x, y, level in zip(
                self.network.vertices, self._labels, layout.x, layout.y, layout.levels, strict=True
            )
        ]
        data = {
            "vertices": vertices,
            "edges": [(*edge, *bent.get(edge, ())) for edge in self._edges],
            "details": [_details(vertex) for vertex in self.network.vertices],
            "colors": COLORS,
            "type_color": TYPE_COLOR,
            "legend": legend_entries(self.network.vertices),
            "degree_from": self.degree_from,
            "degree_to": self.degree_to,
            "zoom_speed": self.zoom_speed,
            "physics": self.physics,
        }
        # Names and descriptions are text of others: it must not end the element that holds it.
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def tar_visnetwork(
    targets_only: bool = False,
    names: Selector = None,
    shortcut: bool | None = None,
    allow: Selector = None,
    exclude: Selector = None,
    outdated: bool = True,
    label: Sequence[str] | str | None = None,
    label_width: int | None = None,
    level_separation: float | None = None,
    degree_from: int = 1,
    degree_to: int = 1,
    zoom_speed: float = 1,
    physics: bool = False,
    reporter: str | None = None,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> TarGraph:
    """Draw the graph of the pipeline.

    Arguments that are None are those of the project, see `tar_config_set()`.

    Args:
        targets_only: Leave out functions and other globals.
        names: These targets and what they need; None: all.
        shortcut: Exactly the named targets.
        allow: Of these vertices, only those; None: all.
        exclude: And not those.
        outdated: Whether to find out what is up to date.
        label: What stands below a name: any of "description", "time", "size", "branches".
        label_width: Longest line of a label.
        level_separation: Distance of levels in pixels.
        degree_from: How far what a vertex needs stays visible when it is clicked.
        degree_to: How far what needs it stays visible.
        zoom_speed: Speed of zooming, 1 is normal.
        physics: Whether vertices are moved apart by simulated forces.
        reporter: What to show on stderr meanwhile: balanced, terse or silent.
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script.
        store: The data store; it need not exist.

    Returns:
        The drawing: `.save("graph.html")`, `.save("graph.svg")`, `.show()`; notebooks show it.

    Raises:
        TarValidateError: The script is wrong, or a name is unknown.

    Example:
        >>> tar_visnetwork(targets_only=True).save("graph.html")
    """
    network = look_at_network(
        "tar_visnetwork",
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
    return _graph(
        network, label, label_width, level_separation, degree_from, degree_to, zoom_speed, physics=physics
    )


def tar_glimpse(
    targets_only: bool = True,
    names: Selector = None,
    shortcut: bool | None = None,
    allow: Selector = None,
    exclude: Selector = None,
    label: Sequence[str] | str | None = None,
    label_width: int | None = None,
    level_separation: float | None = None,
    degree_from: int = 1,
    degree_to: int = 1,
    zoom_speed: float = 1,
    physics: bool = False,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> TarGraph:
    """Draw the graph that the script declares, without looking at what is up to date.

    Args:
        targets_only: Leave out functions and other globals.
        names: These targets and what they need; None: all.
        shortcut: Exactly the named targets; None: as configured.
        allow: Of these vertices, only those; None: all.
        exclude: And not those.
        label: What stands below a name: "description" or nothing; None: as configured.
        label_width: Longest line of a label; None: as configured.
        level_separation: Distance of levels in pixels; None: as configured.
        degree_from: How far what a vertex needs stays visible when it is clicked.
        degree_to: How far what needs it stays visible.
        zoom_speed: Speed of zooming, 1 is normal.
        physics: Whether vertices are moved apart by simulated forces.
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script; None: that of the project.
        store: The data store; None: that of the project. It is not touched.

    Returns:
        The drawing: `.save("graph.html")`, `.save("graph.svg")`, `.show()`; notebooks show it.

    Raises:
        TarValidateError: The script is wrong, or a name is unknown.

    Example:
        >>> tar_glimpse()
        <TarGraph of 4 vertices, 3 edges>
    """
    network = look_at_network(
        "tar_glimpse",
        targets_only=targets_only,
        names=names,
        shortcut=shortcut,
        allow=allow,
        exclude=exclude,
        outdated=False,
        reporter="silent",
        callr_function=callr_function,
        callr_arguments=callr_arguments,
        envir=envir,
        script=script,
        store=store,
        glimpse=True,
    )
    return _graph(
        network, label, label_width, level_separation, degree_from, degree_to, zoom_speed, physics=physics
    )


def _graph(
    network: Network,
    label: Sequence[str] | str | None,
    label_width: int | None,
    level_separation: float | None,
    degree_from: int,
    degree_to: int,
    zoom_speed: float,
    *,
    physics: bool,
) -> TarGraph:
    wanted = setting("label", label)
    return TarGraph(
        network,
        (wanted,) if isinstance(wanted, str) else tuple(wanted),
        setting("label_width", label_width),
        setting("level_separation", level_separation),
        degree_from,
        degree_to,
        zoom_speed,
        physics,
    )


def _details(vertex: Vertex) -> list[tuple[str, str]]:
    known = {
        "description": vertex.description,
        "time": None if vertex.seconds is None else pretty_sec(vertex.seconds),
        "size": None if vertex.bytes is None else pretty_bytes(vertex.bytes),
        "branches": None if vertex.branches is None else str(vertex.branches),
    }
    return [(term, value) for term, value in known.items() if value]
