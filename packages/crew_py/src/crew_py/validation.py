"""Checks of arguments: each returns the checked value, or raises an error that says what to give."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, Literal

from crew_py.errors import (
    CrewDeprecateWarning,
    CrewError,
    CrewTypeError,
    CrewValueError,
)

__all__ = ("crew_assert", "crew_deprecate")

_deprecated: set[str] = set()


def crew_assert(value: Any, *conditions: Callable[[Any], Any], message: str | None = None) -> None:
    """Check a value against conditions.

    Args:
        value: what to check; without conditions it must itself be true.
        *conditions: functions of the value. One that returns something false, or raises, fails.
        message: text of the error; None for a general one.

    Raises:
        CrewError: a condition failed.

    Example:
        >>> crew_assert(3, lambda x: x > 2)
    """
    for condition in conditions or (bool,):
        try:
            passed = condition(value)
        except Exception as error:
            raise CrewError(message or f"a condition raised for the value {value!r}: {error}") from error
        if not passed:
            raise CrewError(message or f"the value {value!r} does not meet a condition")


def crew_deprecate(
    name: str,
    date: str,
    version: str,
    alternative: str,
    condition: Literal["warning", "error", "message"] = "warning",
    value: Any = "x",
    frequency: Literal["always", "once"] = "always",
) -> None:
    """Tell that something is deprecated.

    Args:
        name: what is deprecated.
        date: since when.
        version: since which version.
        alternative: what to use.
        condition: "warning", "error", or "message" (a line on stderr).
        value: what the user gave for it; None means that it was not used, and nothing is said.
        frequency: "always", or "once" for each name and process.

    Raises:
        CrewError: `condition` is "error".

    Example:
        >>> crew_deprecate("old", "2026-01-01", "0.1.0", "new", value=None)
    """
    one_of("condition", condition, ("warning", "error", "message"))
    one_of("frequency", frequency, ("always", "once"))
    if value is None or (frequency == "once" and name in _deprecated):
        return
    _deprecated.add(name)
    message = f"{name} is deprecated since {date} (crew_py {version}). Alternative: {alternative}."
    if condition == "error":
        raise CrewError(message)
    if condition == "message":
        import sys

        print(message, file=sys.stderr)  # noqa: T201 - what "message" means
    else:
        warnings.warn(message, CrewDeprecateWarning, stacklevel=3)


def number(name: str, value: Any, *, above: float | None = None, at_least: float | None = None) -> float:
    """A real number that is not nan; infinity is one unless a caller forbids it."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise CrewTypeError(f"`{name}` must be a number, got {value!r}")
    result = float(value)
    if math.isnan(result):
        raise CrewValueError(f"`{name}` must not be nan")
    if above is not None and not result > above:
        raise CrewValueError(f"`{name}` must be greater than {above:g}, got {value!r}")
    if at_least is not None and not result >= at_least:
        raise CrewValueError(f"`{name}` must be {at_least:g} or greater, got {value!r}")
    return result


def finite(name: str, value: Any, *, above: float | None = None, at_least: float | None = None) -> float:
    """A finite number."""
    result = number(name, value, above=above, at_least=at_least)
    if math.isinf(result):
        raise CrewValueError(f"`{name}` must be finite, got {value!r}")
    return result


def whole(name: str, value: Any, *, at_least: int = 0, at_most: int | None = None) -> int:
    """A whole number; a float that is one is taken."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise CrewTypeError(f"`{name}` must be a whole number, got {value!r}")
    if not isinstance(value, Integral) and not float(value).is_integer():
        raise CrewValueError(f"`{name}` must be a whole number, got {value!r}")
    result = int(value) if isinstance(value, Integral) else int(float(value))
    if result < at_least or (at_most is not None and result > at_most):
        limits = f"{at_least} or greater" if at_most is None else f"between {at_least} and {at_most}"
        raise CrewValueError(f"`{name}` must be {limits}, got {value!r}")
    return result


def whole_or_inf(name: str, value: Any, *, at_least: int = 0) -> float:
    """A whole number or infinity (`math.inf`)."""
    return math.inf if value == math.inf else whole(name, value, at_least=at_least)


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that only behaves like one."""
    if not isinstance(value, bool):
        raise CrewTypeError(f"`{name}` must be True or False, got {value!r}")
    return value


def text(name: str, value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str):
        raise CrewTypeError(f"`{name}` must be a string, got {value!r}")
    if not value:
        raise CrewValueError(f"`{name}` must not be empty")
    return value


def texts(name: str, value: Any) -> tuple[str, ...]:
    """Several strings; one alone is taken too."""
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, list | tuple):
        raise CrewTypeError(f"`{name}` must be a list of strings, got {value!r}")
    return tuple(text(name, item) for item in value)


def named(name: str, value: Any) -> dict[str, Any]:
    """A mapping with strings for keys; None is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise CrewTypeError(f"`{name}` must be a dict, got {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            raise CrewTypeError(f"the keys of `{name}` must be strings, got {key!r}")
    return dict(value)


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """One of a few strings."""
    if value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise CrewValueError(f"`{name}` must be one of {choices}, got {value!r}")
    return str(value)


def path(name: str, value: Any) -> str:
    """A path as text."""
    if not isinstance(value, str | os.PathLike):
        raise CrewTypeError(f"`{name}` must be a path, got {value!r}")
    return text(name, os.fspath(value))
