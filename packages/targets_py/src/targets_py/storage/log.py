"""Append-only table files: one line a row, readable while written, sound after a kill at any byte."""

# ruff: noqa: PTH105, PTH123
# The os functions are several times as fast as pathlib, and this runs for each flush.

from __future__ import annotations

import contextlib
import os
import re
import time
import warnings
from typing import TYPE_CHECKING

from targets_py.errors import TarFileError, TarWarning

if TYPE_CHECKING:
    from pathlib import Path


def read_table(path: Path, header: str) -> list[list[str]]:
    """Read the rows of a table file; a missing file has none.

    A last line without line end is still being written, or was torn by a kill: it is ignored. So are damaged
    lines (another number of fields, NUL bytes, no UTF-8), with one warning.

    Args:
        path: The file.
        header: Names of the columns, joined by `|`.

    Returns:
        The fields of each row, still escaped.

    Raises:
        TarFileError: The file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TarFileError(f"cannot read {path}: {error.strerror}") from error
    rows, damaged = parse_table(content, header)
    warn_of_damage(path, damaged)
    return rows


def parse_table(content: bytes, header: str) -> tuple[list[list[str]], int]:
    """Rows in the content of a table file, and the number of damaged lines.

    Args:
        content: The file's bytes.
        header: Names of the columns, joined by `|`.

    Returns:
        The fields of each row, still escaped; the number of lines that are none.
    """
    # U+FFFD and NUL are escaped when written: here they mark bytes that never were a line of ours.
    lines = content[: content.rfind(b"\n") + 1].decode(errors="replace").split("\n")
    lines.pop()
    if b"\r" in content:  # a tool changed the line ends; carriage returns in fields are escaped
        lines = [line.removesuffix("\r") for line in lines]
    rows = [line.split("|") for line in lines if line != header]
    width = header.count("|") + 1
    sound = [row for row in rows if len(row) == width and row[0]]
    if b"\0" in content or not content.isascii():
        sound = [row for row in sound if not _DAMAGE.search("".join(row))]
    return sound, len(rows) - len(sound)


def warn_of_damage(path: Path, lines: int) -> None:
    """Say once how many lines of a file were ignored, if any."""
    if lines:
        warnings.warn(
            f"ignored {lines} damaged line(s) of {path}; what they recorded counts as never built",
            TarWarning,
            stacklevel=3,
        )


_DAMAGE = re.compile("[\0\ufffd]")


class LogWriter:
    """Appends lines to a table file: whole lines, all that wait in one write.

    Args:
        path: The file; made if missing, repaired if its last line is torn.
        header: Names of the columns, joined by `|`.
        seconds: Least time between two writes in seconds; 0 writes each line at once.
        truncate: Start with an empty table.

    Raises:
        TarFileError: The file cannot be opened.
    """

    def __init__(self, path: Path, header: str, seconds: float = 0.0, *, truncate: bool = False) -> None:
        self._path = path
        self._seconds = seconds
        self._waiting: list[str] = []
        self._last_write = float("-inf")
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | (os.O_TRUNC if truncate else 0)
        try:
            self._descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            raise TarFileError(f"cannot open {path} for writing: {error.strerror}") from error
        if _repair(self._descriptor) == 0:
            self._waiting.append(header)
            self.flush()

    def __repr__(self) -> str:
        return f"<LogWriter {self._path}: {len(self._waiting)} lines wait>"

    def append(self, line: str, *, seconds: float | None = None) -> None:
        """Add a line (without line end); it is written now, or with a later line or `flush()`.

        Args:
            line: The line.
            seconds: Least time since the last write for this line to be written now; None: the writer's.
        """
        self._waiting.append(line)
        least = self._seconds if seconds is None else max(seconds, self._seconds)
        if not least or time.monotonic() - self._last_write >= least:
            self.flush()

    def flush(self) -> None:
        """Write what waits.

        Raises:
            TarFileError: It could not be written (disk full); nothing of it is in the file, and it waits on.
        """
        if not self._waiting:
            return
        content = ("\n".join(self._waiting) + "\n").encode()
        try:
            _write_all(self._descriptor, content)
        except OSError as error:
            raise TarFileError(f"cannot write to {self._path}: {error.strerror}") from error
        self._waiting.clear()
        self._last_write = time.monotonic()

    def close(self) -> None:
        """Write what waits and close the file; does nothing if that was done."""
        if self._descriptor < 0:
            return
        try:
            self.flush()
        finally:
            os.close(self._descriptor)
            self._descriptor = -1


def _write_all(descriptor: int, content: bytes) -> None:
    """Append all or nothing: one write, more only where the system took a part of it."""
    written = os.write(descriptor, content)
    if written == len(content):
        return
    start = os.fstat(descriptor).st_size - written
    try:
        while written < len(content):
            written += os.write(descriptor, content[written:])
    except BaseException:
        os.ftruncate(descriptor, start)
        raise


def _repair(descriptor: int) -> int:
    """Cut off what follows the last line end; returns the length then."""
    size = end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 65536)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def replace_table(path: Path, lines: list[str], *, durable: bool = True) -> None:
    """Put a table file with these lines in the place of an old one; at no moment is there no whole file.

    Args:
        path: The file, open for writing nowhere: the caller holds the store's lock.
        lines: Header and rows, without line ends.
        durable: Wait until it is on disk, so that a power loss leaves the old or the new file.

    Raises:
        TarFileError: It cannot be written; the old file is untouched.
    """
    scratch = path.with_name(path.name + ".new")
    try:
        with open(scratch, "wb") as file:
            file.writelines(line.encode() + b"\n" for line in lines)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise TarFileError(f"cannot rewrite {path}: {error.strerror}") from error
