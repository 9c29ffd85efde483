"""A pickle and its large buffers as one body, in one of three forms.

Plain: the pickle (its first byte is 0x80). In band, where buffers were offered beside the pickle:
`0x93 | n u32 | length of the pickle u64 | n lengths u64`, then the pickle and the buffers, each at a multiple
of 16 bytes. Shared, where a MiB and more of it is in shared memory: `0x94 | n places u32 | n segments u32`,
then (pid u32, handle u32, id u64, size u64) a segment, then (segment u32, offset u64, length u64) a place, of
which the first is the pickle's, then what is in no segment (segment 0xffffffff).
"""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from mirai_py import shm
from mirai_py.shm import Lease, Place, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mirai_py.frames import Buffer, Parts
    from mirai_py.shm import Told

IN_BAND = 0x93
SHARED = 0x94
_LAYOUT = struct.Struct("<BxxxIQ")
_HEAD = struct.Struct("<BxxxII")
_SEGMENT = struct.Struct("<IIQQ")
_PLACE = struct.Struct("<IxxxxQQ")
_NO_SEGMENT = 0xFFFFFFFF
_ALIGN = 16
_ALIGN_SHARED = 64
# Below this a buffer is cheaper inside the pickle than as a part of its own.
OUT_OF_BAND = 1 << 15
# From this on shared memory is cheaper than the socket.
SHARED_BYTES = 1 << 20


class Reference(bytes):
    """A shared body, which holds on to the memory that it refers to.

    Attributes:
        holders: segments of this process, or leases of others'.
        weight: bytes that are in shared memory for it alone.
    """

    holders: tuple[Segment | Lease, ...]
    weight: int

    @classmethod
    def of(cls, data: Iterable[bytes], holders: Iterable[Segment | Lease], weight: int = 0) -> Reference:
        """Join bytes that refer to what these hold."""
        made = cls(b"".join(data))
        made.holders = tuple(holders)
        made.weight = weight
        return made

    def behind(self, head: bytes) -> Reference:
        """The same with something before it."""
        return Reference.of([head, self], self.holders, self.weight)


class Offered:
    """Takes the buffers that a pickler offers to leave out of the pickle, if they are worth it."""

    def __init__(self) -> None:
        self.taken: list[pickle.PickleBuffer] = []

    def __call__(self, buffer: pickle.PickleBuffer) -> bool:
        """Whether the buffer is to stay inside."""
        with buffer.raw() as raw:
            inside = raw.nbytes < OUT_OF_BAND
        if not inside:
            self.taken.append(buffer)
        return inside


def body_of(stream: bytes, offered: Offered, *, share: bool, least: int = SHARED_BYTES) -> Parts:
    """Make a body.

    Args:
        stream: the pickle.
        offered: the buffers that were left out of it.
        share: use shared memory, where it is to be had.
        least: how many bytes it takes to do so.
    """
    raws = [buffer.raw() for buffer in offered.taken]
    if share and shm.kind is not None and (raws or len(stream) >= least):
        try:
            shared = _shared(stream, raws, least)
        except OSError as error:
            shm.warn_of_shortage(error)
        else:
            if shared is not None:
                return [shared]
    return _in_band(stream, raws)


def _in_band(stream: Buffer, buffers: Sequence[Buffer]) -> Parts:
    """The buffers are copied: a body may wait, and what it was made of change meanwhile."""
    if not buffers:
        return [stream]
    lengths = [len(buffer) for buffer in buffers]
    head = _LAYOUT.pack(IN_BAND, len(buffers), len(stream)) + struct.pack(f"<{len(lengths)}Q", *lengths)
    parts: Parts = [head + bytes(-len(head) % _ALIGN), stream, bytes(-len(stream) % _ALIGN)]
    for buffer in buffers:
        parts += [buffer if isinstance(buffer, bytearray) else bytes(buffer), bytes(-len(buffer) % _ALIGN)]
    return [part for part in parts if len(part)]


class _Piece(NamedTuple):
    """A part of a value, and where in shared memory it is, if it is."""

    data: Buffer
    segment: Segment | None = None
    at: int = 0


def _shared(stream: bytes, raws: Sequence[memoryview], least: int) -> Reference | None:
    """The value in shared memory; None if there is too little of it."""
    found = shm.find_shared(raws)
    if any(found):
        stream = _writable(stream, [it is not None for it in found])
    pieces = [_Piece(stream)]
    pieces += [_Piece(raw) if it is None else _Piece(raw, *it) for raw, it in zip(raws, found, strict=True)]
    mine = [i for i, piece in enumerate(pieces) if piece.segment is None and (i or len(stream) >= least)]
    weight = sum(len(pieces[i].data) for i in mine)
    if weight >= least:
        sizes = [len(pieces[i].data) for i in mine]
        weight = sum(size + -size % _ALIGN_SHARED for size in sizes)
        segment = shm.pool.take(weight)
        at = 0
        for i, size in zip(mine, sizes, strict=True):
            segment.write(at, pieces[i].data)
            pieces[i] = _Piece(pieces[i].data, segment, at)
            at += size + -size % _ALIGN_SHARED
    elif not any(found):
        return None
    else:
        weight = 0
    return _reference(pieces, weight)


