"""The resource log of a worker: started with it, its phase set to the running task."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crew_py.names import crew_random_name
from crew_py.options import DEVICES, CrewOptionsMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("phase", "start", "stop")

_active = False


def start(options: CrewOptionsMetrics) -> None:
    """Start the log of this process; without autometric_py say so on stderr and go on."""
    global _active
    if options.path is None:
        return
    try:
        import autometric_py
    except ImportError:
        print(  # noqa: T201 - the worker's log
            "Warning: no metrics, autometric_py is not installed here: pip install 'crew-py[metrics]'",
            file=sys.stderr,
            flush=True,
        )
        return
    name = f"crew_log_{crew_random_name(8)}"
    path = options.path if options.path in DEVICES else Path(options.path).expanduser() / f"{name}.log"
    autometric_py.log_start(path, seconds=options.seconds_interval, pids={name: os.getpid()})
    _active = True


def stop() -> None:
    """End the log."""
    global _active
    if not _active:
        return
    import autometric_py

    autometric_py.log_stop()
    _active = False


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Stamp the log's lines with a task's name."""
    if not _active:
        yield
        return
    import autometric_py

    with autometric_py.log_phase(name):
        yield
