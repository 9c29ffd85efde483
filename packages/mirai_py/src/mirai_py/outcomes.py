"""What became of the elements of a map: those of a list of mirais, or those that travel many at a time.

Of a million elements the second keeps a byte and a pointer each. A value is unpickled when it is asked for, a
mirai made when it is indexed.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import nullcontext
from functools import partial
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, Any, Protocol

from mirai_py import pages
from mirai_py.errors import is_error_value
from mirai_py.handles import Mirai, read_outcome, reading, take_ids, wait
from mirai_py.waiting import stop_mirai
from nngsock import UNRESOLVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirai_py.frames import Buffer

    Row = tuple[int, Buffer]  # status and packed value
    Watch = Callable[[int, int], object]


class Source(Protocol):
    """What a `MiraiMap` is a view of."""

    def __len__(self) -> int: ...

    def mirai(self, index: int) -> Mirai:
        """The mirai of an element."""

    def resolved(self) -> int:
        """How many are resolved."""

    def wait(self) -> None:
        """Wait until all are."""

    def stop(self) -> list[bool]:
        """Stop all in one step; for each whether that resolved it."""

    def watch(self, call: Watch) -> Callable[[], None]:
        """Have `call(first, end)` made for what is and what will be resolved; returns how to end that."""

    def failure_in(self, first: int, end: int) -> int | None:
        """Position of the first failure among resolved elements."""

    def values(self) -> list[Any]:
        """All values; `UNRESOLVED` for what is to come."""


class Listed:
    """Mirais of tasks of their own."""

    def __init__(self, mirais: Sequence[Mirai]) -> None:
        self._mirais = mirais

    def __len__(self) -> int:
        return len(self._mirais)

    def mirai(self, index: int) -> Mirai:
        """The mirai of an element."""
        return self._mirais[index]

    def resolved(self) -> int:
        """How many are resolved."""
        return sum(m.done() for m in self._mirais)

    def wait(self) -> None:
        """Wait until all are."""
        for mirai in self._mirais:
            wait(mirai, None)

    def stop(self) -> list[bool]:
        """Stop all, last to first."""
        answers = stop_mirai(list(self._mirais))
        assert isinstance(answers, list)
        return answers

    def watch(self, call: Watch) -> Callable[[], None]:
        """Have `call(first, end)` made for what is and what will be resolved."""
        wakes = [partial(call, i, i + 1) for i in range(len(self._mirais))]
        for mirai, wake in zip(self._mirais, wakes, strict=True):
            mirai._on_wake(wake)

        def end() -> None:
            for mirai, wake in zip(self._mirais, wakes, strict=True):
                mirai._forget_wake(wake)

        return end

    def failure_in(self, first: int, end: int) -> int | None:
        """Position of the first failure among resolved elements."""
        return next((i for i in range(first, end) if is_error_value(self._mirais[i].data)), None)

    def values(self) -> list[Any]:
        """All values; `UNRESOLVED` for what is to come."""
        return [m.data for m in self._mirais]


class _Block:
    """Values that came together, not unpickled yet; it stands in the place of each of them."""

    __slots__ = ("body", "end", "first", "is_table", "rows")

    def __init__(self, first: int, end: int, body: Buffer, rows: Sequence[Row] | None) -> None:
        self.first = first
        self.end = end
        self.body = body
        self.is_table = pages.is_table(body)
        self.rows: list[Row | None] | None = None if rows is None else list(rows)

    def read(self, index: int) -> tuple[int, list[Any]]:
        """The value at a position, with those that come along: the position of the first, and them."""
        if not self.is_table:
            return self.first, pages.items_of(self.body)
        if self.rows is None:
            self.rows = list(pages.rows_of(self.body))
        row = self.rows[index - self.first]
        return index, [] if row is None else [read_outcome(*row)]

    def forget(self, first: int, end: int) -> None:
        """Let go of what has been read."""
        if self.rows is not None:
            for index in range(first, end):
                self.rows[index - self.first] = None


class _Element(Mirai):
    """The mirai of an element."""

    __slots__ = ("_index", "_outcomes")

    def __init__(self, outcomes: Outcomes, index: int) -> None:
        super().__init__(outcomes._stop_one)
        self._key = self.id = outcomes.first + index
        self._outcomes = outcomes
        self._index = index

    @property
    def data(self) -> Any:
        """The value, or `UNRESOLVED`."""
        return UNRESOLVED if self._outcome is None else self._outcomes.value(self._index)


class Outcomes:
    """The elements of a map that travel in chunks.

    The engine tells what becomes of them (`store`, `settle`), then, without its lock, that it did
    (`announce`).

    Args:
        number: of elements.
        stop: stops elements, given this object, the position of the first and the end.
    """

    def __init__(self, number: int, stop: Callable[[Outcomes, int, int], list[bool]]) -> None:
        self.first = take_ids(number)
        self.over = Mirai()
        self._stop = stop
        self._left = number
        self._states = bytearray(number)  # 1 where it is resolved
        self._values: list[Any] = [UNRESOLVED] * number
        self._made: dict[int, _Element] = {}
        self._watches: list[Watch] = []
        self._news: deque[tuple[int, int]] = deque()
        self._lock = threading.Lock()
        if not number:
            self.over._resolve_value(None)

    def __len__(self) -> int:
        return len(self._states)

    # -- for the engine

    def open_in(self, first: int, end: int) -> int:
        """How many of these are unresolved."""
        return self._states.count(0, first, end)

    def next_open(self, first: int, end: int) -> tuple[int, int]:
        """The first unresolved elements that follow each other; (end, end) if there are none."""
        begin = self._states.find(0, first, end)
        if begin < 0:
            return end, end
        until = self._states.find(1, begin, end)
        return begin, end if until < 0 else until

    def store(self, first: int, end: int, page: Buffer, rows: Sequence[Row] | None = None) -> int:
        """Keep values as they came, except of what is resolved; gives how many.

        Args:
            first: position of the first.
            end: the one behind the last.
            page: the values.
            rows: the same, where some of it is in shared memory.
        """
        block = _Block(first, end, page, rows)
        with self._lock:
            return self._put(first, end, block)

    def settle(self, first: int, end: int, value: Any) -> int:
        """Give what is unresolved among these a value; gives how many."""
        with self._lock:
            return self._put(first, end, value)

    def _put(self, first: int, end: int, value: Any) -> int:
        number = 0
        begin, until = self.next_open(first, end)
        while begin < until:
            length = until - begin
            self._values[begin:until] = [value] * length
            self._states[begin:until] = b"\x01" * length
            self._news.append((begin, until))
            number += length
            begin, until = self.next_open(until, end)
        self._left -= number
        if not self._left:
            self.over._store_value(None)
        return number

    def announce(self) -> None:
        """Wake who waits for what was resolved."""
        with self._lock:
            news, watches = list(self._news), list(self._watches)
            self._news.clear()
            made = [m for span in news for m in self._made_in(*span)] if self._made else []
            for mirai in made:
                mirai._store_value(None)
        for mirai in made:
            mirai._wake()
        for watch in watches:
            for span in news:
                watch(*span)
        if self.over.done():
            self.over._wake()

    def _made_in(self, first: int, end: int) -> list[_Element]:
        if end - first > len(self._made):
            return [m for i, m in self._made.items() if first <= i < end]
        return [m for i in range(first, end) if (m := self._made.get(i)) is not None]

    # -- for the map

    def mirai(self, index: int) -> Mirai:
        """The mirai of an element, made now if it has not been."""
        with self._lock:
            found = self._made.get(index)
            if found is None:
                found = self._made[index] = _Element(self, index)
                if self._states[index]:
                    found._store_value(None)
        return found

    def resolved(self) -> int:
        """How many are resolved."""
        return len(self) - self._left

    def wait(self) -> None:
        """Wait until all are."""
        wait(self.over, None)

    def stop(self) -> list[bool]:
        """Stop all in one step; for each whether that resolved it."""
        return self._stop(self, 0, len(self))

    def _stop_one(self, mirai: Mirai) -> bool:
        index = mirai._key - self.first
        return self._stop(self, index, index + 1)[0]

    def open_flags(self, first: int, end: int) -> list[bool]:
        """For each of these whether it is unresolved."""
        return [not state for state in self._states[first:end]]

    def watch(self, call: Watch) -> Callable[[], None]:
        """Have `call(first, end)` made for what is and what will be resolved; returns how to end that."""
        with self._lock:
            states = bytearray(self._states)
            for first, end in self._news:  # it will be told of these when they are announced
                states[first:end] = bytes(end - first)
            self._watches.append(call)
        for span in _spans(states):
            call(*span)
        return partial(self._watches.remove, call)

    def value(self, index: int) -> Any:
        """The value of an element, the same object each time; `UNRESOLVED` if it is to come."""
        value = self._values[index]
        if type(value) is not _Block:
            return value
        # What is in shared memory can be taken from there once.
        with reading if value.is_table else nullcontext():
            if self._values[index] is value:
                self._unfold(value, *value.read(index))
        return self._values[index]

    def _unfold(self, block: _Block, first: int, found: list[Any]) -> None:
        """Put values where the block still stands for them: another thread may have been faster."""
        end = first + len(found)
        places = self._values
        with self._lock:
            if all(map(is_, places[first:end], repeat(block))):
                places[first:end] = found
            else:
                for i, value in enumerate(found, first):
                    if places[i] is block:
                        places[i] = value
            if block.is_table:
                block.forget(first, end)

    def failure_in(self, first: int, end: int) -> int | None:
        """Position of the first failure among resolved elements."""
        index = first
        while index < end:
            held = self._values[index]
            if type(held) is _Block and not held.is_table:
                index = held.end  # plain values are no failures
                continue
            if is_error_value(self.value(index)):
                return index
            index += 1
        return None

    def values(self) -> list[Any]:
        """All values; `UNRESOLVED` for what is to come."""
        index = 0
        while index < len(self):
            held = self._values[index]
            if type(held) is not _Block:
                index += 1
            elif held.is_table:
                self.value(index)
                index += 1
            else:
                self._unfold(held, *held.read(index))
                index = held.end
        return list(self._values)


def _spans(states: bytearray) -> Iterator[tuple[int, int]]:
    begin = states.find(1)
    while begin >= 0:
        end = states.find(0, begin)
        yield begin, len(states) if end < 0 else end
        begin = -1 if end < 0 else states.find(1, end)
