"""How the command line shows messages."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ("FORMATS", "as_bytes")

ESCAPES: Final = {0x22: '\\"', 0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
PRINTABLE: Final = range(0x20, 0x7F)


def as_bytes(message: Any) -> bytes:
    """The message as bytes; an object as its `repr`."""
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(message)
    text = message if isinstance(message, str) else repr(message)
    return text.encode("utf-8", "surrogateescape")


def _text(message: Any) -> bytes:
    shown = as_bytes(message).decode("utf-8", "backslashreplace").encode()
    return shown if shown.endswith(b"\n") else shown + b"\n"


def _ascii(message: Any) -> bytes:
    return bytes(byte if byte in PRINTABLE else 0x2E for byte in as_bytes(message)) + b"\n"


def _quoted(message: Any) -> bytes:
    shown = (ESCAPES.get(x) or (chr(x) if x in PRINTABLE else _escape(x)) for x in as_bytes(message))
    return _in_quotes(shown)


def _hex(message: Any) -> bytes:
    return _in_quotes(map(_escape, as_bytes(message)))


def _escape(byte: int) -> str:
    return f"\\x{byte:02x}"


def _in_quotes(characters: Iterable[str]) -> bytes:
    return b'"%s"\n' % "".join(characters).encode()


def _msgpack(message: Any) -> bytes:
    """The bytes as one value of msgpack's type bin."""
    data = as_bytes(message)
    size = len(data)
    head = (
        struct.pack(">BB", 0xC4, size)
        if size < 1 << 8
        else struct.pack(">BH", 0xC5, size)
        if size < 1 << 16
        else struct.pack(">BI", 0xC6, size)
    )
    return head + data


def _json(message: Any) -> bytes:
    """One line of JSON: an object, the JSON that a message is, or its text as a JSON string."""
    value = message
    if isinstance(message, bytes | str):
        text = as_bytes(message).decode("utf-8", "backslashreplace")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=repr).encode() + b"\n"


FORMATS: Final[dict[str, Callable[[Any], bytes]]] = {
    "text": _text,
    "raw": as_bytes,
    "ascii": _ascii,
    "quoted": _quoted,
    "hex": _hex,
    "msgpack": _msgpack,
    "json": _json,
}
