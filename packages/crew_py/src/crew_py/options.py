"""Options of workers: where their output goes, and how their use of resources is logged."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crew_py import validation
from crew_py.errors import CrewError, CrewValueError

__all__ = (
    "CrewOptionsLocal",
    "CrewOptionsMetrics",
    "crew_class_options_local",
    "crew_class_options_metrics",
    "crew_options_local",
    "crew_options_metrics",
)

DEVICES: Final = ("/dev/stdout", "/dev/stderr")


@dataclass(frozen=True)
class CrewOptionsLocal:
    """Where local workers write what they print.

    Args:
        log_directory: folder for one log per worker, made at the first launch; `~` is your home. None: a
            private temporary file, which goes away at `terminate()`. Either way its last lines stand in
            warnings about launches and in the rows of crashed tasks.
        log_join: True: one file `<16 hex digits>.log` for stdout and stderr; False: two files, ending in
            `-stdout.log` and `-stderr.log`.

    Example:
        >>> crew_options_local(log_directory="logs")
        CrewOptionsLocal(log_directory='logs', log_join=True)
    """

    log_directory: str | None = None
    log_join: bool = True

    def __post_init__(self) -> None:
        if self.log_directory is not None:
            object.__setattr__(self, "log_directory", validation.path("log_directory", self.log_directory))
        validation.flag("log_join", self.log_join)

    def directory(self) -> Path | None:
        """The folder, with `~` replaced."""
        return None if self.log_directory is None else Path(self.log_directory).expanduser()


@dataclass(frozen=True)
class CrewOptionsMetrics:
    """Whether and where workers log their use of processor and memory, with the task as the phase.

    Args:
        path: None: not at all. "/dev/stdout" or "/dev/stderr": among what the worker prints. Else a folder,
            which gets one file `crew_log_<16 hex digits>.log` per worker.
        seconds_interval: seconds between two lines, above 0.
        validate: whether to check that autometric_py is installed here.

    Raises:
        CrewError: autometric_py is not installed, or an argument is wrong.

    Example:
        >>> crew_options_metrics(path=None).seconds_interval
        5
    """

    path: str | None = None
    seconds_interval: float = 5
    validate: bool = True

    def __post_init__(self) -> None:
        validation.flag("validate", self.validate)
        validation.finite("seconds_interval", self.seconds_interval, above=0)
        if self.path is None:
            return
        object.__setattr__(self, "path", validation.path("path", self.path))
        if self.path in DEVICES and sys.platform == "win32":
            raise CrewValueError(f"`path` must be a folder on Windows, got {self.path!r}")
        if self.validate and importlib.util.find_spec("autometric_py") is None:
            raise CrewError(
                "crew_options_metrics(path=...) needs autometric_py: pip install 'crew-py[metrics]', "
                "here and where the workers run"
            )

    def call(self) -> str:
        """Python source that makes the same options on a worker, which may lack autometric_py."""
        arguments = f"path={self.path!r}, seconds_interval={self.seconds_interval!r}"
        if self.path is not None:
            arguments += ", validate=False"
        return f"crew_py.crew_options_metrics({arguments})"


crew_options_local = CrewOptionsLocal
crew_options_metrics = CrewOptionsMetrics
crew_class_options_local = CrewOptionsLocal
crew_class_options_metrics = CrewOptionsMetrics
