"""The channel of a byte stream: what sockets do with messages, done with the bytes of one connection.

What the user waits for, a `_Turn`, and what NNG works on, a read or a write, are two things here. NNG may
write a part only of what it is given, so one write is under way at a time and goes on from its callback;
else the parts of two would mix. And over TLS, NNG cuts the connection when a read or write is cancelled,
forgets whatever is asked of a connection that is cut, and cannot cancel at all before the two sides know
each other. So what NNG works on is never cancelled, and after a failure nothing more is asked of it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nngsock._native import ffi, lib, life, new
from nngsock.channel import Channel
from nngsock.completion import take_aio
from nngsock.errors import EAGAIN, ECANCELED, ECLOSED, ECONNREFUSED, ECONNSHUT, ETIMEDOUT, check
from nngsock.gate import Gate, too_late
from nngsock.message import CHARS, MESSAGE_P, build, free, from_bytes
from nngsock.modes import decode_typed, encode_raw
from nngsock.operation import Operation, begin
from nngsock.serial import PICKLE, Codec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("StreamChannel", "StreamOperation")

SOON: Final = 1  # milliseconds for what is there already
FOR_EVER: Final = -1
_IOV = ffi.typeof("nng_iov[1]")
_body = lib.nng_msg_body
_count_of = lib.nng_aio_count
_result_of = lib.nng_aio_result
_size_of = lib.nng_msg_len
_sleep = lib.nng_sleep_aio
_stream_recv = lib.nng_stream_recv
_stream_send = lib.nng_stream_send


class StreamOperation(Operation):
    """What NNG works on for a stream: it knows no message here, only memory and a count."""

    __slots__ = ()

    def __init__(
        self, gate: Gate, timeout: int = FOR_EVER, take: Callable[[], tuple[int, Any]] = take_aio
    ) -> None:
        super().__init__(gate, None, None, sending=False)
        self.key, self.aio = take()
        # A receive of a socket leaves its message in the aio, and NNG frees what it finds in that of a write
        # over ws:// or wss://.
        lib.nng_aio_set_msg(self.aio, ffi.NULL)
        lib.nng_aio_set_timeout(self.aio, timeout)

    def begin(self, start: Callable[[Any, Any], None], handle: Any) -> bool:
        """Start it; if that is not possible any more, end it and say False."""
        if begin(self.gate, start, handle, self.key, self.aio, self):
            return True
        self.end(too_late())
        return False

    def point_to(self, memory: Any, size: int) -> None:
        """Have NNG read from or write to this memory."""
        lib.nng_aio_set_iov(self.aio, 1, new(_IOV, [(memory, size)]))

    def end(self, result: int) -> None:
        """Have the result; nothing of NNG works on it any more."""
        if result == ECANCELED and self.gate.closed:
            result = ECLOSED
        self.resolve(result)
        with self.lock:
            self.users -= 1
            last = not self.users
        if last:
            self.retire()

    def wait_or_abort(self) -> BaseException | None:
        """Wait for its end, which an interruption brings about; the interruption is returned."""
        interruption = None
        while True:
            try:
                self.wait()
            except BaseException as error:
                interruption = interruption or error
                self.abort()
            else:
                return interruption


class _Read(StreamOperation):
    """NNG reads what is there."""

    __slots__ = ("_into", "_receives")

    def __init__(self, receives: _Receives, size: int) -> None:
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

    def __init__(self, sends: _Sends, message: Any) -> None:
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


# A sleep that was cut short leaves a mark in the aio, which has the next timeout pass for a success.
_idle_timers: list[tuple[int, Any]] = []


def _take_timer() -> tuple[int, Any]:
    try:
        return _idle_timers.pop()
    except IndexError:
        return take_aio()


class _Timer(StreamOperation):
    """Ends a turn when its time is over."""

    __slots__ = ("_turn",)

    def __init__(self, turn: _Turn, milliseconds: int) -> None:
        super().__init__(turn.gate, take=_take_timer)
        self._turn = turn
        self.begin(_sleep, milliseconds)

    def retire(self) -> None:
        _idle_timers.append((self.key, self.aio))

    def __call__(self) -> None:
        result = _result_of(self.aio)
        self.end(result)
        if not result:
            self._turn.give_up(ETIMEDOUT)


class _Turn(Operation):
    """A user's send or receive: it waits for its turn, and may leave at any time."""

    __slots__ = ("_line",)

    def __init__(self, line: _Receives | _Sends, message: Any, *, sending: bool) -> None:
        super().__init__(line.gate, message, None, sending=sending)
        self._line = line

    def limit(self, milliseconds: int) -> None:
        """Give it this time, from now."""
        if milliseconds >= 0 and self.result is None:
            timer = _Timer(self, milliseconds)
            if not self.when_done(timer.abort):
                timer.abort()

    def abort(self) -> None:
        self.give_up(ECANCELED)

    def give_up(self, result: int) -> None:
        """End it with this result, unless it has another already."""
        if self._line.withdraw(self):
            self.resolve(result)


@dataclass(slots=True)
class _Health:
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
        self.reading = self.reading or result
        if self.encrypted:
            self.writing = self.writing or result

    def write_failed(self, result: int) -> None:
        self.writing = self.writing or result
        if self.encrypted:
            self.reading = self.reading or result


