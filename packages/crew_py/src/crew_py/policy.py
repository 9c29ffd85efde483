"""What to do about failed tasks among the results: raise, warn, or nothing."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from crew_py import validation
from crew_py.errors import CrewError, CrewWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crew_py.monad import Monad

__all__ = ("MODES", "check_mode", "first_failure", "map_failures", "warn_of_warnings")

MODES = ("stop", "warn", "silent")


def check_mode(error: str | None, *, optional: bool = True) -> None:
    """Refuse an unknown mode.

    Raises:
        CrewValueError: it is unknown.
    """
    if error is not None or not optional:
        validation.one_of("error", error, MODES)


def first_failure(monads: Sequence[Monad], error: str | None) -> CrewError | None:
    """The exception to raise for rows taken with `error="stop"`; warns with "warn".

    Warns:
        CrewWarning: with `error="warn"`, when one failed.
    """
    if error not in {"stop", "warn"}:
        return None
    failed = next((monad for monad in monads if monad["error"] is not None), None)
    if failed is None:
        return None
    message = f"task {failed['name']!r} ({failed['status']}): {failed['error']}"
    if error == "stop":
        return CrewError(message)
    warnings.warn(message, CrewWarning, stacklevel=3)
    return None


def map_failures(monads: Sequence[Monad], error: str) -> CrewError | None:
    """The exception to raise for the rows of a map; warns with "warn"."""
    failed = [monad for monad in monads if monad["status"] != "success"]
    if not failed or error == "silent":
        return None
    message = f"{len(failed)} tasks were not successful. First error message: {failed[0]['error']}"
    if error == "stop":
        return CrewError(message)
    warnings.warn(message, CrewWarning, stacklevel=3)
    return None


def warn_of_warnings(monads: Sequence[Monad]) -> None:
    """Say once how many tasks had warnings.

    Warns:
        CrewWarning: there are some.
    """
    warned = [monad for monad in monads if monad["warnings"] is not None]
    if warned:
        message = f"{len(warned)} tasks encountered warnings. First warning message: {warned[0]['warnings']}"
        warnings.warn(message, CrewWarning, stacklevel=3)
