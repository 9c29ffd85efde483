"""When the time of a file is old enough to tell the next change from this one."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from targets_py.hashing.digest import FilesStat, stat_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

# Linux stamps files with this clock, which moves once a timer tick (1 to 10 ms). Python has no name for it.
CLOCK_REALTIME_COARSE = 5
LATE_TICKS = 10


def settled_stat(paths: Sequence[str]) -> FilesStat:
    """Time and size of files, at a moment from which on any change gives them another time.

    A file that is written twice within one tick of the kernel's clock keeps its time, so a record made
    between the two would pass for current ever after. The wait for the next tick is due only to a file
    that was written in this one, and takes a few milliseconds.

    Args:
        paths: Files and folders.

    Returns:
        Newest time in ns, size in bytes. Hash the files after this call, not before it.

    Raises:
        OSError: One does not exist.
    """
    status = stat_paths(paths)
    # Newer kernels stamp some files by a finer clock, so that a time may be ahead, by more than a tick where
    # ticks come late. What is further ahead was set by hand, or by the clock of another machine.
    while 0 <= status.time - file_clock() <= LATE_TICKS * tick():
        time.sleep(max(file_clock() + tick() - time.time_ns(), tick() // 8) / 1e9)
        status = stat_paths(paths)
    return status


def file_clock() -> int:
    """The time that a file written now would get, in ns since the epoch."""
    return time.clock_gettime_ns(CLOCK_REALTIME_COARSE) if sys.platform == "linux" else time.time_ns()


def tick() -> int:
    """How far apart two times of that clock are, in ns."""
    return round(time.clock_getres(CLOCK_REALTIME_COARSE) * 1e9) if sys.platform == "linux" else 0