class _Receives:
    """The receives of one stream, first come first served."""

    def __init__(self, handle: Any, gate: Gate, buffer: int, health: _Health) -> None:
        self.gate = gate
        self._handle = handle
        self._buffer = buffer
        self._health = health
        self._lock = threading.RLock()
        self._reading = False
        self._waiting: deque[_Turn] = deque()
        self._kept: deque[Any] = deque()

    def put(self, turn: _Turn) -> None:
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

    def withdraw(self, turn: _Turn) -> bool:
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


class _Sends:
    """The sends of one stream, one after another."""

    def __init__(self, handle: Any, gate: Gate, health: _Health) -> None:
        self.handle = handle
        self.gate = gate
        self._health = health
        self._lock = threading.RLock()
        self._active: _Turn | None = None
        self._writing = False
        self._waiting: deque[_Turn] = deque()

    @property
    def busy(self) -> bool:
        """Whether another send would have to wait."""
        return self._writing

    def put(self, turn: _Turn) -> None:
        """Write it now, or have it wait for its turn."""
        with self._lock:
            self._waiting.append(turn)
        self._go_on()

    def withdraw(self, turn: _Turn) -> bool:
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


class _Vectors:
    """What stands in for a serializer on streams, whose peers know nothing of such: strings."""

    dumps = staticmethod(encode_raw)

    @staticmethod
    def loads(data: bytes) -> Any:
        return decode_typed("character", data)


_CODEC: Final = Codec("raw", PICKLE.dumps, _Vectors())


class StreamChannel(Channel):
    """What sending and receiving need to know of a stream.

    Args:
        handle: NNG's stream.
        gate: The stream's gate.
        buffer: How many bytes one receive gives at most.
        frames: Whether it keeps what is sent apart, so that nothing is something.
        textframes: Whether strings go without the NUL that ends them elsewhere.
        encrypted: Whether it is TLS without frames.
    """

    __slots__ = ("_frames", "_receives", "_sends", "_textframes")

    waits = True

    def __init__(
        self, handle: Any, gate: Gate, buffer: int, *, frames: bool, textframes: bool, encrypted: bool
    ) -> None:
        super().__init__(handle, "stream")
        self.gate = gate
        self.own_codec = _CODEC
        self._frames = frames
        self._textframes = textframes
        health = _Health(encrypted)
        self._receives = _Receives(handle, gate, buffer, health)
        self._sends = _Sends(handle, gate, health)

    def encode(self, mode: str, data: Any, pipe: int = 0) -> Any:  # noqa: ARG002 - a stream is one pipe
        """A new message with the data as bytes, whatever the mode."""
        if life.halted:
            too_late()
        if mode == "parts":
            return build(data)
        if self._textframes and isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        encoded = encode_raw(data)
        return from_bytes(encoded, len(encoded)) if type(encoded) is bytes else build((encoded,))

    def _keep(self, message: Any) -> None:
        self._receives.offer(message)

    def forget(self) -> None:
        """Free what has come and nobody has received."""
        self._receives.forget()

    def receive(self, timeout: int) -> Operation:
        """What is there, or comes next, as an operation."""
        if life.halted or self.gate.closed:
            return Operation(self.gate, None, too_late(), sending=False)
        turn = _Turn(self._receives, None, sending=False)
        self._receives.put(turn)
        turn.limit(timeout)
        return turn

    def receive_waiting(self, timeout: int) -> tuple[int, Any]:
        """What is there, or comes next, as (0, message), or the error."""
        operation = self.receive(timeout)
        try:
            operation.wait()
        except BaseException:
            self.drop(operation)
            raise
        message, operation.message = operation.message, None
        return operation.result or 0, message

    def try_receive(self) -> tuple[int, Any]:
        """What is there, as (0, message), or the error, 8 if there is nothing."""
        result, message = self.receive_waiting(SOON)
        return EAGAIN if result == ETIMEDOUT else result, message

    def send(self, message: Any, timeout: int) -> Operation:
        """Send as soon as possible; the message is no longer ours from here on."""
        if life.halted or self.gate.closed or not (self._frames or _size_of(message)):
            result = too_late() if life.halted or self.gate.closed else 0  # NNG never ends a send of nothing
            free(message)
            return Operation(self.gate, None, result, sending=True)
        turn = _Turn(self._sends, message, sending=True)
        self._sends.put(turn)
        turn.limit(timeout)
        return turn

    def send_waiting(self, message: Any, timeout: int) -> int:
        """Send, and wait until all is on its way: 0, or the error; the message is no longer ours."""
        operation = self.send(message, timeout)
        try:
            operation.wait()
        except BaseException:
            operation.abort()
            raise
        return operation.result or 0

    def try_send(self, message: Any) -> int:
        """Send if no other send is under way: 0, or the error, 8 if one is; the message is no longer ours."""
        if self._sends.busy:
            free(message)
            return EAGAIN
        return self.send(message, FOR_EVER).result or 0

    def give_back(self, message: Any) -> None:
        """Nothing: a message that could not be sent has been freed."""
