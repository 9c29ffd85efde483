"""Append-only table files: one line a row, readable while they are written, safe against a kill at any byte."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

from targets_py.errors import TarFileError, TarWarning


def read_table(path: Path, header: str) -> list[list[str]]:
    """Read the rows of a table file; a missing file has none.

    A last line without line end is still being written, or was torn by a kill: it is ignored, as are damaged
    lines (another number of fields, NUL bytes, no UTF-8), with one warning.

    Args:
        path: The file.
        header: Names of the columns, joined by `|`.

    Returns:
        The fields of each row, still escaped.

    Raises:
        TarFileError: The file cannot be read.
    """
    raise NotImplementedError


class LogWriter:
    """Appends lines to a table file; whole lines in one write each time.

    Args:
        path: The file; made if missing, repaired if its last line is torn.
        header: Names of the columns, joined by `|`.
        seconds: Least time between two writes in seconds; 0 writes each line at once.
        truncate: Start with an empty table.

    Raises:
        TarFileError: The file cannot be opened.
    """

    def __init__(self, path: Path, header: str, seconds: float = 0.0, *, truncate: bool = False) -> None:
        raise NotImplementedError

    def append(self, line: str, *, seconds: float | None = None) -> None:
        """Add a line (without line end); it is written now, or with a later line or `flush()`.

        Args:
            line: The line.
            seconds: Least time since the last write for this line to be written now; None: the writer's.
        """
        raise NotImplementedError

    def flush(self) -> None:
        """Write what waits.

        Raises:
            TarFileError: It could not be written (disk full); nothing of it is in the file, and it waits on.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Write what waits and close the file."""
        raise NotImplementedError


def compact(path: Path, header: str, scratch: Path) -> None:
    """Rewrite a table with the last row of each name only; nothing is done where that is all there is.

    Args:
        path: The file, not open for writing.
        header: Names of the columns, joined by `|`.
        scratch: Folder on the same file system for the new file until it takes the old one's place.
    """
    raise NotImplementedError
