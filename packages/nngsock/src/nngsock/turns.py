"""Whose turn it is on a byte stream, and what NNG does for whoever that is.

What the user waits for, a `Turn`, and what NNG works on, a read or a write, are two things here. NNG may
write a part only of what it is given, so one write is under way at a time and goes on from its callback;
else the parts of two would mix. And over TLS, NNG cuts the connection when a read or write is cancelled,
forgets whatever is asked of a connection that is cut, and cannot cancel at all before the two sides know
each other. So what NNG works on is never cancelled, and after a failure nothing more is asked of it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nngsock._native import ffi, lib, new
from nngsock.errors import ECANCELED, ECLOSED, ECONNREFUSED, ECONNSHUT, ETIMEDOUT, check
from nngsock.message import CHARS, MESSAGE_P, free
from nngsock.operation import Operation
from nngsock.streamoperation import StreamOperation, Timer

if TYPE_CHECKING:
    from nngsock.gate import Gate

__all__ = ("Health", "Receives", "Sends", "Turn")

_body = lib.nng_msg_body
_count_of = lib.nng_aio_count
_result_of = lib.nng_aio_result
_size_of = lib.nng_msg_len
_stream_recv = lib.nng_stream_recv
_stream_send = lib.nng_stream_send


class _Read(StreamOperation):
    """NNG reads what is there."""

    __slots__ = ("_into", "_receives")

    def __init__(self, receives: Receives, size: int) -> None:
        super().__init__(receives.gate)
        out = new(MESSAGE_P)
        check(lib.nng_msg_alloc(out, size))
        self._into = out[0]
        self._receives = receives
        self.point_to(_body(self._into), size)

    def __call__(self) -> None:
        result = _result_of(self.aio)
        if not result:
            lib.nng_msg_chop(self._into, _size_of(self._into) - _count_of(self.aio))
        self.end(result)

    def end(self, result: int) -> None:
        message, self._into = self._into, None
        if result == ECONNREFUSED:  # what TLS says of a peer that is gone
            result = ECONNSHUT
        super().end(result)
        if self.result:
            free(message)
            self._receives.fail(self.result)
        else:
            self._receives.hand_over(message)


class _Write(StreamOperation):
    """NNG writes all of a message."""

    __slots__ = ("_left", "_next", "_sends", "_source")

    def __init__(self, sends: Sends, message: Any) -> None:
        super().__init__(sends.gate)
        self._sends = sends
        self._source = message
        self._left = _size_of(message)
        self._next = ffi.cast(CHARS, _body(message)) if self._left else ffi.NULL

    def go_on(self) -> None:
        """Write what is left."""
        self.point_to(self._next, self._left)
        self.begin(_stream_send, self._sends.handle)

    def __call__(self) -> None:
        result, count = _result_of(self.aio), _count_of(self.aio)
        self._left -= count
        if result or not self._left:
            self.end(result)
        else:
            self._next += count
            self.go_on()

    def end(self, result: int) -> None:
        free(self._source)
        super().end(result)
        self._sends.ended(self.result or 0)


class Turn(Operation):
    """A user's send or receive: it waits for its turn, and may leave at any time."""

    __slots__ = ("_line",)

    def __init__(self, line: Receives | Sends, message: Any, *, sending: bool) -> None:
        super().__init__(line.gate, message, None, sending=sending)
        self._line = line

    def limit(self, milliseconds: int) -> None:
        """Give it this time, from now."""
        if milliseconds >= 0 and self.result is None:
            timer = Timer(self.gate, milliseconds, partial(self.give_up, ETIMEDOUT))
            if not self.when_done(timer.abort):
                timer.abort()

    def abort(self) -> None:
        """End it; nothing is asked of NNG."""
        self.give_up(ECANCELED)

    def give_up(self, result: int) -> None:
        """End it with this result, unless it has another already."""
        if self._line.withdraw(self):
            self.resolve(result)


