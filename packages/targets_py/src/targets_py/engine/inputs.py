"""Where the upstream values of a target are, or why it cannot have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from targets_py.engine.values import NULL, Given, Lazy, Reference, Slice, Stored, Whole
from targets_py.engine.worker import Job
from targets_py.errors import TarRunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from targets_py.engine.judge import Candidate, Judge
    from targets_py.engine.schedule import Expansion
    from targets_py.engine.values import Loader
    from targets_py.storage.records import Record


class Inputs:
    """Makes references to upstream values.

    Args:
        judge: Knows the branches.
        records: Name -> last record.
        expansions: Pattern -> its branches.
        loader: Loads values that are to travel with a job.

    Attributes:
        canceled: Names of targets that canceled themselves in this run.
    """

    def __init__(
        self,
        judge: Judge,
        records: Mapping[str, Record],
        expansions: Mapping[str, Expansion],
        loader: Loader,
    ) -> None:
        self.canceled: set[str] = set()
        self._judge = judge
        self._records = records
        self._expansions = expansions
        self._loader = loader

    def job(self, candidate: Candidate, *, remote: bool) -> Job:
        """What a target needs to run.

        Args:
            candidate: The target.
            remote: Whether it runs on a worker, which cannot see the values in this process.

        Raises:
            TarRunError: A value that it needs is not there.
        """
        node = candidate.node
        retrieval = node.target.settings.retrieval
        inputs: dict[str, Reference | Lazy] = {}
        for parameter, upstream in node.loads.items():
            if retrieval == "none":
                inputs[parameter] = Lazy(upstream)
                continue
            reference = self._reference(candidate, upstream)
            if remote and (retrieval == "main" or (retrieval == "auto" and isinstance(reference, Slice))):
                reference = self._load(candidate, upstream, reference)
            inputs[parameter] = reference
        now = candidate.now
        return Job(candidate.name, now.kind, candidate.branch, now.seed, inputs, node.loads)

    def available(self, candidate: Candidate) -> dict[str, Reference]:
        """Where those upstream values are that can be loaded."""
        found = {}
        for parameter, upstream in candidate.node.loads.items():
            try:
                found[parameter] = self._reference(candidate, upstream)
            except TarRunError:
                continue
        return found

    def _reference(self, candidate: Candidate, upstream: str) -> Reference:
        node = candidate.node
        record = self._records.get(upstream)
        branches = self._judge.branches_of(upstream)
        if upstream not in node.dimensions:
            if branches is None:
                return self._stored(candidate, upstream, upstream)
            if record is not None and record.format == NULL:
                return Given(None)
            if record is None or self._failure(upstream):
                self._refuse(candidate, upstream, upstream)
            parts = tuple([self._stored(candidate, upstream, name) for name in branches])
            return Whole(upstream, record.iteration or "vector", parts)
        position = self._expansions[node.name].grid[upstream][candidate.branch]
        if self._failure(upstream):
            self._refuse(candidate, upstream, upstream)
        if branches is not None:
            return self._stored(candidate, upstream, branches[position])
        stored = self._stored(candidate, upstream, upstream)
        iteration = record.iteration if record is not None else None
        return Slice(stored, iteration or "vector", position)

    def _stored(self, candidate: Candidate, upstream: str, name: str) -> Stored:
        record = self._records.get(name)
        if record is None or record.format is None or self._failure(name):
            self._refuse(candidate, upstream, name)
        return Stored(name, record.format, record.path)

    def _failure(self, name: str) -> str | None:
        """Why what is stored of a target is stale; None if it is not."""
        record = self._records.get(name)
        if (
            record is None or record.format == NULL or name in self._expansions
        ):  # a pattern's is of former runs
            return None
        return record.error

    def _refuse(self, candidate: Candidate, upstream: str, name: str) -> NoReturn:
        text = f"could not load dependency {upstream} of target {candidate.name}"
        failure = self._failure(name)
        if failure:
            raise TarRunError(f"{text}. {name} failed: {failure}")
        if name in self.canceled:
            raise TarRunError(f"{text}: {name} was canceled")
        raise TarRunError(f"{text}: {name} has no value")

    def _load(self, candidate: Candidate, upstream: str, reference: Reference) -> Given:
        try:
            return Given(self._loader.load(reference))
        except Exception as error:
            raise TarRunError(
                f"could not load dependency {upstream} of target {candidate.name}. {error}"
            ) from error
