"""Resource logs of a run: what main and the workers use, each line labelled with the target at work.

Nothing here happens, and autometric_py is not imported, unless a log is kept: by `targets make --metrics`, or
by a caller of `tar_make()` that has called `log_start()`.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarValidateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

SECONDS = 0.5
# Where the workers of a run write their logs; set by `log_run` for the process that runs the pipeline.
FOLDER_VARIABLE = "TAR_METRICS"
# Tells a child process that its parent keeps a log whose lines it may label.
PHASES_VARIABLE = "TAR_PHASES"


@contextmanager
def log_run(path: str) -> Iterator[None]:
    """Log this process, the child that runs the pipeline, and the workers for as long as the block runs.

    Args:
        path: Log of this process and the child; those of the workers come beside it.

    Raises:
        TarValidateError: autometric_py is not installed, or a log cannot be written there.
    """
    try:
        import autometric_py
    except ImportError:
        raise TarValidateError("metrics need autometric_py: pip install 'targets-py[metrics]'") from None
    before = os.environ.get(FOLDER_VARIABLE)
    try:
        log = autometric_py.log_start(path, seconds=SECONDS, pids={"command": os.getpid()})
    except (autometric_py.AutometricError, OSError) as error:
        raise TarValidateError(f"cannot keep a log of resources: {error}") from error
    os.environ[FOLDER_VARIABLE] = str(Path(path).resolve().parent)
    try:
        with log:
            yield
    finally:
        if before is None:
            del os.environ[FOLDER_VARIABLE]
        else:
            os.environ[FOLDER_VARIABLE] = before


def child_environment() -> dict[str, str]:
    """Variables under which a child process labels the lines of the log that this process keeps."""
    autometric = _active()
    return {} if autometric is None else {**autometric.log_environment(), PHASES_VARIABLE: "true"}


@contextmanager
def child_followed(pid: int) -> Iterator[None]:
    """Let the log that this process keeps follow its child too."""
    autometric = _active()
    if autometric is None:
        yield
        return
    autometric.log_attach(pid, "main")
    try:
        yield
    finally:
        autometric.log_detach(pid)


def phases() -> Callable[[str], AbstractContextManager[Any]]:
    """What labels the lines of the log for a block: `autometric_py.log_phase`, or nothing without a log."""
    if _active() is None and PHASES_VARIABLE not in os.environ:
        return nullcontext
    import autometric_py

    return autometric_py.log_phase


def workers_folder() -> str | None:
    """Where the workers of this run write their logs, None for nowhere."""
    return os.environ.get(FOLDER_VARIABLE)


def _active() -> Any:
    autometric = sys.modules.get("autometric_py")
    return autometric if autometric is not None and autometric.log_active() else None
