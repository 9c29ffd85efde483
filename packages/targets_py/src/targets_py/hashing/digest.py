"""Hashes of bytes and of files: 16 hexadecimal digits of XXH3-128."""

# ruff: noqa: PTH116, PTH118, PTH123, PTH208
# The os functions are several times as fast as pathlib, and this runs for each target.

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DIGITS = 16


def digest(*parts: bytes) -> str:
    """Hash bytes; several parts hash differently from their concatenation.

    Args:
        parts: Any number of byte strings.

    Returns:
        16 hexadecimal digits.

    Example:
        >>> digest(b"ab") == digest(b"a", b"b")
        False
    """
    if len(parts) == 1:
        return str(xxhash.xxh3_128_hexdigest(parts[0])[:DIGITS])
    state = xxhash.xxh3_128()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return str(state.hexdigest()[:DIGITS])


def hash_file(path: str | os.PathLike[str]) -> str:
    """Hash the content of one file.

    Args:
        path: A regular file.

    Returns:
        16 hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()[:DIGITS]


@dataclass(frozen=True, slots=True)
class FilesStat:
    """What can be known of files without reading them.

    Attributes:
        time: Newest modification time in ns since the epoch; 0 if there is no file.
        size: Bytes of all of them.
    """

    time: int
    size: int


def hash_paths(paths: Sequence[str]) -> str:
    """Hash files and folders: contents in this order, in folders the relative names too.

    Args:
        paths: Files and folders; a folder counts with all that is below it.

    Returns:
        16 hexadecimal digits.

    Raises:
        OSError: One does not exist or cannot be read.
    """
    parts = []
    for path in paths:
        for name, entry, status in _walk(path):
            content = hash_file(entry) if stat.S_ISREG(status.st_mode) else _kind(status)
            parts.append(name.encode(errors="surrogateescape") + b"\0" + content.encode())
    return digest(b"paths", *parts)


def stat_paths(paths: Iterable[str]) -> FilesStat:
    """Newest time and total size of files and of all that is below folders.

    Args:
        paths: Files and folders.

    Returns:
        Time in ns, size in bytes.

    Raises:
        OSError: One does not exist.
    """
    time = size = 0
    for path in paths:
        for _, _, status in _walk(path):
            time = max(time, status.st_mtime_ns)
            if stat.S_ISREG(status.st_mode):
                size += status.st_size
    return FilesStat(time, size)


def _walk(path: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """(relative name, path, status) of a file, or of a folder and all below it, sorted by name."""
    above: list[tuple[int, int]] = []
    pending: list[tuple[str, str, int]] = [("", path, 0)]
    while pending:
        name, entry, depth = pending.pop()
        status = os.stat(entry)
        yield name, entry, status
        identity = (status.st_dev, status.st_ino)
        del above[depth:]
        if not stat.S_ISDIR(status.st_mode) or identity in above:  # a link to a folder that holds it
            continue
        above.append(identity)
        children = sorted(os.listdir(entry), reverse=True)
        pending += [(f"{name}/{child}", os.path.join(entry, child), depth + 1) for child in children]


def _kind(status: os.stat_result) -> str:
    return f"kind {stat.S_IFMT(status.st_mode):o}"
