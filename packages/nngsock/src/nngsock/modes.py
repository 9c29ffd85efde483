"""Raw and typed vectors on the wire: what any peer can read, little endian."""

from __future__ import annotations

import math
import struct
import sys
import warnings
from array import array
from typing import TYPE_CHECKING, Any, Final

from nngsock.errors import NngWarning

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

__all__ = ("RECV_MODES", "decode_typed", "encode_raw", "receive_mode", "send_mode")

RECV_MODES: Final = (
    "serial", "character", "complex", "double", "integer", "logical", "numeric", "raw", "string",
)  # fmt: skip
SEND_MODES: Final = ("serial", "raw")

_BYTES: Final = (bytes, bytearray, memoryview, array)
_NA_INT: Final = -(2**31)
_INT_MAX: Final = 2**31 - 1
_NA_REAL: Final = struct.pack("<II", 1954, 0x7FF00000)
_NOT_ATOMIC: Final = "`data` must be an atomic vector type or None to send in mode 'raw'"
_NUMPY_BYTES: Final = {"bool": "int32", "int32": "int32", "float64": "float64", "complex128": "complex128"}


_RECEIVE: Final[dict[Any, str]] = {
    "buffer": "buffer",
    **{name: name for name in RECV_MODES},
    **dict(enumerate(RECV_MODES, 1)),
}
_SEND: Final[dict[Any, str]] = {
    "parts": "parts",
    **{name: name for name in SEND_MODES},
    **dict(enumerate(SEND_MODES, 1)),
}


def receive_mode(mode: str | int) -> str:
    """The name of a receive mode, given by name or by the original's number from 1.

    Raises:
        ValueError: It is none of them.
    """
    try:
        if mode is not True:
            return _RECEIVE[mode]
    except (KeyError, TypeError):
        pass
    raise _unknown_mode(_RECEIVE, mode)


def send_mode(mode: str | int) -> str:
    """The name of a send mode, given by name or by the original's number from 1.

    Raises:
        ValueError: It is none of them.
    """
    try:
        if mode is not True:
            return _SEND[mode]
    except (KeyError, TypeError):
        pass
    raise _unknown_mode(_SEND, mode)


def _unknown_mode(modes: dict[Any, str], mode: str | int) -> ValueError:
    names = ", ".join(sorted(set(modes.values())))
    return ValueError(f"`mode` should be one of: {names}; not {mode!r}")


def encode_raw(data: Any) -> Buffer:
    """The bytes of a scalar, a homogeneous list, an array or a bytes-like.

    Raises:
        TypeError: It is none of these.
        OverflowError: An int does not fit 32 bits.
        ValueError: An array has more than one dimension.
    """
    if isinstance(data, _BYTES):
        return data
    if data is None:
        return b""
    if isinstance(data, list | tuple):
        return _encode_list(list(data))
    if hasattr(data, "dtype") and hasattr(data, "ndim"):
        return _encode_array(data)
    kind = _kind_of([data])
    if kind is None:
        raise TypeError(f"{_NOT_ATOMIC}, not {type(data).__name__}")
    return kind([data])


def _encode_list(items: list[Any]) -> bytes:
    if not items:
        return b""
    kind = _kind_of(items)
    if kind is None:
        raise TypeError(f"{_NOT_ATOMIC}, not a list of different types")
    return kind(items)


def _kind_of(items: list[Any]) -> Callable[[list[Any]], bytes] | None:
    """How to encode these: the widest of their types, as in a vector of R."""
    types = {type(x) for x in items} - {type(None)}
    if not types:
        return _encode_ints  # all NA: logical
    if all(issubclass(t, str) for t in types):
        return _encode_strings
    if all(issubclass(t, bool | int) for t in types):
        return _encode_ints
    if all(issubclass(t, int | float) for t in types):
        return _encode_floats
    if all(issubclass(t, int | float | complex) for t in types):
        return _encode_complex
    return None


def _encode_strings(items: list[str | None]) -> bytes:
    parts = []
    for item in items:
        if item is not None and "\0" in item:
            raise ValueError("a str with a NUL inside cannot be sent in mode 'raw': send bytes")
        parts.append(b"NA" if item is None else item.encode("utf-8", "surrogateescape"))
    return b"\0".join([*parts, b""])


