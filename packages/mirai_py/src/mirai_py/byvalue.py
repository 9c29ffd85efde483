"""Pickling by value what the other side cannot import: functions and classes of scripts and notebooks."""

from __future__ import annotations

import io
import sys
import types
from collections import ChainMap
from typing import TYPE_CHECKING, Any, ClassVar

import cloudpickle

if TYPE_CHECKING:
    from mirai_py.custom import Custom


def _reduce_code(code: types.CodeType) -> tuple[Any, tuple[Any, ...]]:
    """Keep the name of the file, which cloudpickle 3.1.3 drops: a remote traceback shows its lines."""
    make, parts = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    return make, tuple(code.co_filename if part == "<dynamic-code>" else part for part in parts)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's pickler, with the names of source files, and own ways for objects of some classes.

    Attributes:
        custom: these ways.
    """

    custom: Custom | None = None
    dispatch_table: ClassVar[ChainMap[Any, Any]] = ChainMap(
        {types.CodeType: _reduce_code}, cloudpickle.Pickler.dispatch_table
    )

    def reducer_override(self, obj: Any) -> Any:
        """Pickle an object in a way of its own, if it has one."""
        if self.custom is not None and (reduced := self.custom.reduce(obj)) is not NotImplemented:
            return reduced
        return super().reducer_override(obj)


def dumps(value: object, custom: Custom | None = None) -> bytes:
    """Pickle a value.

    Args:
        value: what to pickle.
        custom: how objects of some classes travel.

    Raises:
        Exception: whatever the value raises when it cannot be pickled.
    """
    stream = io.BytesIO()
    pickler = Pickler(stream, 5)
    pickler.custom = custom
    pickler.dump(value)
    return stream.getvalue()


def importable(obj: Any) -> bool:
    """Whether the other side can find this function or class by module and name."""
    module = getattr(obj, "__module__", None)
    if module is None or module == "__main__" or module in cloudpickle.list_registry_pickle_by_value():
        return False
    found = sys.modules.get(module)
    try:
        for name in obj.__qualname__.split("."):
            found = getattr(found, name)
    except AttributeError:
        return False
    return found is obj
