"""Find and end workers that were left behind on this machine. Nothing else in this package depends on it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from crew_py import validation
from crew_py.processes import crew_terminate_process

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("CrewMonitorLocal", "crew_class_monitor_local", "crew_monitor_local")

ME = "<me>"


class CrewMonitorLocal:
    """List workers and daemons by their command lines, and end them.

    Example:
        >>> monitor = crew_monitor_local()
        >>> left_over = monitor.workers()
        >>> monitor.terminate(left_over)  # doctest: +SKIP
    """

    def workers(self, user: str | None = ME) -> list[int]:
        """List workers of crew_py.

        Args:
            user: whose; the default is the current user, None is everybody.

        Returns:
            Process ids, sorted.
        """
        return _find("crew_py.crew_worker", user)

    def daemons(self, user: str | None = ME) -> list[int]:
        """List daemons that mirai_py has started by itself.

        Args:
            user: whose; the default is the current user, None is everybody.

        Returns:
            Process ids, sorted.
        """
        return _find("mirai_py.daemon", user)

    def terminate(self, pids: Iterable[int] | int) -> None:
        """Send processes the signal that ends workers.

        Args:
            pids: process ids; those of ended processes are ignored.
        """
        for pid in [pids] if isinstance(pids, int) else pids:
            crew_terminate_process(pid)

    def __repr__(self) -> str:
        return "crew_monitor_local()"


def _find(text: str, user: str | None) -> list[int]:
    """Processes with a text among the arguments of an interpreter."""
    import psutil

    wanted = getpass.getuser() if user == ME else user
    if wanted is not None:
        validation.text("user", wanted)
    found = []
    for process in psutil.process_iter(["pid", "username", "cmdline"]):
        # Fields that may not be read are None.
        command = process.info["cmdline"] or []
        if wanted is not None and process.info["username"] != wanted:
            continue
        if "-c" in command and any(text in argument for argument in command):
            found.append(process.info["pid"])
    return sorted(found)


crew_monitor_local = CrewMonitorLocal
crew_class_monitor_local = CrewMonitorLocal
