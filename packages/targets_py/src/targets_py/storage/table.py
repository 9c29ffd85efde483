"""Table files of which the latest row of each name counts."""

# ruff: noqa: PTH116, PTH123
# The os functions are several times as fast as pathlib, and this runs for each target.

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar

from targets_py.errors import TarFileError
from targets_py.storage.log import LogWriter, parse_table, replace_table, warn_of_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

Row = TypeVar("Row")


class Table(Generic[Row]):
    """The rows of a table file, by the name in their first field.

    Args:
        path: The file; need not exist.
        header: Names of the columns, joined by `|`.
        encode: Makes the line of a row.
        decode: Makes the name and the row of a line's fields; ValueError means that the line is damaged.

    Attributes:
        rows: Name -> latest row, in the order of the file.
    """

    def __init__(
        self,
        path: Path,
        header: str,
        encode: Callable[[str, Row], str],
        decode: Callable[[list[str]], tuple[str, Row]],
    ) -> None:
        self.rows: dict[str, Row] = {}
        self._path = path
        self._header = header
        self._encode = encode
        self._decode = decode
        self._writer: LogWriter | None = None
        self._tidy = True  # the file holds each name once and nothing else
        self._seen: tuple[int, int, int] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path}: {len(self.rows)} names>"

    def reload(self) -> None:
        """Read the file; writes nothing, and works while another process appends.

        Raises:
            TarFileError: The file cannot be read.
        """
        content = self._read()
        fields, damaged = parse_table(content, self._header)
        rows: dict[str, Row] = {}
        for line in fields:
            try:
                name, row = self._decode(line)
            except ValueError:
                damaged += 1
                continue
            rows.pop(name, None)  # the order is that of the latest rows
            rows[name] = row
        warn_of_damage(self._path, damaged)
        self.rows = rows
        self._tidy = not damaged and len(rows) == len(fields) and content.startswith(self._first_line)

    def open(self, seconds: float = 0.0) -> None:
        """Repair and compact the file, and start to append; the caller holds the store's lock.

        Args:
            seconds: Least time between two writes in seconds.

        Raises:
            TarFileError: The file cannot be written.
        """
        if self._status() != self._seen:
            self.reload()
        self._compact()
        self._writer = LogWriter(self._path, self._header, seconds)

    def set(self, name: str, row: Row) -> None:
        """Make this the latest row of a name; appended to the file if `open()` was called."""
        if self.rows.pop(name, None) is not None:
            self._tidy = False
        self.rows[name] = row
        if self._writer is not None:
            self._writer.append(self._encode(name, row))

    def remove(self, names: Collection[str]) -> None:
        """Forget names and rewrite the file; the caller holds the store's lock.

        Args:
            names: Names; unknown ones do not matter.
        """
        gone = set(names)
        self._keep({name: row for name, row in self.rows.items() if name not in gone})

    def prune(self, names: Collection[str]) -> None:
        """Forget all other names and rewrite the file; the caller holds the store's lock.

        Args:
            names: Names to keep; unknown ones do not matter.
        """
        kept = set(names)
        self._keep({name: row for name, row in self.rows.items() if name in kept})

    def flush(self) -> None:
        """Write what waits."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Write what waits, compact the file, and stop appending; does nothing if that was done."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        self._compact()

    @property
    def _first_line(self) -> bytes:
        return self._header.encode() + b"\n"

    def _read(self) -> bytes:
        try:
            with open(self._path, "rb") as file:
                content = file.read()
                self._seen = _identity(os.fstat(file.fileno()))
        except FileNotFoundError:
            self._seen = None
            return self._first_line
        except OSError as error:
            raise TarFileError(f"cannot read {self._path}: {error.strerror}") from error
        return content

    def _status(self) -> tuple[int, int, int] | None:
        try:
            return _identity(os.stat(self._path))
        except OSError:
            return None

    def _keep(self, rows: dict[str, Row]) -> None:
        if len(rows) == len(self.rows):
            return
        self.rows = rows
        self._tidy = False
        if self._writer is None:
            self._compact()

    def _compact(self) -> None:
        if self._tidy:
            return
        lines = [self._header, *(self._encode(name, row) for name, row in self.rows.items())]
        replace_table(self._path, lines)
        self._tidy = True
        self._seen = self._status()


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
