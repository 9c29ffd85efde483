"""The decision: whether a target is up to date, and if not, why."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from targets_py.definition.cue import Cue
    from targets_py.engine.events import Kind
    from targets_py.storage.records import Record


class Rule(Enum):
    """The rules in the order in which they are asked; the first that applies decides."""

    RECORD = "there is no record of it"
    ERROR = "its last run failed"
    KIND = "it was another kind of target"
    ALWAYS = "its cue says always"
    NEVER = "its cue says never"
    COMMAND = "its command changed"
    DEPEND = "something it depends on changed"
    FORMAT = "its format changed"
    REPOSITORY = "its repository changed"
    ITERATION = "its iteration changed"
    SEED = "its seed changed"
    FILE = "its stored file is gone or was altered"
    CURRENT = "nothing changed"

    @property
    def runs(self) -> bool:
        """Whether the target has to run."""
        return self is not Rule.NEVER and self is not Rule.CURRENT


class Fingerprint(NamedTuple):
    """What a target is now, to be compared with its record."""

    kind: Kind
    command: str
    depend: str
    format: str
    repository: str
    iteration: str
    seed: int | None


class Decision(NamedTuple):
    """What a target has to do, and why.

    Attributes:
        rule: The rule that decided.
        record: The record to keep if it is skipped: the old one, or one with the file's new time.
    """

    rule: Rule
    record: Record | None = None


def decide(
    now: Fingerprint, record: Record | None, cue: Cue, check: Callable[[Record], Record | None]
) -> Decision:
    """Compare a target with its own last record.

    Args:
        now: What it is now.
        record: Its last record.
        cue: Which changes count.
        check: Says whether the stored file is the same: `Store.check()`.

    Returns:
        The first rule that applies.
    """
    rule = _rule_of_record(now, record)
    if rule is not None or record is None:
        return Decision(rule or Rule.RECORD)
    if cue.mode == "always":
        return Decision(Rule.ALWAYS)
    if cue.mode == "never":
        return Decision(Rule.NEVER, record)
    if cue.command and now.command != record.command:
        return Decision(Rule.COMMAND)
    if cue.depend and now.depend != (record.depend or ""):
        return Decision(Rule.DEPEND)
    if cue.format and not _same_format(now.format, record.format):
        return Decision(Rule.FORMAT)
    if cue.repository and now.repository != record.repository:
        return Decision(Rule.REPOSITORY)
    if cue.iteration and now.iteration != record.iteration:
        return Decision(Rule.ITERATION)
    if cue.seed and (now.seed is None or now.seed != record.seed):
        return Decision(Rule.SEED)
    if cue.file:
        checked = check(record)
        return Decision(Rule.FILE) if checked is None else Decision(Rule.CURRENT, checked)
    return Decision(Rule.CURRENT, record)


def all_cues(
    now: Fingerprint, record: Record | None, cue: Cue, check: Callable[[Record], Record | None]
) -> dict[str, bool | None]:
    """What each cue says, asked or not: the columns of `tar_sitrep()`.

    Args:
        now: What the target is now.
        record: Its last record.
        cue: Which changes count; a change that does not is False.
        check: Says whether the stored file is the same: `Store.check()`.

    Returns:
        meta, always, never, command, depend, format, repository, iteration, file, seed -> whether it asks for
        a run; None for all after never if there is no usable record.
    """
    first: dict[str, bool | None] = {
        "meta": _rule_of_record(now, record) is not None,
        "always": cue.mode == "always",
        "never": cue.mode == "never",
    }
    names = ("command", "depend", "format", "repository", "iteration", "file", "seed")
    if first["meta"] or record is None:
        return first | dict.fromkeys(names)
    return first | {
        "command": cue.command and now.command != record.command,
        "depend": cue.depend and now.depend != (record.depend or ""),
        "format": cue.format and not _same_format(now.format, record.format),
        "repository": cue.repository and now.repository != record.repository,
        "iteration": cue.iteration and now.iteration != record.iteration,
        "file": cue.file and check(record) is None,
        "seed": cue.seed and (now.seed is None or now.seed != record.seed),
    }


def _rule_of_record(now: Fingerprint, record: Record | None) -> Rule | None:
    if record is None or record.type in {"function", "object"}:
        return Rule.RECORD
    if record.error is not None:
        return Rule.ERROR
    if record.type != now.kind:
        return Rule.KIND
    return None


def _same_format(now: str, recorded: str | None) -> bool:
    return now == recorded or (now == "auto" and recorded in {"file", "pickle"})
