"""Values to bytes and back: pickle protocol 5, by reference where that goes, else by value.

What the bytes look like is told in bodies.py.
"""

from __future__ import annotations

import io
import pickle
import types
from typing import TYPE_CHECKING, Any

from mirai_py import byvalue
from mirai_py.bodies import SHARED_BYTES, Offered, body_of, loads
from mirai_py.byvalue import importable
from mirai_py.codes import Code, Once, load_once
from mirai_py.errors import MiraiSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mirai_py.custom import Custom
    from mirai_py.frames import Parts

__all__ = ("dump_call", "dumps", "loads", "pickled", "unsendable")

# Exact types that plain pickle handles and that cannot hold a function, class or `once` object.
_PLAIN = frozenset({int, float, str, bytes, bool, type(None), complex})


class _ByReference(pickle.Pickler):
    """The C pickler for values whose functions and classes can all be imported at the other side.

    Anything else ends it with `_NeedsValue`: cloudpickle, which is an order of magnitude slower, takes over.
    """

    def __init__(
        self,
        file: io.BytesIO,
        buffers: Callable[[pickle.PickleBuffer], Any],
        once: list[Code] | None,
        custom: Custom | None,
    ) -> None:
        super().__init__(file, 5, buffer_callback=buffers)
        self._once = once
        self._custom = custom

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is Once and self._once is not None:
            return _beside(obj, self._once, self._custom)
        if self._custom is not None and (reduced := self._custom.reduce(obj)) is not NotImplemented:
            return reduced
        if kind is types.FunctionType or isinstance(obj, type):
            if not importable(obj):
                raise _NeedsValue
        elif kind is types.ModuleType or kind is types.CodeType:
            raise _NeedsValue
        return NotImplemented


class _NeedsValue(Exception):  # noqa: N818 - a signal, not an error
    """Something has to be pickled by value."""


class _ByValue(byvalue.Pickler):
    def __init__(
        self,
        file: io.BytesIO,
        buffers: Callable[[pickle.PickleBuffer], Any],
        once: list[Code] | None,
        custom: Custom | None,
    ) -> None:
        super().__init__(file, 5, buffer_callback=buffers)
        self._once = once
        self.custom = custom

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is Once and self._once is not None:
            return _beside(obj, self._once, self.custom)
        return super().reducer_override(obj)


def _beside(obj: Once, once: list[Code], custom: Custom | None) -> tuple[Any, ...]:
    """Have the code of a `once` object travel beside the pickle, which names it."""
    code = obj.code_for(custom)
    once.append(code)
    return load_once, (code.key, obj.fresh)


def dumps(value: Any, once: list[Code] | None, custom: Custom | None = None, *, share: bool = True) -> Parts:
    """Pickle a value.

    Args:
        value: what to pickle.
        once: takes the codes of the `once` objects met on the way, which then travel beside; None pickles
            them as what they hold.
        custom: how objects of some classes travel.
        share: put what is large into shared memory, where it is to be had.

    Raises:
        Exception: whatever the value raises when it cannot be pickled.
    """
    if type(value) in _PLAIN and custom is None:
        return _plain(value, share=share)
    return body_of(*pickled(value, once, custom), share=share)


def pickled(value: Any, once: list[Code] | None, custom: Custom | None) -> tuple[bytes, Offered]:
    """The pickle of a value, and the buffers that it offered to leave out."""
    offered = Offered()
    stream = io.BytesIO()
    try:
        _ByReference(stream, offered, once, custom).dump(value)
    except (_NeedsValue, pickle.PicklingError, AttributeError):
        stream = io.BytesIO()
        offered = Offered()
        if once is not None:
            once.clear()
        _ByValue(stream, offered, once, custom).dump(value)
    return stream.getvalue(), offered


def _plain(value: Any, *, share: bool) -> Parts:
    stream = pickle.dumps(value, 5)
    return [stream] if len(stream) < SHARED_BYTES else body_of(stream, Offered(), share=share)


def dump_call(
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    extras: Mapping[str, Any] | None,
    once: list[Code],
    custom: Custom | None = None,
) -> Parts:
    """Pickle the arguments of a call.

    Raises:
        MiraiSerializationError: naming the argument that cannot be pickled, and its type.
    """
    call = (args, dict(kwargs), extras)
    if (
        extras is None
        and custom is None
        and _PLAIN.issuperset(map(type, args))
        and _PLAIN.issuperset(map(type, kwargs.values()))
    ):
        return _plain(call, share=True)
    try:
        return dumps(call, once, custom)
    except Exception as error:
        named = [(f"argument {i}", value) for i, value in enumerate(args)]
        named += [(f"argument {name!r}", value) for name, value in kwargs.items()]
        named += [(f"_globals[{name!r}]", value) for name, value in (extras or {}).get("globals", {}).items()]
        raise unsendable(named, error, custom) from error


def unsendable(
    named: Sequence[tuple[str, Any]], error: Exception, custom: Custom | None
) -> MiraiSerializationError:
    """The error that names the first of these values that cannot be pickled."""
    for name, value in named:
        try:
            dumps(value, [], custom)
        except Exception as cause:
            return MiraiSerializationError(
                f"{name} of type {type(value).__module__}.{type(value).__qualname__} cannot be sent to a "
                f"daemon: {cause}. Send what it is made of, or make it inside the task"
            )
    return MiraiSerializationError(f"the call cannot be sent to a daemon: {error}")
