"""Which process runs a pipeline, and since when."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from targets_py._version import __version__
from targets_py.storage.log import read_table, replace_table
from targets_py.storage.records import escape, unescape

if TYPE_CHECKING:
    from targets_py.storage.store import Store

PROCESS_HEADER = "name|value"


def write_process(store: Store) -> None:
    """Say in `meta/process` which process runs the pipeline; the caller holds the store's lock.

    Raises:
        TarFileError: The file cannot be written.
    """
    created = process_start(os.getpid()) or datetime.now(UTC)
    values = {
        "pid": str(os.getpid()),
        "created": created.isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "version_python": platform.python_version(),
        "version_targets": __version__,
    }
    lines = [f"{name}|{escape(value)}" for name, value in values.items()]
    replace_table(store.process_file, [PROCESS_HEADER, *lines], durable=False)


def read_process(store: Store) -> dict[str, str]:
    """pid, created, host, version_python and version_targets of the last run; empty if there was none.

    Raises:
        TarFileError: The file cannot be read.
    """
    return {name: unescape(value) for name, value in read_table(store.process_file, PROCESS_HEADER)}


def process_start(pid: int) -> datetime | None:
    """When a process of this host started.

    Args:
        pid: Its id.

    Returns:
        The time (UTC) to the second; None if there is no such process or it cannot be told.
    """
    try:
        # After the name, which may hold anything but ends with the last parenthesis: field 22 of proc(5).
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        age = uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return (datetime.now(UTC) - timedelta(seconds=age)).replace(microsecond=0)
    except OSError:
        return None if Path("/proc/self").exists() else _ask_ps(pid)


def _ask_ps(pid: int) -> datetime | None:
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        local = datetime.strptime(shown.stdout.strip(), "%a %b %d %H:%M:%S %Y")  # noqa: DTZ007 - local, on purpose
    except ValueError:
        return None
    return local.astimezone(UTC)
