"""Values to bytes and back: pickle protocol 5, large buffers beside the stream.

A body is either a plain pickle (its first byte is 0x80) or, where buffers were offered out of band,
`0x93 | n u32 | length of the pickle u64 | n lengths u64`, then the pickle and the buffers, each at a multiple
of 16 bytes.
"""

from __future__ import annotations

import io
import pickle
import struct
import types
from typing import TYPE_CHECKING, Any

from mirai_py import byvalue
from mirai_py.byvalue import importable
from mirai_py.codes import Code, Once, load_once
from mirai_py.errors import MiraiSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mirai_py.custom import Custom
    from mirai_py.frames import Buffer, Parts

_MARK = 0x93
_LAYOUT = struct.Struct("<BxxxIQ")
_ALIGN = 16
# Below this a buffer is cheaper inside the stream than as a part of its own.
OUT_OF_BAND = 1 << 15
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
            self._once.append(obj.code)
            return load_once, (obj.code.key, obj.fresh)
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
            self._once.append(obj.code)
            return load_once, (obj.code.key, obj.fresh)
        return super().reducer_override(obj)


def dumps(value: Any, once: list[Code] | None, custom: Custom | None = None) -> Parts:
    """Pickle a value.

    Args:
        value: what to pickle.
        once: takes the codes of the `once` objects met on the way, which then travel beside; None pickles
            them as what they hold.
        custom: how objects of some classes travel.

    Raises:
        Exception: whatever the value raises when it cannot be pickled.
    """
    if type(value) in _PLAIN and custom is None:
        return [pickle.dumps(value, 5)]
    buffers: list[pickle.PickleBuffer] = []

    def offer(buffer: pickle.PickleBuffer) -> bool:
        with buffer.raw() as raw:
            inside = raw.nbytes < OUT_OF_BAND
        if not inside:
            buffers.append(buffer)
        return inside

    stream = io.BytesIO()
    try:
        _ByReference(stream, offer, once, custom).dump(value)
    except (_NeedsValue, pickle.PicklingError, AttributeError):
        stream = io.BytesIO()
        buffers.clear()
        if once is not None:
            once.clear()
        _ByValue(stream, offer, once, custom).dump(value)
    return _framed(stream.getvalue(), buffers)


def _framed(stream: bytes, buffers: Sequence[pickle.PickleBuffer]) -> Parts:
    if not buffers:
        return [stream]
    raws = [buffer.raw() for buffer in buffers]
    lengths = [raw.nbytes for raw in raws]
    first = _LAYOUT.pack(_MARK, len(raws), len(stream)) + struct.pack(f"<{len(raws)}Q", *lengths)
    parts: Parts = [first + bytes(-len(first) % _ALIGN) + stream + bytes(-len(stream) % _ALIGN)]
    for raw in raws:
        parts.append(raw)
        if raw.nbytes % _ALIGN:
            parts.append(bytes(-raw.nbytes % _ALIGN))
    return parts


def loads(body: Buffer) -> Any:
    """Rebuild a value. Its arrays are writable and its own: the message is copied once.

    Raises:
        Exception: whatever the value raises when it cannot be rebuilt.
    """
    if not len(body) or body[0] != _MARK:
        return pickle.loads(body)
    view = memoryview(body)
    _, count, length = _LAYOUT.unpack_from(view)
    lengths = struct.unpack_from(f"<{count}Q", view, _LAYOUT.size)
    at = _aligned(_LAYOUT.size + 8 * count)
    stream = view[at : at + length]
    at = _aligned(at + length)
    buffers = []
    for size in lengths:
        buffers.append(bytearray(view[at : at + size]))
        at = _aligned(at + size)
    return pickle.loads(stream, buffers=buffers)


def _aligned(at: int) -> int:
    return at + (-at % _ALIGN)


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
        return [pickle.dumps(call, 5)]
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
