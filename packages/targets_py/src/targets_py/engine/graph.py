"""The graph of a pipeline: which target needs which others, and in which order they run."""

from __future__ import annotations

import difflib
import graphlib
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from targets_py.definition.targets import Target
from targets_py.errors import TarValidateError
from targets_py.hashing.code import Names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from targets_py.hashing.code import Parameter
    from targets_py.script import Pipeline


@dataclass(slots=True, eq=False)
class Node:
    """A target in the graph.

    Attributes:
        target: The target.
        position: Its place in the script.
        parameters: Parameters of its command, () if that is no callable.
        loads: Parameter (source: name) -> name of the target whose value it gets.
        dimensions: Names of the targets it branches over.
        upstreams: Names of all targets it needs, dimensions first.
        imports: Names of the globals that its command uses.
        downstreams: The nodes that need it, in the order of the script.
        branched: Whether a pattern branches over it.
    """

    target: Target
    position: int
    parameters: tuple[Parameter, ...] = ()
    loads: dict[str, str] = field(default_factory=dict)
    dimensions: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    downstreams: list[Node] = field(default_factory=list)
    branched: bool = False

    @property
    def name(self) -> str:
        """The target's name."""
        return self.target.name

    @property
    def is_pattern(self) -> bool:
        """Whether it branches."""
        return bool(self.dimensions)

    @property
    def order(self) -> tuple[float, int]:
        """Its place in the queue."""
        return (-self.target.settings.priority, self.position)

    def __repr__(self) -> str:
        return f"<Node {self.name} of {', '.join(self.upstreams) or 'nothing'}>"


Graph = dict[str, Node]


def build_graph(pipeline: Pipeline, names: Iterable[str] | None = None, *, shortcut: bool = False) -> Graph:
    """Find what each target needs.

    Args:
        pipeline: The script's targets and code.
        names: Targets to keep, with all that they need; None: all.
        shortcut: Keep the named targets alone.

    Returns:
        Name -> node, in the order of the script.

    Raises:
        TarValidateError: A pattern over something that is no target, a parameter that is none, a cycle, a
            global that must be a parameter, an unknown name.
    """
    graph = {name: Node(target, position) for position, (name, target) in enumerate(pipeline.targets.items())}
    for node in graph.values():
        _connect(node, graph, pipeline)
    _refuse_cycles(graph)
    for node in graph.values():
        for name in node.dimensions:
            graph[name].branched = True
    if names is not None:
        wanted = list(names)
        _refuse_unknown(wanted, graph)
        kept = set(wanted) if shortcut else closure(graph, wanted)
        graph = {name: node for name, node in graph.items() if name in kept}
    for node in graph.values():
        for name in node.upstreams:
            if name in graph:
                graph[name].downstreams.append(node)
    return graph


def closure(graph: Graph, names: Iterable[str]) -> set[str]:
    """The given targets and everything they need."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += graph[name].upstreams
    return found


def topological_order(graph: Graph) -> list[Node]:
    """All nodes, what is needed before what needs it, ties broken by priority and place in the script."""
    missing = {name: sum(upstream in graph for upstream in node.upstreams) for name, node in graph.items()}
    ready = [(node.order, name) for name, node in graph.items() if not missing[name]]
    heapify(ready)
    ordered = []
    while ready:
        node = graph[heappop(ready)[1]]
        ordered.append(node)
        for downstream in node.downstreams:
            if downstream.name in missing:
                missing[downstream.name] -= 1
                if not missing[downstream.name]:
                    heappush(ready, (downstream.order, downstream.name))
    return ordered


def _connect(node: Node, graph: Graph, pipeline: Pipeline) -> None:
    target = node.target
    command = target.command
    assert command is not None
    node.dimensions = _dimensions(target, graph)
    found = Names((), frozenset(), frozenset())
    if command.kind != "constant":
        found = pipeline.code.dependencies(command.value)
        node.parameters = found.parameters
    free = set(found.globals)
    if command.kind == "callable":
        node.loads = _callable_loads(node, graph)
        if target.deps is None:
            _refuse_free_targets(node, found, graph, pipeline)
    else:
        node.loads = {
            name: command.upstream_of(name)
            for name in sorted(free - set(command.bound))
            if _is_upstream(command.upstream_of(name), node, graph)
        }
        free -= {*node.loads, *command.bound}
    named = (*(target.deps or ()), *command.extra)
    imports = (free if target.deps is None else set()) | {name for name in named if name not in graph}
    node.imports = tuple(sorted(imports))
    ordering = (name for name in named if name in graph and name != target.name)
    node.upstreams = tuple(dict.fromkeys((*node.dimensions, *node.loads.values(), *ordering)))


def _dimensions(target: Target, graph: Graph) -> tuple[str, ...]:
    names = target.pattern.dimensions() if target.pattern else ()
    for name in names:
        if name not in graph:
            raise TarValidateError(
                f"target {target.name} branches over {name!r}, which is no target.{close_match(name, graph)}"
            )
        other = graph[name].target
        if other.settings.format == "file" and other.pattern is None:
            raise TarValidateError(
                f'target {target.name} branches over {name}, whose format is "file": '
                "let a target return the paths, and branch over that one"
            )
    return names


def _is_upstream(name: str, node: Node, graph: Graph) -> bool:
    allowed = node.target.deps
    return (
        name in graph
        and name != node.name
        and (allowed is None or name in allowed or name in node.dimensions)
    )


def _callable_loads(node: Node, graph: Graph) -> dict[str, str]:
    command = node.target.command
    assert command is not None
    loads = {}
    for parameter in node.parameters:
        name = command.upstream_of(parameter.name)
        if parameter.name in command.bound:
            continue
        if _is_upstream(name, node, graph):
            loads[parameter.name] = name
        elif parameter.required:
            reason = "is its own name" if name == node.name else "is no target"
            if name in graph and name != node.name:
                reason = "is not among its deps"
            raise TarValidateError(
                f'command of {node.name} needs "{name}", which {reason}.{close_match(name, graph)}'
            )
    return loads


def _refuse_free_targets(node: Node, found: Names, graph: Graph, pipeline: Pipeline) -> None:
    for name in sorted(found.globals):
        if name not in graph or name == node.name:
            continue
        bound = pipeline.namespace.get(name)
        if name not in pipeline.namespace or (isinstance(bound, Target) and name not in found.called):
            raise TarValidateError(
                f"command of {node.name} uses target {name} as a global: make {name} a parameter"
            )


def close_match(name: str, choices: Iterable[str]) -> str:
    """The end of a message about an unknown name: the name that was probably meant, if there is one."""
    close = difflib.get_close_matches(name, list(choices), n=1)
    return f' Did you mean "{close[0]}"?' if close else ""


def _refuse_unknown(names: Iterable[str], graph: Graph) -> None:
    for name in names:
        if name not in graph:
            raise TarValidateError(f"there is no target {name!r}.{close_match(name, graph)}")


def _refuse_cycles(graph: Graph) -> None:
    sorter = graphlib.TopologicalSorter({name: node.upstreams for name, node in graph.items()})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise TarValidateError(f"the targets form a cycle: {' -> '.join(error.args[1])}") from None
