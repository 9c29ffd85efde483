"""Looking at a pipeline without running it: what is outdated, and why."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from targets_py.engine.codes import CodeHashes
from targets_py.engine.decide import Rule
from targets_py.engine.globals import global_records
from targets_py.engine.graph import build_graph
from targets_py.engine.judge import Judge
from targets_py.engine.queue import NODE
from targets_py.engine.schedule import Schedule
from targets_py.engine.worker import error_text
from targets_py.errors import TarRunError, TarValidateWarning
from targets_py.storage.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from targets_py.engine.events import Kind, Reporter
    from targets_py.engine.graph import Graph, Node
    from targets_py.engine.judge import Candidate
    from targets_py.script import Pipeline
    from targets_py.storage.store import Store


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about a target.

    Attributes:
        name: Its name.
        kind: "stem", "branch" or "pattern".
        parent: The pattern of a branch, otherwise the name itself.
        outdated: Whether `tar_make()` would build it, as far as can be told before its upstreams are built.
        rule: The rule that decides, looking at its own record alone; None for a pattern.
        cues: Column of `tar_sitrep()` -> what that cue says; None for a pattern.
        depends: What it depends on -> hash as of now; empty for a pattern.
    """

    name: str
    kind: Kind
    parent: str
    outdated: bool
    rule: Rule | None = None
    cues: dict[str, bool | None] | None = None
    depends: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found out about a pipeline.

    Attributes:
        graph: The targets that were looked at.
        findings: Name -> finding, in the order of the queue, each pattern before its branches.
        globals: Name of each function and value -> whether it changed.
    """

    graph: Graph
    findings: dict[str, Finding]
    globals: dict[str, bool]


def inspect_pipeline(
    pipeline: Pipeline,
    store: Store,
    reporter: Reporter | None = None,
    *,
    names: Sequence[str] | None = None,
    shortcut: bool = False,
) -> Inspection:
    """Find out what is outdated; writes nothing and runs nothing.

    Args:
        pipeline: What the script says.
        store: The data store; need not exist.
        reporter: Told of long preparations.
        names: Targets to look at, with all that they need; None: all.
        shortcut: Look at the named targets only, and take what they need for current.

    Returns:
        What was found.

    Raises:
        TarValidateError: The pipeline is wrong.
    """
    graph = build_graph(pipeline, names, shortcut=shortcut)
    if reporter is not None:
        reporter.preparing("hashing the code of targets", len(graph))
    codes = CodeHashes(graph.values(), pipeline.code)
    metadata = Metadata.load(store)
    if reporter is not None:
        reporter.preparing("listing the stored objects", len(metadata.records))
    store.scan()
    globals_changed = {}
    for record in global_records(pipeline, codes.references.values()):
        former = metadata.records.get(record.name)
        globals_changed[record.name] = former is None or (former.type, former.data) != (
            record.type,
            record.data,
        )
    schedule = Schedule(graph)
    check = partial(store.check, trust=pipeline.options.trust_timestamps)
    judge = Judge(codes, metadata.records, schedule.expansions, pipeline.options.seed, check)
    inspector = _Inspector(graph, schedule, judge, metadata)
    return Inspection(graph, inspector.run(), globals_changed)


class _Inspector:
    """Goes the way of a run, and takes each target for built that would be."""

    def __init__(self, graph: Graph, schedule: Schedule, judge: Judge, metadata: Metadata) -> None:
        self._graph = graph
        self._schedule = schedule
        self._judge = judge
        self._metadata = metadata
        self._outdated: set[str] = set()
        self._unknown: set[str] = set()  # patterns whose branches are known by their records only
        self._findings: dict[str, Finding] = {}
        self._branches: dict[str, list[Finding]] = {}

    def run(self) -> dict[str, Finding]:
        while (entry := self._schedule.pop()) is not None:
            node, branch = entry
            if branch != NODE:
                self._look_at_branch(node, branch)
            elif node.is_pattern:
                self._expand(node)
            else:
                self._findings[node.name] = self._look(self._judge.stem(node), node.upstreams)
                self._schedule.finish(node)
        return self._ordered()

    def _ordered(self) -> dict[str, Finding]:
        ordered = {}
        for name, finding in self._findings.items():
            ordered[name] = finding
            for branch in self._branches.get(name, ()):
                ordered[branch.name] = branch
        return ordered

    def _expand(self, node: Node) -> None:
        # The place of a pattern in the order is that of its expansion; what it is shows later.
        self._findings[node.name] = Finding(node.name, "pattern", node.name, outdated=True)
        self._branches[node.name] = []
        try:
            names, grid = self._judge.expand(node)
        except TarRunError:
            self._outdated.add(node.name)
            self._unknown.add(node.name)
            self._schedule.finish(node)
            return
        if any(name in self._outdated for name in node.dimensions):
            self._unknown.add(node.name)  # the branches that the records show; there may be others
        self._schedule.expand(node, names, grid)

    def _look_at_branch(self, node: Node, number: int) -> None:
        candidate = self._judge.branch(node, number)
        grid = self._schedule.expansions[node.name].grid
        upstreams = [name for name in node.upstreams if name not in node.dimensions]
        for name in node.dimensions:
            children = self._judge.branches_of(name)
            upstreams.append(name if children is None else children[grid[name][number]])
        self._branches[node.name].append(self._look(candidate, upstreams))
        if self._schedule.finish_branch(node, number):
            self._finish_pattern(node)

    def _finish_pattern(self, node: Node) -> None:
        self._metadata.record(self._judge.pattern_record(node))  # in memory: the file is not open
        outdated = node.name in self._unknown or any(
            name in self._outdated for name in (*node.upstreams, *self._schedule.expansions[node.name].names)
        )
        if outdated:
            self._outdated.add(node.name)
        self._findings[node.name] = Finding(node.name, "pattern", node.name, outdated)
        self._schedule.finish(node)

    def _look(self, candidate: Candidate, upstreams: Iterable[str]) -> Finding:
        node = candidate.node
        try:
            rule = self._judge.decide(candidate).rule
            cues = self._judge.cues(candidate)
        except Exception as error:
            warnings.warn(
                f"could not check target {candidate.name}. {error_text(error)}",
                TarValidateWarning,
                stacklevel=2,
            )
            rule, cues = Rule.FILE, None
        outdated = rule.runs or (
            node.target.cue.mode != "never" and any(name in self._outdated for name in upstreams)
        )
        if outdated:
            self._outdated.add(candidate.name)
        depends = self._judge.common(node).depends | candidate.depends
        return Finding(candidate.name, candidate.now.kind, node.name, outdated, rule, cues, depends)
