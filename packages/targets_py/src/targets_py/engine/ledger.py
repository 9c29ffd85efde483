"""The ledger: writes down what happens to each target, in the metadata, the progress file and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from targets_py.engine.events import Counts, Event, Reporter, RunSummary
from targets_py.engine.values import NULL
from targets_py.storage.metadata import ProgressRow
from targets_py.storage.records import Record

if TYPE_CHECKING:
    from targets_py.engine.graph import Node
    from targets_py.engine.judge import Candidate
    from targets_py.engine.worker import Outcome
    from targets_py.storage.metadata import Depends, Metadata, Progress

_FINAL = ("errored", "canceled")  # words of a pattern's progress that stay
_OF_THE_VALUE = (
    "data", "path", "time", "size", "bytes", "format", "repository", "iteration", "children", "file_hash",
)  # fmt: skip


class Ledger:
    """Writes down what happens.

    Args:
        metadata: Open for appending.
        depends: Open for appending.
        progress: Open for appending.
        reporter: Shows it to the user.

    Attributes:
        counts: Totals of stems and branches.
        errors: Errored target -> message.
        summary: How the run ended, once it has.
    """

    def __init__(self, metadata: Metadata, depends: Depends, progress: Progress, reporter: Reporter) -> None:
        self.counts = Counts()
        self.errors: dict[str, str] = {}
        self.summary: RunSummary | None = None
        self._metadata = metadata
        self._depends = depends
        self._progress = progress
        self._reporter = reporter
        self._patterns: dict[str, str] = {}  # pattern -> its progress so far
        self._explained: set[str] = set()  # patterns whose own dependencies are written down

    def __repr__(self) -> str:
        return f"<Ledger {self.counts}>"

    def close(self) -> None:
        """Write everything that waits, whatever fails on the way."""
        try:
            self._metadata.close()
        finally:
            try:
                self._depends.close()
            finally:
                self._progress.close()

    def dispatched(self, candidate: Candidate, branches: int) -> None:
        """A command starts, or was pushed to a worker."""
        node = candidate.node
        if node.is_pattern and node.name not in self._patterns:
            self._pattern_progress(node, branches, "dispatched")
            self._reporter.declared(self._event(node), branches)
        self.counts.running += 1
        self._row(candidate, "dispatched")
        self._reporter.dispatched(self._event(node, candidate))

    def completed(self, candidate: Candidate, outcome: Outcome, common: dict[str, str]) -> None:
        """A target was built and stored."""
        info = outcome.info
        assert info is not None
        record = self._new_record(candidate, outcome)
        record.data = outcome.data
        record.path = info.path
        record.time = info.time
        record.size = record.bytes = info.size
        record.format = outcome.format
        record.children = outcome.children
        record.file_hash = info.file_hash
        self._write(candidate, record, common)
        self.counts.running -= 1
        self.counts.completed += 1
        self._row(candidate, "completed")
        self._reporter.completed(self._event(candidate.node, candidate, outcome.seconds, info.size))

    def skipped(self, candidate: Candidate, record: Record) -> None:
        """A target is up to date; `record` is kept."""
        if record is not self._metadata.records.get(candidate.name):
            self._metadata.record(record)
        self.counts.skipped += 1
        self._row(candidate, "skipped")
        self._reporter.skipped(self._event(candidate.node, candidate))

    def errored(
        self, candidate: Candidate, outcome: Outcome, common: dict[str, str], branches: int, *, null: bool
    ) -> None:
        """A target failed after it was dispatched; with `null` its value is None from now on."""
        record = self._new_record(candidate, outcome)
        record.error = outcome.error
        record.bytes = 0
        former = self._metadata.records.get(candidate.name)
        if null:
            record.data = "error"
            record.format = NULL
        elif former is not None and former.type == record.type:
            _keep_former(record, former)
        self._write(candidate, record, common)
        self.errors[candidate.name] = outcome.error
        self.counts.running -= 1
        self.counts.errored += 1
        self._row(candidate, "errored")
        if candidate.node.is_pattern:
            self._pattern_progress(candidate.node, branches, "errored")
        self._reporter.errored(self._event(candidate.node, candidate, outcome.seconds), outcome.error)

    def canceled(self, candidate: Candidate, branches: int) -> None:
        """A target canceled itself: it leaves no record."""
        node = candidate.node
        self.counts.running -= 1
        self.counts.canceled += 1
        self._row(candidate, "canceled")
        if node.is_pattern and self._patterns.get(node.name) != "errored":
            self._pattern_progress(node, branches, "canceled")
        self._reporter.canceled(self._event(node, candidate))

    def pattern_errored(self, node: Node, record: Record, *, null: bool) -> None:
        """A pattern could not be expanded."""
        assert record.error is not None
        former = self._metadata.records.get(node.name)
        if former is not None and former.type == "pattern" and not null:
            _keep_former(record, former)
        self._metadata.record(record)
        self.errors[node.name] = record.error
        self._pattern_progress(node, 0, "errored")
        self._reporter.errored(self._event(node), record.error)

    def pattern_finished(self, node: Node, record: Record, branches: int) -> None:
        """All branches of a pattern are finished."""
        former = self._metadata.records.get(node.name)
        if former != record:
            self._metadata.record(record)
        word = self._patterns.get(node.name, "skipped")
        if word in _FINAL:
            return
        word = "completed" if word == "dispatched" else word
        self._pattern_progress(node, branches, word)
        if word == "completed":
            self._reporter.completed(self._event(node, None, record.seconds or 0.0, record.bytes or 0))

    def retried(self, candidate: Candidate, message: str) -> None:
        """A worker died, and its target was pushed again."""
        self._reporter.retried(self._event(candidate.node, candidate), message)

    def warned(self, candidate: Candidate, message: str, *, show: bool) -> None:
        """A target warned; `show` if the user has not seen it."""
        self.counts.warned += 1
        if show:
            self._reporter.warning(self._event(candidate.node, candidate), message)

    def saved_workspace(self, candidate: Candidate) -> None:
        """A workspace was saved."""
        self._reporter.workspace(self._event(candidate.node, candidate))

    def _new_record(self, candidate: Candidate, outcome: Outcome) -> Record:
        now = candidate.now
        return Record(
            candidate.name,
            now.kind,
            command=now.command,
            depend=now.depend,
            seed=now.seed,
            format=now.format,
            repository=now.repository,
            iteration=now.iteration,
            parent=candidate.node.name if now.kind == "branch" else None,
            seconds=round(outcome.seconds, 3),
            warnings=outcome.warnings,
        )

    def _write(self, candidate: Candidate, record: Record, common: dict[str, str]) -> None:
        self._metadata.record(record)
        node = candidate.node
        if node.is_pattern and node.name not in self._explained:
            self._explained.add(node.name)
            self._depends.record(node.name, common)
        if candidate.depends:
            self._depends.record(candidate.name, candidate.depends)

    def _row(self, candidate: Candidate, word: str) -> None:
        self._progress.record(ProgressRow(candidate.name, candidate.now.kind, candidate.node.name, 0, word))

    def _pattern_progress(self, node: Node, branches: int, word: str) -> None:
        if self._patterns.get(node.name) != word:
            self._patterns[node.name] = word
            self._progress.record(ProgressRow(node.name, "pattern", node.name, branches, word))

    def _event(
        self, node: Node, candidate: Candidate | None = None, seconds: float = 0.0, size: int = 0
    ) -> Event:
        if candidate is None:
            return Event(node.name, "pattern", node.name, self.counts, seconds, size)
        return Event(candidate.name, candidate.now.kind, node.name, self.counts, seconds, size)


def _keep_former(record: Record, former: Record) -> None:
    """Let the record of a failed target keep what it says of the value that is still stored."""
    for name in _OF_THE_VALUE:
        setattr(record, name, getattr(former, name))
