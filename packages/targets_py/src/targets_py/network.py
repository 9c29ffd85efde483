"""The graph of a pipeline: targets, the functions and values they use, and what state they are in."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from targets_py.child import call_runner, callr_r
from targets_py.engine.codes import CodeHashes
from targets_py.engine.globals import global_records
from targets_py.engine.graph import build_graph
from targets_py.inspection import inspect
from targets_py.look import Vertex
from targets_py.places import open_pipeline, script_path, setting, store_path
from targets_py.reporter import reporter_name
from targets_py.selection import tar_tidyselect_eval
from targets_py.storage.metadata import Metadata, read_progress
from targets_py.storage.process import process_start, read_process
from targets_py.storage.store import Store
from targets_py.tables import Schema, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl

    from targets_py.engine.graph import Graph
    from targets_py.places import StrPath
    from targets_py.script import Pipeline
    from targets_py.selection import Selector
    from targets_py.storage.records import Record

__all__ = ("tar_network",)

VERTICES: Schema = {
    "name": "str",
    "type": "str",
    "description": "str",
    "status": "str",
    "seconds": "float",
    "bytes": "int",
    "branches": "int",
}
SECONDS_DOUBT = 5.0  # start times are computed from the clock, which may be set meanwhile
EDGES: Schema = {"from": "str", "to": "str"}


@dataclass(frozen=True, slots=True)
class Network:
    """A graph: vertices sorted by name, edges sorted too."""

    vertices: list[Vertex]
    edges: list[tuple[str, str]]


def tar_network(
    targets_only: bool = False,
    names: Selector = None,
    shortcut: bool | None = None,
    allow: Selector = None,
    exclude: Selector = None,
    outdated: bool = True,
    reporter: str | None = None,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> dict[str, pl.DataFrame]:
    """The graph of the pipeline as two tables.

    Args:
        targets_only: Leave out functions and other globals.
        names: These targets and what they need; None: all.
        shortcut: Exactly the named targets.
        allow: Of these vertices, only those; None: all.
        exclude: And not those.
        outdated: Whether to find out what is up to date.
        reporter: What to show on stderr meanwhile: balanced, terse or silent.
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script; None: that of the project.
        store: The data store; None: that of the project. It need not exist.

    Returns:
        "vertices": a frame with the columns name, type, description, status, seconds, bytes, branches.
        "edges": a frame with the columns from and to.

    Raises:
        TarValidateError: The script is wrong, or a name is unknown.

    Example:
        >>> tar_network(targets_only=True)["edges"].rows()
        [('data', 'bad'), ('data', 'fit'), ('fit', 'report')]
    """
    network = look_at_network(
        "tar_network",
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
    return {"vertices": vertices_frame(network), "edges": table(EDGES, network.edges)}


def vertices_frame(network: Network) -> pl.DataFrame:
    """The vertices as a table."""
    return table(
        VERTICES, (tuple(getattr(vertex, column) for column in VERTICES) for vertex in network.vertices)
    )


def look_at_network(
    caller: str,
    *,
    shortcut: bool | None,
    reporter: str | None,
    callr_function: Callable[..., Any] | None,
    callr_arguments: Mapping[str, Any] | None,
    script: StrPath | None,
    store: StrPath | None,
    **arguments: Any,
) -> Network:
    """The graph as plain objects, for the functions that draw it; arguments as in `tar_network()`."""
    args = {
        **arguments,
        "caller": caller,
        "shortcut": setting("shortcut", shortcut),
        "reporter": reporter_name(setting("reporter_outdated", reporter), outdated=True),
        "script": script_path(script),
        "store": store_path(store),
    }
    network: Network = call_runner(_network, args, callr_function, callr_arguments, caller)
    return network


def _network(
    caller: str,
    targets_only: bool,
    names: Selector,
    shortcut: bool,
    allow: Selector,
    exclude: Selector,
    outdated: bool,
    reporter: str,
    envir: dict[str, Any] | None,
    script: str,
    store: str,
    glimpse: bool = False,
) -> Network:
    with open_pipeline(caller, script, store, envir) as pipeline:
        whole = _Whole(pipeline, targets_only=targets_only)
        shown = whole.names(names, allow, exclude, shortcut=shortcut)
        if glimpse:
            vertices = [whole.vertex(name) for name in shown]
        else:
            states = _States(Store(store), whole)
            targets = [name for name in shown if name in whole.graph]
            if outdated:
                states.look(pipeline, store, reporter, targets, shortcut=shortcut)
            vertices = [states.described(whole.vertex(name)) for name in shown]
    return Network(vertices, whole.edges_among(shown))


class _Whole:
    """The graph of all targets and globals, whatever is shown of it."""

    def __init__(self, pipeline: Pipeline, *, targets_only: bool) -> None:
        self.graph: Graph = build_graph(pipeline)
        self.imports: dict[str, Record] = {}
        self._upstream: dict[str, set[str]] = {name: set(node.upstreams) for name, node in self.graph.items()}
        if not targets_only:
            self._add_imports(pipeline)

    def _add_imports(self, pipeline: Pipeline) -> None:
        references = CodeHashes(self.graph.values(), pipeline.code).references
        self.imports = {record.name: record for record in global_records(pipeline, references.values())}
        for name, used in references.items():
            self._upstream[name] |= used.keys() & self.imports.keys()
        for name in self.imports:
            self._upstream[name] = set(pipeline.code.global_names(name)) & self.imports.keys()

    def names(self, names: Selector, allow: Selector, exclude: Selector, *, shortcut: bool) -> list[str]:
        """The vertices to show, sorted."""
        shown = sorted(self._upstream)
        picked = tar_tidyselect_eval(names, shown)
        if picked is not None:
            shown = sorted(picked if shortcut else self._closure(picked))
        allowed = tar_tidyselect_eval(allow, sorted(self._upstream))
        excluded = tar_tidyselect_eval(exclude, shown, strict=False) or []
        kept = set(shown if allowed is None else allowed) - set(excluded)
        return [name for name in shown if name in kept]

    def vertex(self, name: str) -> Vertex:
        """What the script says of a vertex."""
        if name in self.imports:
            return Vertex(name, self.imports[name].type)
        node = self.graph[name]
        return Vertex(name, "pattern" if node.is_pattern else "stem", node.target.settings.description)

    def edges_among(self, shown: Iterable[str]) -> list[tuple[str, str]]:
        """The edges between vertices, sorted."""
        kept = set(shown)
        return sorted(
            (source, sink) for sink in kept for source in self._upstream[sink] & kept if source != sink
        )

    def _closure(self, names: Iterable[str]) -> set[str]:
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += self._upstream[name]
        return found


class _States:
    """What the store says of vertices."""

    def __init__(self, store: Store, whole: _Whole) -> None:
        self._imports = whole.imports
        self._records = Metadata.load(store).records
        self._progress = {name: row.progress for name, row in read_progress(store).items()}
        self._running = _process_lives(store)
        self._outdated: dict[str, bool] | None = None

    def look(
        self, pipeline: Pipeline, store: str, reporter: str, names: list[str], *, shortcut: bool
    ) -> None:
        """Find out what is outdated."""
        findings = inspect(pipeline, store, reporter, names, shortcut=shortcut).findings
        self._outdated = {name: finding.outdated for name, finding in findings.items()}

    def described(self, vertex: Vertex) -> Vertex:
        """The vertex with its state."""
        record = self._records.get(vertex.name)
        status = self._status(vertex)
        if record is None or vertex.name in self._imports:
            return replace(vertex, status=status)
        branches = len(record.children or ()) if record.type == "pattern" else None
        return replace(vertex, status=status, seconds=record.seconds, bytes=record.bytes, branches=branches)

    def _status(self, vertex: Vertex) -> str:
        name = vertex.name
        if name in self._imports:
            now, former = self._imports[name], self._records.get(name)
            same = former is not None and (former.type, former.data) == (now.type, now.data)
            return "uptodate" if same else "outdated"
        word = self._progress.get(name)
        if word == "dispatched" and not self._running:
            word = None
        if word in {"canceled", "errored", "dispatched"}:
            return word
        if self._outdated is None:
            return word or "queued"
        return "outdated" if self._outdated.get(name, True) else "uptodate"


def _process_lives(store: Store) -> bool:
    """Whether the process of the last run may still be running."""
    process = read_process(store)
    if not process or process.get("host") != socket.gethostname():
        return bool(process)
    started = process_start(int(process["pid"]))
    if started is None:
        return False
    age = started - datetime.fromisoformat(process["created"])
    return abs(age.total_seconds()) < SECONDS_DOUBT
