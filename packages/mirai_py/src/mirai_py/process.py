"""The process of a daemon: the name that it shows, and where its output goes."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def name_process(name: str) -> str:
    """Show another name in lists of processes, where the system allows; gives the name before."""
    try:
        comm = Path("/proc/self/comm")
        before = comm.read_text(encoding="utf-8", errors="replace").strip()
        comm.write_text(name, encoding="utf-8")
    except OSError:
        return name
    return before


@contextmanager
def opened_output(output: bool | str | os.PathLike[str]) -> Iterator[int | None]:
    """A file for stdout and stderr, None to leave them. A path that is no good ends the daemon at once."""
    if output is True:
        yield None
        return
    path = os.devnull if output is False else os.path.expanduser(output)  # noqa: PTH111 - it is part of a name
    name = os.fspath(path).replace("{pid}", str(os.getpid()))
    target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        yield target
    finally:
        os.close(target)


def redirect_output(target: int) -> None:
    """Send file descriptors 1 and 2 where they belong, whatever writes to them."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(target, 1)
    os.dup2(target, 2)
