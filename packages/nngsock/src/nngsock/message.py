"""Messages: blocks of NNG's memory, and who frees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nngsock._native import ffi, lib, new
from nngsock.errors import check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

__all__ = ("MESSAGE_P", "build", "free", "from_bytes", "take_bytes", "take_content", "take_view")

MESSAGE_P = ffi.typeof("nng_msg **")
CHARS = ffi.typeof("char *")
COPIED_SIZE = 8192  # up to here a copy costs less than a view that keeps NNG's memory

free = lib.nng_msg_free
_alloc = lib.nng_msg_alloc
_body = lib.nng_msg_body
_size_of = lib.nng_msg_len
_move = ffi.memmove
_buffer = ffi.buffer
_cast = ffi.cast


def from_bytes(data: Buffer, size: int) -> Any:
    """A new message with this content, `size` bytes of it. Whoever gets it frees it or gives it to NNG."""
    out = new(MESSAGE_P)
    check(_alloc(out, size))
    message = out[0]
    if size:
        _move(_body(message), data, size)
    return message


def build(parts: Iterable[Buffer]) -> Any:
    """A new message of parts (bytes-likes) written one after another, each copied once."""
    flat = [part if type(part) is bytes else _flat(part) for part in parts]
    out = new(MESSAGE_P)
    check(_alloc(out, sum(map(len, flat))))
    message = out[0]
    end = _cast(CHARS, _body(message))
    for part in flat:
        size = len(part)
        if size:
            _move(end, part, size)
            end += size
    return message


def _flat(part: Buffer) -> bytes | memoryview:
    """The bytes of a part in one row (a copy where the part itself is not contiguous)."""
    view = memoryview(part)
    if not view.nbytes:
        return b""
    return view.cast("B") if view.c_contiguous else view.tobytes()


def take_bytes(message: Any) -> bytes:
    """The content as bytes; the message is freed."""
    size = _size_of(message)
    data: bytes = _buffer(_body(message), size)[:] if size else b""
    free(message)
    return data


def take_content(message: Any) -> bytes | memoryview:
    """The content: a copy if that costs less, else a read-only view that keeps the message."""
    size = _size_of(message)
    if size <= COPIED_SIZE:
        return take_bytes(message)
    owner = ffi.gc(_cast(CHARS, _body(message)), lambda _body: free(message), size)
    return memoryview(_buffer(owner, size)).toreadonly()


def take_view(message: Any) -> memoryview:
    """The content as a read-only view, of NNG's memory or of a copy."""
    return memoryview(take_content(message))