@dataclass(slots=True)
class Health:
    """What has gone wrong with a connection.

    Attributes:
        encrypted: Whether what goes wrong one way is the end of the other way, too.
        reading: The error that ended receives; 0 for none.
        writing: The error that ended sends; 0 for none.
    """

    encrypted: bool
    reading: int = 0
    writing: int = 0

    def read_failed(self, result: int) -> None:
        """Take note of an error of a receive."""
        self.reading = self.reading or result
        if self.encrypted:
            self.writing = self.writing or result

    def write_failed(self, result: int) -> None:
        """Take note of an error of a send."""
        self.writing = self.writing or result
        if self.encrypted:
            self.reading = self.reading or result


class Receives:
    """The receives of one stream, first come first served."""

    def __init__(self, handle: Any, gate: Gate, buffer: int, health: Health) -> None:
        self.gate = gate
        self._handle = handle
        self._buffer = buffer
        self._health = health
        self._lock = threading.RLock()
        self._reading = False
        self._waiting: deque[Turn] = deque()
        self._kept: deque[Any] = deque()

    @property
    def busy(self) -> bool:
        """Whether NNG reads."""
        return self._reading

    def put(self, turn: Turn) -> None:
        """Give it what is there, or have it wait for what comes."""
        start = False
        with self._lock:
            failure = self._health.reading
            if self._kept:
                turn.message, failure = self._kept.popleft(), 0
            elif not failure:
                self._waiting.append(turn)
                start, self._reading = not self._reading, True
        if turn.message is not None or failure:
            turn.resolve(failure)
        elif start:
            self._read()

    def _read(self) -> None:
        _Read(self, self._buffer).begin(_stream_recv, self._handle)

    def withdraw(self, turn: Turn) -> bool:
        """Take out one that waits; False if it does not any more. What it waited for, the next will get."""
        with self._lock:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True

    def offer(self, message: Any) -> None:
        """Give this to who has waited longest, or keep it."""
        with self._lock:
            first = self._waiting.popleft() if self._waiting else None
            if first is None:
                self._kept.append(message)
        if first is not None:
            first.message = message
            first.resolve(0)

    def hand_over(self, message: Any) -> None:
        """Take what has been read, and read on if somebody waits for more."""
        self.offer(message)
        with self._lock:
            self._reading = bool(self._waiting)
        if self._reading:
            self._read()

    def fail(self, failure: int) -> None:
        """Tell all that nothing comes any more."""
        with self._lock:
            self._health.read_failed(failure)
            waiting = list(self._waiting)
            self._waiting.clear()
            self._reading = False
        for turn in waiting:
            turn.resolve(failure)

    def forget(self) -> None:
        """Free what nobody has received."""
        while self._kept:
            free(self._kept.popleft())


class Sends:
    """The sends of one stream, one after another."""

    def __init__(self, handle: Any, gate: Gate, health: Health) -> None:
        self.handle = handle
        self.gate = gate
        self._health = health
        self._lock = threading.RLock()
        self._active: Turn | None = None
        self._writing = False
        self._waiting: deque[Turn] = deque()

    @property
    def busy(self) -> bool:
        """Whether another send would have to wait."""
        return self._writing

    def put(self, turn: Turn) -> None:
        """Write it now, or have it wait for its turn."""
        with self._lock:
            self._waiting.append(turn)
        self._go_on()

    def withdraw(self, turn: Turn) -> bool:
        """Take out one that has not ended; False if it has. One half written is the end of the stream."""
        with self._lock:
            half_written = turn is self._active
            if half_written:
                self._active = None
                self._health.write_failed(ECLOSED)
            elif turn in self._waiting:
                self._waiting.remove(turn)
            else:
                return False
        if half_written:
            self._go_on()
        return True

    def ended(self, result: int) -> None:
        """Take note that the write under way has ended."""
        with self._lock:
            self._writing = False
            turn, self._active = self._active, None
            if result:
                self._health.write_failed(result)
        if turn is not None:
            turn.resolve(result)
        self._go_on()

    def _go_on(self) -> None:
        while True:
            with self._lock:
                failure = self._health.writing or (ECLOSED if self.gate.closed else 0)
                if not self._waiting or (self._writing and not failure):
                    return
                turn = self._waiting.popleft()
                if not failure:
                    self._active, self._writing = turn, True
                    message, turn.message = turn.message, None
            if not failure:
                _Write(self, message).go_on()
                return
            turn.resolve(failure)
