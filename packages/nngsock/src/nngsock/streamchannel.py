"""The channel of a byte stream: what sockets do with messages, done with the bytes of one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nngsock._native import lib, life
from nngsock.channel import Channel
from nngsock.errors import EAGAIN, ETIMEDOUT
from nngsock.gate import too_late
from nngsock.message import build, free, from_bytes
from nngsock.modes import decode_typed, encode_raw
from nngsock.operation import Operation
from nngsock.serial import PICKLE, Codec
from nngsock.turns import Health, Receives, Sends, Turn

if TYPE_CHECKING:
    from nngsock.gate import Gate

__all__ = ("StreamChannel",)

SOON: Final = 1  # milliseconds for what is there already
FOR_EVER: Final = -1
_size_of = lib.nng_msg_len


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
        health = Health(encrypted)
        self._receives = Receives(handle, gate, buffer, health)
        self._sends = Sends(handle, gate, health)

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

    def is_busy(self) -> bool:
        """Whether NNG works on something for it."""
        return self._receives.busy or self._sends.busy

    def forget(self) -> None:
        """Free what has come and nobody has received."""
        self._receives.forget()

    def receive(self, timeout: int) -> Operation:
        """What is there, or comes next, as an operation."""
        if life.halted or self.gate.closed:
            return Operation(self.gate, None, too_late(), sending=False)
        turn = Turn(self._receives, None, sending=False)
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
        turn = Turn(self._sends, message, sending=True)
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
