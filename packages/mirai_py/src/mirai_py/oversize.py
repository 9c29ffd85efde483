"""A function that drags much along with it makes every task slow: say so, once, and say what it is."""

from __future__ import annotations

import types
import warnings
import weakref
from typing import Any

from mirai_py import byvalue

LARGE = 10_000_000
_warned: weakref.WeakSet[Any] = weakref.WeakSet()


def warn_of_size(call: Any, name: str, size: int) -> None:
    """Warn if a callable takes more than 10 MB when it is pickled.

    Args:
        call: the callable.
        name: its name.
        size: bytes that it takes.
    """
    if size <= LARGE:
        return
    # All closures of one piece of code are one function to their author.
    key = call.__code__ if isinstance(call, types.FunctionType) else type(call)
    if key in _warned:
        return
    _warned.add(key)
    largest = max(_captured(call), key=lambda item: item[1], default=None)
    what = f"; most of it is {largest[0]!r} ({largest[1] / 1e6:.1f} MB)" if largest else ""
    warnings.warn(
        f"the function {name!r} takes {size / 1e6:.1f} MB to send{what}. Pass that as an argument, wrapped "
        "in once() if several tasks need it, or make it on the daemons by everywhere()",
        stacklevel=2,
    )


def _captured(call: Any) -> list[tuple[str, int]]:
    """Names that a function carries values of, and what these take."""
    if not isinstance(call, types.FunctionType):
        return [(name, _size(value)) for name, value in getattr(call, "__dict__", {}).items()]
    found = [(name, _content(cell)) for name, cell in _cells(call)]
    found += [(n, call.__globals__[n]) for n in call.__code__.co_names if n in call.__globals__]
    found += [("a default value", value) for value in call.__defaults__ or ()]
    return [(name, _size(value)) for name, value in found]


def _cells(call: types.FunctionType) -> list[tuple[str, types.CellType]]:
    return list(zip(call.__code__.co_freevars, call.__closure__ or (), strict=True))


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None


def _size(value: Any) -> int:
    try:
        return len(byvalue.dumps(value))
    except Exception:
        return 0
