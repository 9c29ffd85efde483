"""Which file systems keep time stamps fine enough to be trusted."""

# ruff: noqa: PTH120
# The os functions are several times as fast as pathlib, and this runs for each tracked file.

from __future__ import annotations

import os
import re
import subprocess
from functools import lru_cache
from pathlib import Path

# These keep whole seconds or worse: a file that is written twice within one would look unchanged.
COARSE = frozenset(
    {
        "ext2",
        "ext3",
        "fat",
        "vfat",
        "fat32",
        "msdos",
        "exfat",
        "hfs",
        "hfsplus",
        "reiserfs",
        "iso9660",
        "minix",
        "xiafs",
        "ufs",
    }
)


def trusts_timestamps(path: str) -> bool:
    """Whether equal time and size of a file at this path mean that it is unchanged.

    Args:
        path: A file that exists.

    Returns:
        False also where the kind of file system cannot be told.
    """
    return _of_folder(os.path.dirname(os.path.realpath(path)))


@lru_cache(maxsize=1024)
def _of_folder(folder: str) -> bool:
    mounts = mounted()
    while folder not in mounts and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    kind = mounts.get(folder)
    return kind is not None and kind not in COARSE


@lru_cache(maxsize=1)
def mounted() -> dict[str, str]:
    """Mount point -> kind of file system, in lower case; empty where it cannot be told."""
    try:
        table = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return _ask_mount()
    return parse_mounts(table)


def parse_mounts(table: str) -> dict[str, str]:
    """Read the table of proc(5): later mounts cover earlier ones; blanks in paths are octal escapes."""
    found = {}
    for line in table.splitlines():
        _, point, kind, *_ = line.split(" ")
        found[re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)] = kind.lower()
    return found


def _ask_mount() -> dict[str, str]:
    try:
        shown = subprocess.run(["mount"], check=False, capture_output=True, text=True).stdout
    except OSError:
        return {}
    return parse_mount_command(shown)


def parse_mount_command(shown: str) -> dict[str, str]:
    """Read what mount(8) prints on macOS and BSD: `device on /path (kind, options)`."""
    return {match[1]: match[2].lower() for match in re.finditer(r" on (.+) \((\w+)", shown)}
