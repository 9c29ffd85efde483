"""The small files under `meta/`: records, progress, dependencies, process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from targets_py.storage.records import Record
    from targets_py.storage.store import Store


class Metadata:
    """The latest record of each target and global.

    Attributes:
        records: Name -> record, in the order of the file. Read it freely; change it by the methods.
    """

    records: dict[str, Record]

    @classmethod
    def load(cls, store: Store) -> Metadata:
        """Read the records; writes nothing, and works while another process appends."""
        raise NotImplementedError

    def open(self, seconds: float = 0.0) -> None:
        """Repair and compact the file, and start to append; the caller holds the store's lock.

        Args:
            seconds: Least time between two writes in seconds.
        """
        raise NotImplementedError

    def record(self, record: Record) -> None:
        """Make this the latest record of its name; appended if `open()` was called."""
        raise NotImplementedError

    def remove(self, names: Collection[str]) -> None:
        """Forget these names and rewrite the file; the caller holds the store's lock."""
        raise NotImplementedError

    def prune(self, names: Collection[str]) -> None:
        """Forget all names but these and rewrite the file; the caller holds the store's lock."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what waits."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what waits, compact the file, and stop appending."""
        raise NotImplementedError


@dataclass(slots=True)
class ProgressRow:
    """How far a target got in the last run.

    Attributes:
        name: Its name.
        type: "stem", "branch" or "pattern".
        parent: The pattern of a branch, otherwise the name itself.
        branches: Number of branches of a pattern, otherwise 0.
        progress: "dispatched", "completed", "skipped", "errored" or "canceled".
    """

    name: str
    type: str
    parent: str
    branches: int
    progress: str


class Progress:
    """Writes the progress file, which starts empty."""

    def __init__(self, store: Store, seconds: float = 0.0) -> None:
        raise NotImplementedError

    def record(self, row: ProgressRow) -> None:
        """Append a row; skipped ones are written at most once a second."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what waits."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what waits and close the file."""
        raise NotImplementedError


def read_progress(store: Store) -> dict[str, ProgressRow]:
    """The last row of each name, in the order of these rows."""
    raise NotImplementedError


class Depends:
    """Which hash each dependency of a target had when it last ran; only explains, decides nothing.

    Attributes:
        depends: Name -> {dependency: hash}.
    """

    depends: dict[str, dict[str, str]]

    @classmethod
    def load(cls, store: Store) -> Depends:
        """Read the file; empty if missing."""
        raise NotImplementedError

    def open(self, seconds: float = 0.0) -> None:
        """Repair and compact the file, and start to append; the caller holds the store's lock."""
        raise NotImplementedError

    def record(self, name: str, depends: Mapping[str, str]) -> None:
        """Append the dependencies of a target."""
        raise NotImplementedError

    def prune(self, names: Collection[str]) -> None:
        """Forget all names but these."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what waits."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what waits, compact the file, and stop appending."""
        raise NotImplementedError


def write_process(store: Store) -> None:
    """Say in `meta/process` that this process runs the pipeline."""
    raise NotImplementedError


def read_process(store: Store) -> dict[str, str]:
    """pid, created, host, version_python, version_targets of the last run; empty if there was none."""
    raise NotImplementedError


def process_start(pid: int) -> datetime | None:
    """When a process of this host started (UTC); None if there is none or it cannot be told."""
    raise NotImplementedError
