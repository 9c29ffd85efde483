"""What travels between host and daemon, byte by byte.

Every frame starts with a fixed header of 12 bytes: `MPY1 | type u8 | flags u8 | reserved u16 | count u32`,
little endian. The dispatcher reads only this fixed part and the tables behind it; the bodies of tasks and
results pass through unread.

    TASK    n_codes u32, then (hash 16 bytes, length u64) a code, then (id u64, length u64, flags u8) a task,
            then the codes that this daemon does not know yet, then the tasks
    RESULT  (id u64, length u64, status u8, seconds f32) a result, then the bodies
    CHUNK   ids of the first element of the map and of the chunk u64, elements of the first page to skip u32,
            elements u32, hashes of function and constant arguments, n_codes u32, then (hash, length u64) a
            code, then the length u64 of each page, then the codes, then the pages (see pages.py)
    PIECE   id of the first element u64, seconds of all f64, then a page of their values
    CANCEL, RECALL, RETURNED   ids u64; with the flag RANGES pairs of first and end
    RELEASED   pairs of the number of a segment u64 and how often it is no longer used u64
    NEED    hashes of 16 bytes;  CODE  like the codes of a TASK
    UNSHARED   the daemon cannot read the host's memory
    LEAVE   code u8;  REFUSE  text
    CHALLENGE, HELLO, INIT   see handshake.py
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"MPY1"
_HEADER = struct.Struct("<4sBBHI")
_CODE = struct.Struct("<16sQ")
_TASK = struct.Struct("<QQB")
_RESULT = struct.Struct("<QQBf")
_COUNT = struct.Struct("<I")
_CHUNK = struct.Struct("<QQII16s16sI")
_PIECE = struct.Struct("<Qd")
HEADER_SIZE = _HEADER.size
# Parts of fewer bytes than this are joined: copying them costs less than handing on each.
JOINED_BYTES = 1 << 16

Buffer = bytes | bytearray | memoryview
Parts = list[Buffer]


class Kind(IntEnum):
    """The types of frames."""

    CHALLENGE = 1
    HELLO = 2
    INIT = 3
    REFUSE = 4
    TASK = 5
    RESULT = 6
    CANCEL = 7
    RECALL = 8
    RETURNED = 9
    LEAVE = 10
    LEAVE_OK = 11
    EXIT = 12
    ACK = 13
    NEED = 14
    CODE = 15
    CHUNK = 16
    PIECE = 17
    PING = 18
    RELEASED = 19
    UNSHARED = 20


class Status(IntEnum):
    """How a task ended at the daemon."""

    OK = 0
    ERROR = 1
    INTERRUPT = 2
    CANCELED = 3
    SHARED = 4  # it succeeded, and its value is in shared memory of the daemon


class TaskFlag(IntEnum):
    """What is special about a task."""

    NONE = 0
    EVERYWHERE = 1
    MAP = 2
    SHARED = 4  # its body refers to shared memory of the host


# Flag of frames of ids: they are pairs of the first and the one behind the last.
RANGES = 1
# Flag of frames of elements or values: some refer to shared memory.
SHARED = 1


class Result(NamedTuple):
    """One finished task."""

    id: int
    status: int
    seconds: float
    body: Parts

    @property
    def size(self) -> int:
        """Length of the body in bytes."""
        return sum(map(len, self.body))


class FrameError(ValueError):
    """Bytes that are no frame of this protocol."""


def head(kind: Kind, flags: int = 0, count: int = 0) -> bytes:
    """The header of a frame."""
    return _HEADER.pack(MAGIC, kind, flags, 0, count)


def parse_head(frame: Buffer) -> tuple[int, int, int]:
    """Kind, flags and count of a frame.

    Raises:
        FrameError: it is too short or of another protocol.
    """
    if len(frame) < HEADER_SIZE:
        raise FrameError(f"a frame has at least {HEADER_SIZE} bytes, this has {len(frame)}")
    magic, kind, flags, _, count = _HEADER.unpack_from(frame)
    if magic != MAGIC:
        raise FrameError(f"a frame starts with {MAGIC!r}, this with {bytes(magic)!r}")
    return kind, flags, count


def tasks(entries: Sequence[tuple[int, int, Parts]], codes: Sequence[tuple[bytes, bytes]]) -> Parts:
    """A TASK frame of `(id, flags, body)` entries and `(hash, code)` pairs, as parts to send."""
    table = [head(Kind.TASK, 0, len(entries)), _COUNT.pack(len(codes))]
    table += [_CODE.pack(key, len(code)) for key, code in codes]
    pack = _TASK.pack
    if len(entries) == 1:
        ((task, flags, body),) = entries
        table.append(pack(task, sum(map(len, body)), flags))
        table += [code for _, code in codes]
        return [b"".join(table), *body]
    bodies: Parts = []
    for task, flags, body in entries:
        table.append(pack(task, sum(map(len, body)), flags))
        bodies += body
    table += [code for _, code in codes]
    return [b"".join([*table, *bodies])]


def parse_tasks(
    frame: memoryview, count: int
) -> tuple[list[tuple[bytes, bytes]], list[tuple[int, int, memoryview]]]:
    """Codes and `(id, flags, body)` entries of a TASK frame."""
    (n_codes,) = _COUNT.unpack_from(frame, HEADER_SIZE)
    codes, at = _code_table(frame, HEADER_SIZE + _COUNT.size, n_codes)
    end = at + count * _TASK.size
    rows = list(_TASK.iter_unpack(frame[at:end]))
    bodies, at = _code_bodies(frame, end, codes)
    entries = []
    for task, length, flags in rows:
        entries.append((task, flags, frame[at : at + length]))
        at += length
    return bodies, entries


def results(done: Sequence[Result], flags: int = 0) -> Parts:
    """A RESULT frame; large bodies stay parts of their own, so that they are copied once."""
    table = [head(Kind.RESULT, flags, len(done))]
    bodies: Parts = []
    size = 0
    for result in done:
        length = result.size
        table.append(_RESULT.pack(result.id, length, result.status, result.seconds))
        bodies += result.body
        size += length
    if size >= JOINED_BYTES:
        return [b"".join(table), *bodies]
    return [b"".join([*table, *bodies])]


def parse_results(frame: memoryview, count: int) -> list[tuple[int, int, float, memoryview]]:
    """`(id, status, seconds, body)` of each result in a frame.

    Raises:
        FrameError: its length is not what its table says.
    """
    at = HEADER_SIZE + count * _RESULT.size
    if at > len(frame):
        raise FrameError(f"{count} results do not fit {len(frame)} bytes")
    found = []
    for task, length, status, seconds in _RESULT.iter_unpack(frame[HEADER_SIZE:at]):
        found.append((task, status, seconds, frame[at : at + length]))
        at += length
    if at != len(frame):
        raise FrameError(f"results of {at} bytes came in a frame of {len(frame)}")
    return found


class Chunk(NamedTuple):
    """Elements of a map, as they travel.

    Attributes:
        base: id of the first element of the map.
        first: id of the first that is meant; the others follow.
        skip: elements of the first page that are not meant.
        number: how many elements are meant.
        keys: hashes of the function and of the constant arguments.
        codes: codes that the daemon does not know yet.
        pages: the elements, packed.
        flags: SHARED or nothing.
    """

    base: int
    first: int
    skip: int
    number: int
    keys: tuple[bytes, bytes]
    codes: Sequence[tuple[bytes, bytes]]
    pages: Sequence[Buffer]
    flags: int = 0


def chunk(it: Chunk) -> Parts:
    """A CHUNK frame, as parts to send."""
    table = [
        head(Kind.CHUNK, it.flags, len(it.pages)),
        _CHUNK.pack(it.base, it.first, it.skip, it.number, *it.keys, len(it.codes)),
        *(_CODE.pack(key, len(code)) for key, code in it.codes),
        struct.pack(f"<{len(it.pages)}Q", *map(len, it.pages)),
        *(code for _, code in it.codes),
    ]
    if sum(map(len, it.pages)) >= JOINED_BYTES:
        return [b"".join(table), *it.pages]
    return [b"".join([*table, *it.pages])]


def parse_chunk(frame: memoryview, count: int, flags: int = 0) -> Chunk:
    """The parts of a CHUNK frame."""
    base, first, skip, number, function, constants, n_codes = _CHUNK.unpack_from(frame, HEADER_SIZE)
    table, at = _code_table(frame, HEADER_SIZE + _CHUNK.size, n_codes)
    lengths = struct.unpack_from(f"<{count}Q", frame, at)
    codes, at = _code_bodies(frame, at + 8 * count, table)
    pages = []
    for length in lengths:
        pages.append(frame[at : at + length])
        at += length
    return Chunk(base, first, skip, number, (function, constants), codes, pages, flags)


def piece(first: int, count: int, seconds: float, page: Parts, flags: int = 0) -> Parts:
    """A PIECE frame: values of elements that follow each other."""
    table = head(Kind.PIECE, flags, count) + _PIECE.pack(first, seconds)
    if sum(map(len, page)) >= JOINED_BYTES:
        return [table, *page]
    return [b"".join([table, *page])]


def parse_piece(frame: memoryview) -> tuple[int, float, memoryview]:
    """Id of the first element, seconds of all, and the page of values of a PIECE frame."""
    first, seconds = _PIECE.unpack_from(frame, HEADER_SIZE)
    return first, seconds, frame[HEADER_SIZE + _PIECE.size :]


def ranges(kind: Kind, spans: Sequence[tuple[int, int]]) -> Parts:
    """A frame that carries ranges of ids."""
    numbers = [number for span in spans for number in span]
    return [head(kind, RANGES, len(spans)) + struct.pack(f"<{len(numbers)}Q", *numbers)]


def parse_ranges(frame: Buffer, count: int) -> list[tuple[int, int]]:
    """The ranges of ids of a frame."""
    numbers = struct.unpack_from(f"<{2 * count}Q", frame, HEADER_SIZE)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def ids(kind: Kind, numbers: Sequence[int]) -> Parts:
    """A frame that carries task ids."""
    return [head(kind, 0, len(numbers)) + struct.pack(f"<{len(numbers)}Q", *numbers)]


def parse_ids(frame: Buffer, count: int) -> tuple[int, ...]:
    """The task ids of a frame."""
    return struct.unpack_from(f"<{count}Q", frame, HEADER_SIZE)


def need(keys: Sequence[bytes]) -> Parts:
    """Ask for codes by hash."""
    return [head(Kind.NEED, 0, len(keys)) + b"".join(keys)]


def parse_need(frame: Buffer, count: int) -> list[bytes]:
    """The hashes that are asked for."""
    return [bytes(frame[HEADER_SIZE + 16 * i : HEADER_SIZE + 16 * (i + 1)]) for i in range(count)]


def codes(pairs: Sequence[tuple[bytes, bytes]]) -> Parts:
    """Deliver codes that were asked for."""
    table = [head(Kind.CODE, 0, len(pairs)), *(_CODE.pack(key, len(code)) for key, code in pairs)]
    return [b"".join([*table, *(code for _, code in pairs)])]


def parse_codes(frame: memoryview, count: int) -> list[tuple[bytes, bytes]]:
    """The codes of a CODE frame."""
    table, at = _code_table(frame, HEADER_SIZE, count)
    return _code_bodies(frame, at, table)[0]


def text(kind: Kind, message: str, flags: int = 0) -> Parts:
    """A frame that carries text."""
    return [head(kind, flags) + message.encode()]


def _code_table(frame: memoryview, at: int, count: int) -> tuple[list[tuple[bytes, int]], int]:
    end = at + count * _CODE.size
    return list(_CODE.iter_unpack(frame[at:end])), end


def _code_bodies(
    frame: memoryview, at: int, table: list[tuple[bytes, int]]
) -> tuple[list[tuple[bytes, bytes]], int]:
    bodies = []
    for key, length in table:
        bodies.append((key, bytes(frame[at : at + length])))
        at += length
    return bodies, at
