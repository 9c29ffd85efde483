"""The conductor: takes what is ready, decides, and concludes what was run, until nothing is left.

It does not run anything itself: the loops in `run` and `crew` take tasks from it and give it their outcomes.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from targets_py.definition.options import tar_option_export
from targets_py.engine.branching import bud_names, split
from targets_py.engine.debug import can_debug
from targets_py.engine.queue import NODE
from targets_py.engine.values import NULL
from targets_py.engine.worker import Outcome, Site, Work, error_text, run_target
from targets_py.engine.workspace import Workspace, save_workspace
from targets_py.errors import TarFileError, TarRunError, TarWarning
from targets_py.metrics import phases

if TYPE_CHECKING:
    from targets_py.definition.options import Options
    from targets_py.engine.graph import Node
    from targets_py.engine.inputs import Inputs
    from targets_py.engine.judge import Candidate, Judge
    from targets_py.engine.ledger import Ledger
    from targets_py.engine.schedule import Schedule
    from targets_py.storage.records import Record


class Task(NamedTuple):
    """A stem or branch that has to run."""

    candidate: Candidate
    work: Work

    @property
    def name(self) -> str:
        """Name of the target or branch."""
        return self.candidate.name


class Conductor:
    """Takes targets from the schedule and gives back what has to run.

    Args:
        schedule: What is ready.
        judge: What has to run.
        ledger: Where it is written down.
        inputs: Where upstream values are.
        site: This process, where values are loaded for tasks that travel with them.
        options: The pipeline's options.
    """

    def __init__(
        self,
        schedule: Schedule,
        judge: Judge,
        ledger: Ledger,
        inputs: Inputs,
        site: Site,
        options: Options,
    ) -> None:
        self.ledger = ledger
        self.inputs = inputs
        self.site = site
        self._schedule = schedule
        self._judge = judge
        self._options = options
        self._works: dict[str, Work] = {}
        self.phase = phases()

    def __repr__(self) -> str:
        return f"<Conductor of {self._schedule!r}>"

    @property
    def ready(self) -> bool:
        """Whether `advance()` has something to do."""
        return bool(self._schedule)

    def advance(self) -> Task | None:
        """Take one entry of the queue: expand a pattern, skip a target, or hand out one that has to run.

        Raises:
            TarRunError: A target failed, and its error mode stops the pipeline.
        """
        entry = self._schedule.pop()
        if entry is None:
            return None
        node, branch = entry
        if branch == NODE and node.is_pattern:
            self._expand(node)
            return None
        candidate = self._judge.stem(node) if branch == NODE else self._judge.branch(node, branch)
        task = Task(candidate, self.work_of(node))
        if self.debugged(task):
            return task
        try:
            decision = self._judge.decide(candidate)
        except Exception as error:
            message = f"could not check target {candidate.name}. {error_text(error)}"
            self.dispatched(task)
            self.conclude(task, Outcome("errored", error=message, exception=error))
            return None
        if decision.rule.runs:
            return task
        assert decision.record is not None
        self._skip(task, decision.record)
        return None

    def dropped(self, task: Task) -> bool:
        """Whether a task that was handed out must not start any more."""
        return self._schedule.is_trimmed(task.candidate.node)

    def debugged(self, task: Task) -> bool:
        """Whether the debugger is to stop before a task; it runs here then, whatever its cue says."""
        wanted = self._options.debug
        names = (task.name, task.candidate.node.name)
        return bool(wanted) and any(name in wanted for name in names) and can_debug()

    def dispatched(self, task: Task) -> None:
        """Write down that a task is about to run."""
        self.ledger.dispatched(task.candidate, self._branches(task.candidate.node))

    def conclude(self, task: Task, outcome: Outcome, *, shown: bool = True) -> None:
        """Write down how a task ended, and release what waited for it.

        Args:
            task: The task.
            outcome: How it ended.
            shown: Whether its warnings were shown in this process.

        Raises:
            TarRunError: It failed, and its error mode stops the pipeline.
        """
        candidate = task.candidate
        node = candidate.node
        if outcome.warnings:
            self.ledger.warned(candidate, outcome.warnings, show=not shown)
        if outcome.status == "errored":
            self._errored(task, outcome)
            return
        if outcome.status == "canceled":
            self.inputs.canceled.add(candidate.name)
            self.ledger.canceled(candidate, self._branches(node))
        else:
            self.ledger.completed(candidate, outcome, self._judge.common(node).depends)
            self._maybe_save_workspace(task)
        self._release(candidate)

    def run_here(self, task: Task) -> None:
        """Run a task in this process and conclude it.

        Raises:
            TarRunError: It failed, and its error mode stops the pipeline.
        """
        self.dispatched(task)
        with self.phase(task.name):
            try:
                job = self.inputs.job(task.candidate, remote=False)
            except TarRunError as error:
                outcome = Outcome("errored", error=error_text(error), exception=error)
            else:
                outcome = run_target(task.work, job, self.site, debug=self.debugged(task))
        self.conclude(task, outcome)

    def _errored(self, task: Task, outcome: Outcome) -> None:
        candidate = task.candidate
        node = candidate.node
        mode = node.target.settings.error
        common = self._judge.common(node).depends
        self.ledger.errored(candidate, outcome, common, self._branches(node), null=mode == "null")
        if self._options.workspace_on_error or self._wants_workspace(candidate):
            self._save_workspace(task, outcome.traceback)
        self._after_error(node, candidate.name, outcome)
        if mode in {"continue", "null"}:
            self._release(candidate)

    def _after_error(self, node: Node, name: str, outcome: Outcome) -> None:
        mode = node.target.settings.error
        if mode == "stop":
            _stop(name, outcome)
        elif mode == "trim":
            self._schedule.trim(node)
        elif mode == "abridge":
            self._schedule.clear()

    def _skip(self, task: Task, record: Record) -> None:
        candidate = task.candidate
        node = candidate.node
        if node.branched and not node.is_pattern and record.children is None:
            record = self._with_buds(node, record)
        self.ledger.skipped(candidate, record)
        self._maybe_save_workspace(task)
        self._release(candidate)

    def _with_buds(self, node: Node, record: Record) -> Record:
        """The record of a stem that nobody branched over before: now it names the stem's slices."""
        iteration = record.iteration or node.target.settings.iteration
        try:
            value = self.site.store.read(record)
            children = bud_names(node.name, split(value, iteration, node.name), iteration, self.site.code)
        except Exception:
            return record  # the pattern that needs them says so
        return replace(record, children=children)

    def _expand(self, node: Node) -> None:
        try:
            names, grid = self._judge.expand(node)
        except Exception as error:
            self._pattern_failed(node, error)
            return
        self.ledger.counts.total += len(names)
        self._schedule.expand(node, names, grid)

    def _pattern_failed(self, node: Node, error: Exception) -> None:
        mode = node.target.settings.error
        outcome = Outcome("errored", error=error_text(error), exception=error)
        record = self._judge.failed_pattern_record(node, outcome.error)
        if mode == "null":
            record.data, record.format = "error", NULL
        self.ledger.pattern_errored(node, record, null=mode == "null")
        self._after_error(node, node.name, outcome)
        if mode in {"continue", "null"}:
            self._schedule.finish(node)

    def _release(self, candidate: Candidate) -> None:
        node = candidate.node
        if candidate.branch == NODE:
            self._schedule.finish(node)
        elif self._schedule.finish_branch(node, candidate.branch):
            self._finish_pattern(node)

    def _finish_pattern(self, node: Node) -> None:
        record = self._judge.pattern_record(node)
        self.ledger.pattern_finished(node, record, len(record.children or ()))
        self._schedule.finish(node)

    def work_of(self, node: Node) -> Work:
        """What a target does."""
        work = self._works.get(node.name)
        if work is None:
            buds = node.branched and not node.is_pattern
            work = self._works[node.name] = Work(node.target, node.parameters, buds)
        return work

    def _branches(self, node: Node) -> int:
        return len(self._schedule.expansions[node.name].names) if node.is_pattern else 0

    def _wants_workspace(self, candidate: Candidate) -> bool:
        wanted = self._options.workspaces
        return bool(wanted) and (candidate.name in wanted or candidate.node.name in wanted)

    def _maybe_save_workspace(self, task: Task) -> None:
        if self._wants_workspace(task.candidate):
            self._save_workspace(task, "")

    def _save_workspace(self, task: Task, traceback: str) -> None:
        candidate = task.candidate
        workspace = Workspace(
            candidate.name,
            candidate.branch,
            candidate.node.target,
            candidate.now.seed,
            tar_option_export(),
            self.inputs.available(candidate),
            traceback,
        )
        try:
            save_workspace(self.site.store, workspace)
        except TarFileError as error:  # it helps to look at a failure, and must not be one
            warnings.warn(str(error), TarWarning, stacklevel=2)
        else:
            self.ledger.saved_workspace(candidate)


def _stop(name: str, outcome: Outcome) -> NoReturn:
    raise TarRunError(
        outcome.error,
        target=name,
        traceback=outcome.traceback,
        original=outcome.exception,
        condition_class=outcome.classes,
    )
