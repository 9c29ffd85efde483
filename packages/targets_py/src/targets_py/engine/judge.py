"""The judge: what a target is now, and whether it has to run.

What a target *is* are hashes: of its command, of what the command uses, of the upstream values. Those of the
code are computed once per target; a branch adds what it branches over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from targets_py.definition.seeds import derive_seed
from targets_py.engine.branching import branch_names
from targets_py.engine.codes import combine
from targets_py.engine.decide import Decision, Fingerprint, all_cues, decide
from targets_py.errors import TarRunError
from targets_py.hashing.digest import digest
from targets_py.storage.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from targets_py.definition.patterns import Grid
    from targets_py.engine.codes import CodeHashes
    from targets_py.engine.events import Kind
    from targets_py.engine.graph import Node
    from targets_py.engine.schedule import Expansion


class Candidate(NamedTuple):
    """A stem or branch that is to be decided.

    Attributes:
        node: Its target.
        name: Its name.
        branch: Number of a branch, -1 for a stem.
        now: What it is now.
        depends: What it depends on -> hash; a branch: only what its pattern does not depend on.
    """

    node: Node
    name: str
    branch: int
    now: Fingerprint
    depends: dict[str, str]


class _Common(NamedTuple):
    """What the branches of a pattern share."""

    depends: dict[str, str]
    depend: str  # of a branch that branches over stems alone


class Judge:
    """Knows what each target is now.

    Args:
        codes: Hashes of the targets' code.
        records: Name -> last record; read anew for each question.
        expansions: Pattern -> its branches.
        seed: The seed option.
        check: Says whether the stored file of a record is the same: `Store.check()`.
    """

    def __init__(
        self,
        codes: CodeHashes,
        records: Mapping[str, Record],
        expansions: Mapping[str, Expansion],
        seed: int | None,
        check: Callable[[Record], Record | None],
    ) -> None:
        self.codes = codes
        self._records = records
        self._expansions = expansions
        self._seed = seed
        self._check = check
        self._common: dict[str, _Common] = {}

    def __repr__(self) -> str:
        return f"<Judge of {self.codes!r}>"

    def stem(self, node: Node) -> Candidate:
        """A target that does not branch."""
        common = self.common(node)
        return Candidate(
            node, node.name, -1, self._fingerprint(node, "stem", node.name, common.depend), common.depends
        )

    def branch(self, node: Node, number: int) -> Candidate:
        """A branch of an expanded pattern."""
        expansion = self._expansions[node.name]
        name = expansion.names[number]
        common = self.common(node)
        depends: dict[str, str] = {}
        for dimension in node.dimensions:
            children = self.branches_of(dimension)
            if children is not None:
                child = children[expansion.grid[dimension][number]]
                depends[child] = self.data(child)
        depend = combine(common.depends | depends) if depends else common.depend
        return Candidate(node, name, number, self._fingerprint(node, "branch", name, depend), depends)

    def decide(self, candidate: Candidate) -> Decision:
        """Whether it has to run, and why."""
        cue = candidate.node.target.cue
        return decide(candidate.now, self._records.get(candidate.name), cue, self._check)

    def cues(self, candidate: Candidate) -> dict[str, bool | None]:
        """What each cue says."""
        cue = candidate.node.target.cue
        return all_cues(candidate.now, self._records.get(candidate.name), cue, self._check)

    def data(self, name: str) -> str:
        """Hash of a target's value; empty if it has none."""
        record = self._records.get(name)
        return record.data or "" if record else ""

    def common(self, node: Node) -> _Common:
        """What a target depends on apart from what it branches over; all that must be finished."""
        if node.name not in self._common:
            depends = dict(self.codes.references[node.name])
            for name in node.upstreams:
                if name not in node.dimensions:
                    depends[name] = self.data(name)
            self._common[node.name] = _Common(depends, combine(depends))
        return self._common[node.name]

    def seed(self, name: str) -> int | None:
        """The seed of a target or branch."""
        return None if self._seed is None else derive_seed(name, self._seed)

    def expand(self, node: Node) -> tuple[list[str], Grid]:
        """Names and grid of a pattern's branches.

        Raises:
            TarRunError: It cannot branch: a dimension has no value or is empty, lengths do not fit.
        """
        pattern = node.target.pattern
        assert pattern is not None
        children = {name: self._children(name) for name in node.dimensions}
        grid = pattern.grid({name: len(found) for name, found in children.items()}, self.seed(node.name))
        return branch_names(node.name, {name: grid[name] for name in node.dimensions}, children), grid

    def children_of(self, name: str) -> Sequence[str]:
        """Names of a target's buds or branches, empty if unknown."""
        branches = self.branches_of(name)
        if branches is not None:
            return branches
        record = self._records.get(name)
        return record.children or () if record else ()

    def pattern_record(self, node: Node) -> Record:
        """The record of a pattern whose branches are all finished."""
        names = self._expansions[node.name].names
        records = [self._records.get(name) for name in names]
        known = [record for record in records if record is not None]
        record = self._new_pattern_record(node)
        record.data = _pattern_data(
            node.target.settings.iteration, [(name, self.data(name)) for name in names]
        )
        record.children = names
        record.bytes = sum(child.bytes or 0 for child in known)
        record.seconds = round(sum(child.seconds or 0.0 for child in known), 3)
        return record

    def failed_pattern_record(self, node: Node, error: str) -> Record:
        """The record of a pattern that could not be expanded."""
        record = self._new_pattern_record(node)
        record.error = error
        return record

    def _new_pattern_record(self, node: Node) -> Record:
        settings = node.target.settings
        return Record(
            node.name,
            "pattern",
            command=self.codes.commands[node.name],
            seed=self.seed(node.name),
            format=settings.format,
            repository=settings.repository,
            iteration=settings.iteration,
        )

    def _children(self, name: str) -> Sequence[str]:
        children = self.children_of(name)
        if children:
            return children
        record = self._records.get(name)
        if record is None or record.data is None or record.error is not None:
            raise TarRunError(f"could not branch over {name}: {name} has no value")
        raise TarRunError(f"cannot branch over empty target ({name})")

    def branches_of(self, name: str) -> Sequence[str] | None:
        """Names of a pattern's branches; None for a stem."""
        expansion = self._expansions.get(name)
        if expansion is not None:
            return expansion.names
        record = self._records.get(name)
        return record.children or () if record is not None and record.type == "pattern" else None

    def _fingerprint(self, node: Node, kind: Kind, name: str, depend: str) -> Fingerprint:
        settings = node.target.settings
        return Fingerprint(
            kind,
            self.codes.commands[node.name],
            depend,
            settings.format,
            settings.repository,
            settings.iteration,
            self.seed(name),
        )


def _pattern_data(iteration: str, children: Sequence[tuple[str, str]]) -> str:
    """Hash of a pattern's value, from the names and hashes of its branches."""
    return digest("\n".join([iteration, *[f"{name}={data}" for name, data in children]]).encode())
