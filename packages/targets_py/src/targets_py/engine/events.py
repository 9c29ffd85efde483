"""What the run loop tells a reporter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

Kind = Literal["stem", "branch", "pattern"]


@dataclass(slots=True)
class Counts:
    """Running totals of stems and branches (patterns are not counted).

    Attributes:
        total: Stems and branches known so far; grows when a pattern is declared.
        running: Dispatched and not finished yet.
        completed, skipped, errored, canceled: Finished that way.
        warned: Targets of this run that warned.
    """

    total: int = 0
    running: int = 0
    completed: int = 0
    skipped: int = 0
    errored: int = 0
    canceled: int = 0
    warned: int = 0


class Event(NamedTuple):
    """Something happened to one target.

    Attributes:
        name: Name of the target or branch.
        kind: "stem", "branch" or "pattern".
        parent: Name of a branch's pattern, otherwise the name itself.
        counts: Live totals: the same object in every event of a run.
        seconds: Run time of the command in seconds (a pattern: sum of its branches), 0 where unknown.
        bytes: Size of what is stored in bytes (a pattern: sum of its branches), 0 where unknown.
    """

    name: str
    kind: Kind
    parent: str
    counts: Counts
    seconds: float = 0.0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended.

    Attributes:
        seconds: Wall time in seconds.
        counts: Final totals.
        errors: Errored target -> message, patterns and branches included, in order.
        failed: Name of the target that stopped the run (error="stop"), else None.
        interrupted: Ended by Ctrl-C.
    """

    seconds: float
    counts: Counts
    errors: dict[str, str] = field(default_factory=dict)
    failed: str | None = None
    interrupted: bool = False


class Reporter(Protocol):
    """Shows a run to the user; called from the loop's thread, in order, and must be quick."""

    def preparing(self, text: str, n: int) -> None:
        """A preparation step starts that works through `n` records, files or targets."""

    def dispatched(self, event: Event) -> None:
        """The command of a stem or branch starts, or was pushed to a worker."""

    def declared(self, event: Event, branches: int) -> None:
        """The first of a pattern's branches is about to be dispatched."""

    def completed(self, event: Event) -> None:
        """A target was built and recorded; a pattern: its last branch was."""

    def skipped(self, event: Event) -> None:
        """A stem or branch is up to date."""

    def errored(self, event: Event, message: str) -> None:
        """A target failed; the message stands in the metadata too."""

    def canceled(self, event: Event) -> None:
        """A target canceled itself."""

    def retried(self, event: Event, message: str) -> None:
        """A target's worker died and the target was pushed again."""

    def workspace(self, event: Event) -> None:
        """A workspace was saved for this target."""

    def warning(self, event: Event, message: str) -> None:
        """A target warned on a worker (warnings of this process are shown by Python itself)."""

    def end(self, summary: RunSummary) -> None:
        """The run is over; called in every case, once."""
