"""What a local daemon has begun and finished, in memory that it shares with its host and that outlives it.

Results of short tasks wait a little to travel together. Should the daemon die meanwhile, its host finds here
which task it had begun last, and the results that were still to be sent: only what was running is lost.

Layout: `started u64 | used u64`, then `used` bytes of `id u64, length u64, status u8, seconds f32, body`. The
status PIECE means elements of a map: the body is their number u32, and a page of their values.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableSequence

    from mirai_py.frames import Result

SIZE = 1 << 18
_ROW = struct.Struct("<QQBf")
_HEAD = 16
_STARTED, _USED = 0, 1
_PIECE = 255
_COUNT = struct.Struct("<I")


class Record:
    """That memory, for either side.

    Args:
        descriptor: of the memory, from `shared_memory`; it may be closed afterwards.
    """

    __slots__ = ("_memory", "_numbers")

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, SIZE)
        # A store through it is one instruction: whoever dies, no number is half written.
        self._numbers = memoryview(self._memory)[:_HEAD].cast("Q")

    @property
    def cell(self) -> MutableSequence[int]:
        """The memory whose first item is the id of the task that was begun last."""
        return self._numbers  # type: ignore[return-value]  # it has all that is used of it

    def begin(self, task: int) -> None:
        """Note that a task is begun."""
        self._numbers[_STARTED] = task

    def keep(self, result: Result) -> bool:
        """Note a result that is not sent yet; False if there is no room for it."""
        return self._keep(result.id, result.status, result.seconds, b"".join(result.body))

    def keep_piece(self, first: int, count: int, page: bytes) -> bool:
        """Note values of a map that are not sent yet; False if there is no room for them."""
        return self._keep(first, _PIECE, 0.0, _COUNT.pack(count) + page)

    def _keep(self, task: int, status: int, seconds: float, body: bytes) -> bool:
        used = self._numbers[_USED]
        start = _HEAD + used
        end = start + _ROW.size + len(body)
        if end > SIZE:
            return False
        row = _ROW.pack(task, len(body), status, seconds)
        self._memory[start:end] = row + body
        self._numbers[_USED] = used + len(row) + len(body)
        return True

    def clear(self) -> None:
        """Forget the results: they are sent."""
        self._numbers[_USED] = 0

    def started(self) -> int:
        """Id of the task that was begun last, 0 if none."""
        number: int = self._numbers[_STARTED]
        return number

    def finished(self) -> dict[int, tuple[int, bytes]]:
        """Status and body of the results that were kept, by task."""
        return {task: (status, body) for task, status, body in self._rows() if status != _PIECE}

    def pieces(self) -> list[tuple[int, int, bytes]]:
        """Id of the first element, number and page of the values of maps that were kept."""
        kept = [(task, body) for task, status, body in self._rows() if status == _PIECE]
        return [(task, _COUNT.unpack_from(body)[0], body[_COUNT.size :]) for task, body in kept]

    def _rows(self) -> Iterator[tuple[int, int, bytes]]:
        at, end = _HEAD, min(SIZE, _HEAD + self._numbers[_USED])
        while at + _ROW.size <= end:
            task, length, status, _ = _ROW.unpack_from(self._memory, at)
            at += _ROW.size
            yield task, status, self._memory[at : at + length]
            at += length

    def close(self) -> None:
        """Give the memory back."""
        self._numbers.release()
        self._memory.close()


@contextlib.contextmanager
def shared_memory() -> Iterator[int]:
    """A descriptor of memory for a `Record`; gone with its last user."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("mirai_py-record")
    else:
        descriptor, name = tempfile.mkstemp(prefix="mirai_py-")
        os.unlink(name)  # noqa: PTH108 - beside the descriptor
    try:
        os.truncate(descriptor, SIZE)
        yield descriptor
    finally:
        os.close(descriptor)
