"""End a process politely."""

from __future__ import annotations

import os
import signal

from crew_py import validation

__all__ = ("crew_terminate_process", "crew_terminate_signal")


def crew_terminate_signal() -> int:
    """The signal that ends workers on this platform.

    Returns:
        SIGTERM where there is one, else SIGINT, else SIGKILL.

    Example:
        >>> crew_terminate_signal() > 0
        True
    """
    for name in ("SIGTERM", "SIGINT", "SIGKILL"):
        found = getattr(signal, name, None)
        if found is not None:
            return int(found)
    raise NotImplementedError("this platform has no signal that ends a process")


def crew_terminate_process(pid: int) -> None:
    """Send a process the signal that ends workers. One that is gone already is no error.

    Args:
        pid: process id, 0 or greater. 0 names no process here; to the system it is the caller's group.

    Raises:
        CrewValueError: the pid is negative, or not a whole number.

    Example:
        >>> crew_terminate_process(2**22 + 1)
    """
    pid = validation.whole("pid", pid)
    if pid == 0:
        return
    try:
        os.kill(pid, crew_terminate_signal())
    except ProcessLookupError:
        return