def _writable(stream: bytes, which: Sequence[bool]) -> bytes:
    """The pickle, without the marks that say which of its buffers are read-only, for these buffers.

    What `share` gave is read-only here, but each task may write to it as it pleases.
    """
    import pickletools

    made = bytearray(stream)
    frame: tuple[int, int] | None = None
    number = -1
    dropped = 0
    for opcode, argument, position in pickletools.genops(stream):
        assert position is not None
        if opcode.name == "FRAME":
            assert isinstance(argument, int)
            frame = (position - dropped + 1, argument)
        elif opcode.name == "NEXT_BUFFER":
            number += 1
        elif opcode.name == "READONLY_BUFFER" and which[number]:
            del made[position - dropped]
            dropped += 1
            if frame is not None:
                frame = (frame[0], frame[1] - 1)
                struct.pack_into("<Q", made, *frame)
    return bytes(made)


def _reference(pieces: Sequence[_Piece], weight: int) -> Reference:
    segments = list(
        {piece.segment.id: piece.segment for piece in pieces if piece.segment is not None}.values()
    )
    numbers = {segment.id: number for number, segment in enumerate(segments)}
    head = [_HEAD.pack(SHARED, len(pieces), len(segments))]
    head += [_SEGMENT.pack(*segment.place) for segment in segments]
    rest = []
    at = 0
    for data, segment, offset in pieces:
        if segment is None:
            head.append(_PLACE.pack(_NO_SEGMENT, at, len(data)))
            rest.append(bytes(data))
            at += len(data)
        else:
            head.append(_PLACE.pack(numbers[segment.id], offset, len(data)))
    return Reference.of([*head, *rest], segments, weight)


def is_shared(body: Buffer) -> bool:
    """Whether a body refers to shared memory."""
    return len(body) > 0 and body[0] == SHARED


def places_of(body: Buffer) -> list[Place]:
    """The segments that a shared body refers to."""
    view = memoryview(body)
    _, _, number = _HEAD.unpack_from(view)
    end = _HEAD.size + number * _SEGMENT.size
    return [Place(*row) for row in _SEGMENT.iter_unpack(view[_HEAD.size : end])]


def leased(body: Buffer, told: Told, *, head: int = 0, prepare: bool = False) -> Reference:
    """A shared body of another process, holding leases of what it refers to.

    Args:
        body: the body.
        told: see `shm.lease`.
        head: number of bytes that come before it.
        prepare: map the memory now.

    Raises:
        OSError: the memory is gone.
    """
    places = places_of(memoryview(body)[head:])
    leases = [shm.lease(place, told) for place in places]
    if prepare:
        for each in leases:
            each.prepare()
    return Reference.of([bytes(body)], leases, sum(place.size for place in places))


def _opened(body: Buffer, memory: Callable[[Place], Any]) -> list[tuple[Any, int, int]]:
    """(where, offset, length) of the pickle and each buffer of a shared body."""
    view = memoryview(body)
    _, number, _ = _HEAD.unpack_from(view)
    places = places_of(view)
    at = _HEAD.size + len(places) * _SEGMENT.size
    end = at + number * _PLACE.size
    where = [memory(place) for place in places]
    rest = view[end:]
    return [
        (rest if segment == _NO_SEGMENT else where[segment], offset, length)
        for segment, offset, length in _PLACE.iter_unpack(view[at:end])
    ]


def loads(body: Buffer) -> Any:
    """Rebuild a value. Its arrays are writable and its own.

    Raises:
        OSError: the shared memory that it is in is gone.
        Exception: whatever the value raises when it cannot be rebuilt.
    """
    if not len(body) or body[0] not in (IN_BAND, SHARED):
        return pickle.loads(body)
    if body[0] == SHARED:
        stream, *buffers = [view[at : at + n] for view, at, n in _opened(body, shm.memory_at)]
        return pickle.loads(stream, buffers=[bytearray(b) if b.readonly else b for b in buffers])
    view = memoryview(body)
    _, count, length = _LAYOUT.unpack_from(view)
    lengths = struct.unpack_from(f"<{count}Q", view, _LAYOUT.size)
    at = _aligned(_LAYOUT.size + 8 * count)
    stream = view[at : at + length]
    at = _aligned(at + length)
    copies = []
    for size in lengths:
        copies.append(bytearray(view[at : at + size]))
        at = _aligned(at + size)
    return pickle.loads(stream, buffers=copies)


def _aligned(at: int) -> int:
    return at + (-at % _ALIGN)


def inlined(body: Buffer) -> Parts:
    """A shared body of this process for one that cannot read its memory."""
    stream, *buffers = [
        where.read(at, length) if isinstance(where, Segment) else bytearray(where[at : at + length])
        for where, at, length in _opened(body, shm.segment_of)
    ]
    return _in_band(stream, buffers)


def share_view(body: Reference) -> Any:
    """The value of a shared body of this process, its buffers read-only and in the segment itself."""
    holders = [holder for holder in body.holders if isinstance(holder, Segment)]
    views = {segment.id: shm.view_shared(segment) for segment in holders}
    stream, *buffers = [view[at : at + n] for view, at, n in _opened(body, lambda place: views[place.id])]
    return pickle.loads(stream, buffers=buffers)
