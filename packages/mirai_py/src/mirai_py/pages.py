"""Elements of a map, and their values, many to a page.

A page is either a plain pickle of the list of its items (its first byte is 0x80), which is what numbers, text
and tuples of them cost least as; or a table: `T`, three bytes of nothing, n u32, then (length u64, status u8)
an item, then what each was packed to by itself, so that items share no object and one that cannot be read
spoils no other.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING, Any

from mirai_py.bodies import Reference, inlined
from mirai_py.frames import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mirai_py.frames import Buffer, Parts
    from mirai_py.shm import Lease, Segment

PAGE_ITEMS = 256
PAGE_BYTES = 1 << 15
_TABLE = struct.Struct("<cxxxI")
_ROW = struct.Struct("<QB")
_MARK = b"T"
# Exact types whose values cannot change and run no code of the user when they are pickled or read.
PLAIN = frozenset({int, float, str, bytes, bool, type(None)})
_SIZED = frozenset({str, bytes})
_NUMBERS = PLAIN - _SIZED

Row = tuple[int, "Parts"]  # status, and the packed item


def is_plain(item: Any) -> bool:
    """Whether an item may be kept and pickled later, together with others."""
    kind = type(item)
    return kind in PLAIN or (kind is tuple and PLAIN.issuperset(map(type, item)))


def are_plain(items: Sequence[Any]) -> bool:
    """Whether all are, as quickly as that can be found out."""
    kinds = set(map(type, items))
    if tuple not in kinds:
        return PLAIN.issuperset(kinds)
    kinds.discard(tuple)
    tuples = (item for item in items if type(item) is tuple)
    return PLAIN.issuperset(kinds) and PLAIN.issuperset(map(type, chain.from_iterable(tuples)))


@dataclass(frozen=True, slots=True)
class Page:
    """Some elements, packed.

    Attributes:
        holders: the shared memory that they refer to.
        weight: bytes of it that are theirs alone.
    """

    body: bytes
    count: int
    holders: tuple[Segment | Lease, ...] = ()
    weight: int = 0

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.body) + self.weight

    def inlined(self) -> bytes:
        """Its bytes for a daemon that cannot read the memory of this process."""
        if not self.holders:
            return self.body
        return b"".join(table([(status, inlined(body)) for status, body in rows_of(self.body)]))


def packed(items: Iterable[Any], dump: Callable[[int, Any], Parts]) -> Iterator[Page]:
    """Pack items to pages.

    Args:
        items: what to pack; taken from as the pages are.
        dump: packs one item, given its position and itself, where it is not plain.
    """
    stream = iter(items)
    at = 0
    while some := list(islice(stream, PAGE_ITEMS)):
        if _fit_a_list(some):
            yield Page(pickle.dumps(some, 5), len(some))
        else:
            yield from _tables((Status.OK, dump(at + i, item)) for i, item in enumerate(some))
        at += len(some)


def _fit_a_list(items: Sequence[Any]) -> bool:
    """Whether items are plain and not too many bytes for one page."""
    if _NUMBERS.issuperset(map(type, items)):
        return True
    if not are_plain(items):
        return False
    flat = chain.from_iterable(item if type(item) is tuple else (item,) for item in items)
    return sum(len(item) for item in flat if type(item) in _SIZED) <= PAGE_BYTES


def _tables(rows: Iterable[Row]) -> Iterator[Page]:
    """Tables of about PAGE_BYTES; one that is larger has one item, and so has one in shared memory."""
    taken: list[Row] = []
    size = 0
    for row in rows:
        if isinstance(row[1][0], Reference):
            reference = row[1][0]
            if taken:
                yield Page(b"".join(table(taken)), len(taken))
                taken, size = [], 0
            yield Page(b"".join(table([row])), 1, reference.holders, reference.weight)
            continue
        length = sum(map(len, row[1]))
        if taken and size + length > PAGE_BYTES:
            yield Page(b"".join(table(taken)), len(taken))
            taken, size = [], 0
        taken.append(row)
        size += length
    if taken:
        yield Page(b"".join(table(taken)), len(taken))


def table(rows: Sequence[Row]) -> Parts:
    """A page that is a table."""
    heads = [_TABLE.pack(_MARK, len(rows))]
    bodies: Parts = []
    for status, parts in rows:
        heads.append(_ROW.pack(sum(map(len, parts)), status))
        bodies += parts
    return [b"".join(heads), *bodies]


def is_table(page: Buffer) -> bool:
    """Whether a page is a table, not a plain list."""
    return page[0] == _MARK[0]


def rows_of(page: Buffer) -> list[tuple[int, memoryview]]:
    """Status and packed item of each row of a table."""
    view = memoryview(page)
    _, count = _TABLE.unpack_from(view)
    at = _TABLE.size + count * _ROW.size
    lengths, statuses = zip(*_ROW.iter_unpack(view[_TABLE.size : at]), strict=True)
    ends = accumulate(lengths, initial=at)
    return [(status, view[end : end + n]) for status, end, n in zip(statuses, ends, lengths, strict=False)]


def items_of(page: Buffer) -> list[Any]:
    """The items of a page; a memoryview for one that is packed by itself."""
    if is_table(page):
        return [body for _, body in rows_of(page)]
    found: list[Any] = pickle.loads(page)
    return found
