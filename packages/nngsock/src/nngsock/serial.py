"""Mode "serial": any object as bytes, by pickle or by the serializer that a socket was given.

Unpickling runs code that the sender chose: use this mode only with peers you trust, and the serializers
"json" or "msgpack" with others.
"""

from __future__ import annotations

import importlib
import pickle
import struct
import warnings
from typing import TYPE_CHECKING, Any, Final, Protocol

from nngsock.custom import configured_dumps
from nngsock.errors import MissingExtraError, NngWarning
from nngsock.message import build, from_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from nngsock.custom import SerialConfig

__all__ = ("Codec", "Serializer", "codec_for", "decode_serial", "encode_serial")

PICKLE_5: Final = b"\x80\x05"
MAGIC: Final = b"\x93NS1"  # a pickle with buffers beside it
ALIGN: Final = 16
OUT_OF_BAND_SIZE: Final = 32 * 1024  # buffers above this travel beside the pickle
R_FORMATS: Final = (b"B\n", b"X\n", b"A\n")
R_REQUEST: Final = b"\x07\0\0"  # begins the header that R's request() puts in front
R_REQUEST_SIZE: Final = 8
R_MIN_SIZE: Final = 12  # nothing that R serialises is this short

_dumps = pickle.dumps
_loads = pickle.loads


class Serializer(Protocol):
    """What turns objects into bytes and back, beside pickle."""

    def dumps(self, obj: Any, /) -> Buffer:
        """The object as bytes."""

    def loads(self, data: Any, /) -> Any:
        """The object that bytes hold."""


class _Json:
    @staticmethod
    def dumps(obj: Any) -> bytes:
        import json

        return json.dumps(obj, separators=(",", ":")).encode()

    @staticmethod
    def loads(data: bytes) -> Any:
        import json

        return json.loads(data)


class Codec:
    """How the serial messages of one socket are written and read.

    Args:
        name: The value of the option "serializer".
        dumps: pickle's or cloudpickle's function, called with `protocol` and `buffer_callback`.
        serializer: Used alone, in place of pickle, in both directions.
        config: The value of the option "serial", which pickle applies.
    """

    __slots__ = ("config", "dumps", "loads", "name", "serializer")

    def __init__(
        self,
        name: Any,
        dumps: Callable[..., bytes] = _dumps,
        serializer: Serializer | None = None,
        config: SerialConfig | None = None,
    ) -> None:
        self.name = name
        self.dumps = dumps
        self.loads: Callable[..., Any] = _loads if config is None else config.loads
        self.serializer = serializer
        self.config = config


PICKLE: Final = Codec("pickle")


def codec_for(value: Any, config: SerialConfig | None = None) -> Codec:
    """The codec for a value of the option "serializer", and one of the option "serial".

    Raises:
        MissingExtraError: It needs a package that is not installed.
        TypeError: It is neither a known name nor an object with `dumps` and `loads`.
    """
    if value == "pickle":
        return PICKLE if config is None else Codec(value, configured_dumps(config), config=config)
    if value == "cloudpickle":
        module = _extra(value)
        dumps = module.dumps if config is None else configured_dumps(config, module.Pickler)
        return Codec(value, dumps, config=config)
    if value == "json":
        return Codec(value, serializer=_Json(), config=config)
    if value == "msgpack":
        module = _extra(value)
        return Codec(value, serializer=_Functions(module.packb, module.unpackb), config=config)
    if value == "r":
        write = _r_module("rwriting", "serializer 'r'").write_r
        return Codec(value, serializer=_Functions(write, _read_r), config=config)
    if callable(getattr(value, "dumps", None)) and callable(getattr(value, "loads", None)):
        return Codec(value, serializer=value, config=config)
    raise TypeError(
        f"`value` of 'serializer' must be 'pickle', 'cloudpickle', 'json', 'msgpack', 'r' or an object with "
        f"dumps and loads, not {value!r}"
    )


class _Functions:
    def __init__(self, dumps: Callable[[Any], bytes], loads: Callable[[Any], Any]) -> None:
        self.dumps = dumps
        self.loads = loads


def _r_module(name: str, what: str) -> Any:
    """A module of this package that needs rdata, whose import takes half a second."""
    try:
        return importlib.import_module(f"nngsock.{name}")
    except ImportError as error:
        raise MissingExtraError(f"{what} needs the package rdata: pip install nngsock[r]") from error


def _read_r(content: bytes | memoryview) -> Any:
    return _r_module("rserial", "an object serialized by R").read_r(content)


def _extra(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"serializer {name!r} needs the package {name}: pip install nngsock[{name}]"
        ) from error


def encode_serial(codec: Codec, data: Any) -> Any:
    """A new message that holds the object; what serialisation raises is raised."""
    if codec.serializer is not None:
        encoded = memoryview(codec.serializer.dumps(data)).cast("B")
        return from_bytes(encoded, encoded.nbytes)
    buffers: list[memoryview] = []

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes <= OUT_OF_BAND_SIZE:
            return True
        buffers.append(view)
        return False

    pickled = codec.dumps(data, protocol=5, buffer_callback=keep_in_band)
    if not buffers:
        return from_bytes(pickled, len(pickled))
    lengths = (len(pickled), *(view.nbytes for view in buffers))
    head = struct.pack(f"<4sI{len(lengths)}Q", MAGIC, len(buffers), *lengths)
    parts: list[Buffer] = [head, pickled]
    end = len(head) + len(pickled)
    for view in buffers:
        parts += (bytes(-end % ALIGN), view)
        end += -end % ALIGN + view.nbytes
    return build(parts)


def decode_serial(codec: Codec, content: bytes | memoryview) -> Any:
    """The object in a received message; bytes and an `NngWarning` if there is none."""
    try:
        if codec.serializer is not None:
            return codec.serializer.loads(bytes(content))
        head = bytes(content[:4])
        if head.startswith(PICKLE_5):
            return codec.loads(content)
        if head == MAGIC:
            return _decode_frame(codec, memoryview(content))
        if _is_r(content):
            return _read_r(content)
    except Exception as error:
        return _undecoded(content, f"{type(error).__name__}: {error}")
    return _undecoded(content, "it is no known format")


def _decode_frame(codec: Codec, view: memoryview) -> Any:
    (count,) = struct.unpack_from("<I", view, 4)
    lengths = struct.unpack_from(f"<{count + 1}Q", view, 8)
    start = 8 + 8 * (count + 1)
    pickled = view[start : start + lengths[0]]
    end = start + lengths[0]
    buffers = []
    for length in lengths[1:]:
        start = end + -end % ALIGN
        end = start + length
        buffers.append(view[start:end])
    if end != len(view):
        raise ValueError(f"the frame is {len(view)} bytes long, its header says {end}")
    return codec.loads(pickled, buffers=buffers)


def _is_r(content: bytes | memoryview) -> bool:
    if len(content) <= R_MIN_SIZE:
        return False
    start = R_REQUEST_SIZE if bytes(content[:3]) == R_REQUEST else 0
    return bytes(content[start : start + 2]) in R_FORMATS


def _undecoded(content: bytes | memoryview, reason: str) -> bytes:
    warnings.warn(f"received data could not be unserialized: {reason}", NngWarning, stacklevel=2)
    return bytes(content)