def _encode_ints(items: list[int | None]) -> bytes:
    for item in items:
        if item is not None and not -_INT_MAX <= item <= _INT_MAX:
            raise OverflowError(
                f"{item} does not fit an int of 32 bits: send it as float, or in mode 'serial'"
            )
    return struct.pack(f"<{len(items)}i", *(_NA_INT if x is None else x for x in items))


def _real(item: float | None) -> bytes:
    return _NA_REAL if item is None else struct.pack("<d", item)


def _encode_floats(items: list[float | None]) -> bytes:
    if None in items:
        return b"".join(map(_real, items))
    return struct.pack(f"<{len(items)}d", *items)


def _encode_complex(items: list[complex | None]) -> bytes:
    return b"".join(
        _NA_REAL * 2 if x is None else struct.pack("<dd", complex(x).real, complex(x).imag) for x in items
    )


def _encode_array(data: Any) -> Buffer:
    """The bytes of a numpy array or scalar, by its dtype, without importing numpy."""
    if data.ndim > 1:
        raise ValueError(f"`data` has {data.ndim} dimensions: flatten first, R's order is by column")
    name = data.dtype.name
    if name == "uint8":
        return bytes(data.tobytes())
    if name == "int64":
        return _encode_ints([int(x) for x in data.reshape(-1)])
    if name.startswith("str"):
        return _encode_strings([str(x) for x in data.reshape(-1)])
    if name not in _NUMPY_BYTES:
        raise TypeError(f"`data` of dtype {name} cannot be sent in mode 'raw'; possible are "
                        "bool, int32, int64, float64, complex128, uint8, str")  # fmt: skip
    little = data.astype(_NUMPY_BYTES[name]).astype(data.dtype.newbyteorder("<") if name != "bool" else "<i4")
    return bytes(little.tobytes())


def decode_typed(mode: str, data: bytes) -> Any:
    """The list or str that bytes hold in one of the typed modes.

    Bytes that do not fit come back as they are, with an `NngWarning`.
    """
    if mode == "raw":
        return data
    decoded = _DECODERS[mode](data)
    if decoded is not None:
        return decoded
    what = "a character string" if mode == "string" else mode
    warnings.warn(f"received data could not be converted to {what}", NngWarning, stacklevel=2)
    return data


def _decode_character(data: bytes) -> list[str]:
    if not data:
        return []
    items = (data[:-1] if data.endswith(b"\0") else data).split(b"\0")
    return [item.decode("utf-8", "surrogateescape") for item in items]


def _decode_string(data: bytes) -> str | None:
    content = data[:-1] if data.endswith(b"\0") else data
    return None if b"\0" in content else content.decode("utf-8", "surrogateescape")


def _native_array(typecode: str, data: bytes) -> array[Any]:
    values = array(typecode, data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _is_na(x: float) -> bool:
    """Whether a NaN is R's NA: its low word is 1954, whatever arithmetic did to its quiet bit."""
    return struct.pack("<d", x)[:4] == _NA_REAL[:4]


def _decode_double(data: bytes) -> list[float | None] | None:
    if len(data) % 8:
        return None
    return [None if math.isnan(x) and _is_na(x) else x for x in _native_array("d", data)]


def _decode_complex(data: bytes) -> list[complex | None] | None:
    if len(data) % 16:
        return None
    reals = _native_array("d", data)
    pairs = zip(reals[::2], reals[1::2], strict=True)
    return [None if math.isnan(re) and _is_na(re) else complex(re, im) for re, im in pairs]


def _decode_integer(data: bytes) -> list[int | None] | None:
    if len(data) % 4:
        return None
    return [None if x == _NA_INT else x for x in _native_array("i", data)]


def _decode_logical(data: bytes) -> list[bool | None] | None:
    if len(data) % 4:
        return None
    return [None if x == _NA_INT else bool(x) for x in _native_array("i", data)]


_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "character": _decode_character,
    "complex": _decode_complex,
    "double": _decode_double,
    "integer": _decode_integer,
    "logical": _decode_logical,
    "numeric": _decode_double,
    "string": _decode_string,
}
