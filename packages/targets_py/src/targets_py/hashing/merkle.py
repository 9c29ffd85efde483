"""Hashes over a graph: each node's own hash and the full hashes of what it leads to, cycles included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from targets_py.hashing.digest import digest


@dataclass(slots=True, eq=False)
class Node:
    """A piece of code or a constant.

    Attributes:
        own: Hash of it alone.
        names: Name as written -> what it stands for: an object whose node is made when it is reached.
        parts: Place -> function or class that the object consists of (closed over, wrapped, a default).
        free: First names that it looks up in its globals.
        called: Those of `free` that it does nothing but call.
        full: Hash of it and of all it reaches; None as long as that is not known.
    """

    own: str
    names: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    free: frozenset[str] = frozenset()
    called: frozenset[str] = frozenset()
    full: str | None = None


NodeOf: TypeAlias = Callable[[Any, str], Node]


@dataclass(slots=True, eq=False)
class _Visit:
    """A node on the way of the depth-first search."""

    node: Node
    edges: list[tuple[str, Node]]
    index: int
    low: int
    next: int = 0


def full_hash(start: Node, node_of: NodeOf) -> str:
    """The full hash of a node; sets it in all nodes that it reaches.

    Args:
        start: The node.
        node_of: Object and its name -> its node, the same for the same object.

    Returns:
        16 hexadecimal digits.
    """
    if start.full is None:
        _search(start, node_of)
    assert start.full is not None
    return start.full


def _search(start: Node, node_of: NodeOf) -> None:
    """Tarjan's algorithm without recursion: nodes that reach each other end up together on the stack."""
    visits: dict[int, _Visit] = {}
    stack: list[_Visit] = []
    path = [_enter(start, node_of, visits, stack)]
    while path:
        visit = path[-1]
        if visit.next < len(visit.edges):
            target = visit.edges[visit.next][1]
            visit.next += 1
            if target.full is not None:
                continue
            seen = visits.get(id(target))
            if seen is None:
                path.append(_enter(target, node_of, visits, stack))
            else:
                visit.low = min(visit.low, seen.index)
            continue
        path.pop()
        if path:
            path[-1].low = min(path[-1].low, visit.low)
        if visit.low == visit.index:
            members = [stack.pop()]
            while members[-1] is not visit:
                members.append(stack.pop())
            _close(members)


def _enter(node: Node, node_of: NodeOf, visits: dict[int, _Visit], stack: list[_Visit]) -> _Visit:
    edges = [(f"name {name}", node_of(obj, name)) for name, obj in node.names.items()]
    edges += [(f"part {place}", node_of(obj, place)) for place, obj in node.parts.items()]
    visit = visits[id(node)] = _Visit(node, edges, len(visits), len(visits))
    stack.append(visit)
    return visit


def _close(members: list[_Visit]) -> None:
    """Set the full hashes of nodes that all reach each other."""
    if len(members) == 1 and all(target is not members[0].node for _, target in members[0].edges):
        visit = members[0]
        visit.node.full = digest(visit.node.own.encode(), *_sorted(visit.edges))
        return
    inside = {id(visit.node) for visit in members}
    lines = []
    for visit in members:
        outer = _sorted([edge for edge in visit.edges if id(edge[1]) not in inside])
        inner = sorted(f"{label} {node.own}".encode() for label, node in visit.edges if id(node) in inside)
        lines.append(digest(visit.node.own.encode(), b"outside", *outer, b"inside", *inner).encode())
    together = digest(b"cycle", *sorted(lines))
    for visit in members:  # with its own hash, so that a caller notices which member it calls
        visit.node.full = digest(together.encode(), visit.node.own.encode())


def _sorted(edges: list[tuple[str, Node]]) -> list[bytes]:
    return sorted(f"{label} {node.full}".encode() for label, node in edges)
