"""What can go wrong: one base class, so that `except crew_error` catches all of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

__all__ = (
    "CrewCrashError",
    "CrewDeprecateWarning",
    "CrewError",
    "CrewExpireError",
    "CrewLaunchError",
    "CrewTypeError",
    "CrewValueError",
    "CrewWarning",
    "crew_deprecate_warning",
    "crew_error",
    "crew_expire",
    "crew_warning",
)


class CrewError(Exception):
    """Base of all exceptions of this package.

    Attributes:
        result: the rows that the error is about, as a result frame, or None.
    """

    result: pl.DataFrame | None = None


class CrewValueError(CrewError, ValueError):
    """An argument has a value that is not allowed."""


class CrewTypeError(CrewError, TypeError):
    """An argument is of a type that is not allowed."""


class CrewExpireError(CrewError, TimeoutError):
    """Something did not happen in the time, or number of tries, that was given."""


class CrewLaunchError(CrewError, RuntimeError):
    """Workers do not start, or never connect."""


class CrewCrashError(CrewError, RuntimeError):
    """A task has crashed its workers more often than allowed.

    Attributes:
        name: the task.
        crashes: how often it crashed in a row.
        log: path of the log of the last worker that it crashed, or None.
    """

    def __init__(self, message: str, *, name: str, crashes: int, log: str | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.crashes = crashes
        self.log = log


class CrewWarning(UserWarning):
    """Base of all warnings of this package."""


class CrewDeprecateWarning(CrewWarning, DeprecationWarning):
    """Something will go away; the text says what to use."""


crew_error = CrewError
crew_expire = CrewExpireError
crew_warning = CrewWarning
crew_deprecate_warning = CrewDeprecateWarning
