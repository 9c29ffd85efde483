"""Records, dependencies and progress of targets: the tables under `meta/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from targets_py.storage.log import LogWriter, read_table
from targets_py.storage.records import HEADER, Record, decode, encode, escape, unescape
from targets_py.storage.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from targets_py.storage.store import Store

PROGRESS_HEADER = "name|type|parent|branches|progress"
DEPENDS_HEADER = "name|depends"
SECONDS_SKIPPED = 1.0  # rows of skipped targets are written at most this often


class Metadata(Table[Record]):
    """The latest record of each target and global.

    Read `records` freely; change it by the methods only.
    """

    @classmethod
    def load(cls, store: Store) -> Self:
        """Read the records; writes nothing, and works while another process appends.

        Args:
            store: The data store; need not exist.

        Returns:
            The metadata, not open for writing.

        Raises:
            TarFileError: The file cannot be read.
        """
        table = cls(store.meta_file, HEADER, _encode_record, _decode_record)
        table.reload()
        return table

    @property
    def records(self) -> dict[str, Record]:
        """Name -> latest record, in the order of the file."""
        return self.rows

    def record(self, record: Record) -> None:
        """Make this the latest record of its name; appended to the file if `open()` was called."""
        self.set(record.name, record)


def _encode_record(_name: str, record: Record) -> str:
    return encode(record)


def _decode_record(fields: list[str]) -> tuple[str, Record]:
    record = decode(fields)
    return record.name, record


class Depends(Table[dict[str, str]]):
    """Which hash each dependency of a target had when it last ran: it explains, and decides nothing."""

    @classmethod
    def load(cls, store: Store) -> Self:
        """Read the file, see `Metadata.load()`."""
        table = cls(store.depends_file, DEPENDS_HEADER, _encode_depends, _decode_depends)
        table.reload()
        return table

    @property
    def depends(self) -> dict[str, dict[str, str]]:
        """Name -> {dependency: hash}, in the order of the file."""
        return self.rows

    def record(self, name: str, depends: Mapping[str, str]) -> None:
        """Append what a target depends on.

        Args:
            name: The target.
            depends: Dependency -> hash.
        """
        self.set(name, dict(depends))


def _encode_depends(name: str, depends: dict[str, str]) -> str:
    return f"{escape(name)}|{'*'.join(f'{escape(key)}={value}' for key, value in depends.items())}"


def _decode_depends(fields: list[str]) -> tuple[str, dict[str, str]]:
    name, text = fields
    pairs = (pair.rsplit("=", 1) for pair in text.split("*")) if text else ()
    return unescape(name), {unescape(key): value for key, value in pairs}


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
    """Writes the progress file, which starts empty; the caller holds the store's lock.

    Args:
        store: The data store.
        seconds: Least time between two writes in seconds.
    """

    def __init__(self, store: Store, seconds: float = 0.0) -> None:
        self._writer = LogWriter(store.progress_file, PROGRESS_HEADER, seconds, truncate=True)

    def record(self, row: ProgressRow) -> None:
        """Append a row; those of skipped targets are written at most once a second."""
        line = f"{escape(row.name)}|{row.type}|{escape(row.parent)}|{row.branches}|{row.progress}"
        self._writer.append(line, seconds=SECONDS_SKIPPED if row.progress == "skipped" else None)

    def flush(self) -> None:
        """Write what waits."""
        self._writer.flush()

    def close(self) -> None:
        """Write what waits and close the file."""
        self._writer.close()


def read_progress(store: Store) -> dict[str, ProgressRow]:
    """The last row of each name, in the order of these rows; empty if there is no file.

    Raises:
        TarFileError: The file cannot be read.
    """
    rows: dict[str, ProgressRow] = {}
    for name, kind, parent, branches, progress in read_table(store.progress_file, PROGRESS_HEADER):
        key = unescape(name)
        rows.pop(key, None)
        count = int(branches) if branches.isdecimal() else 0
        rows[key] = ProgressRow(key, kind, unescape(parent), count, progress)
    return rows
