"""What arguments may be: errors that name the argument, its value, and what would do."""

from __future__ import annotations

from math import inf
from numbers import Real
from typing import TYPE_CHECKING, Any

from mirai_py.errors import MiraiTypeError, MiraiValueError

if TYPE_CHECKING:
    from collections.abc import Callable


def is_number(value: Any) -> bool:
    """Whether it is an int or float, numpy's too, but not a bool."""
    return isinstance(value, Real) and not isinstance(value, bool)


def whole_number(name: str, value: Any, least: int = 0) -> int:
    """A whole number; 3.0 is one.

    Args:
        name: of the argument.
        value: what was given.
        least: the least that it may be.

    Raises:
        MiraiTypeError, MiraiValueError: it is none, or less.
    """
    if not is_number(value):
        raise MiraiTypeError(f"`{name}` must be numeric, not {value!r}")
    if not least <= value < inf or value != int(value):
        bound = "zero" if least == 0 else least
        raise MiraiValueError(f"`{name}` must be a whole number, {bound} or greater, not {value!r}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """True or False, nothing else.

    Raises:
        MiraiTypeError: it is neither.
    """
    if not isinstance(value, bool):
        raise MiraiTypeError(f"`{name}` must be True or False, not {value!r}")
    return value


def function(name: str, value: Any) -> Callable[..., Any]:
    """Something to call.

    Raises:
        MiraiTypeError: it is not.
    """
    if not callable(value):
        raise MiraiTypeError(f"`{name}` must be a function or other callable, not {value!r}")
    return value  # type: ignore[no-any-return]  # `callable` narrows to one of anything


def port_number(name: str, value: Any) -> int:
    """A port, 0 for a free one.

    Raises:
        MiraiValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise MiraiValueError(f"`{name}` must be a whole number from 0 to 65535, not {value!r}")
    return value
