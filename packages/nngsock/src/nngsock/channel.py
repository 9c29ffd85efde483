"""Channels: one message at a time into and out of a socket or a context.

Sends and receives first try without waiting: what succeeds at once needs no aio, no callback and no other
thread. Only what has to wait becomes an operation of NNG.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any, Protocol

from nngsock._native import NONBLOCK, lib, life, new
from nngsock.errors import EAGAIN, ECANCELED, ECLOSED
from nngsock.gate import Gate, too_late
from nngsock.message import MESSAGE_P, build, free, from_bytes, take_bytes, take_content
from nngsock.modes import decode_typed, encode_raw
from nngsock.operation import Operation, submit
from nngsock.serial import PICKLE, Codec, decode_serial, encode_serial
from nngsock.waiting import run_and_wait

__all__ = ("Channel", "Connection", "channel_of", "decode")

PIPE_P = "nng_pipe *"
_set_pipe = lib.nng_msg_set_pipe


class Channel:
    """What sending and receiving need to know of a socket or a context.

    Args:
        handle: NNG's socket or context.
        protocol: The protocol's name.
        socket: The channel of the context's socket, whose codec it uses; None for a socket itself.
    """

    __slots__ = (
        "asks",
        "codec_owner",
        "gate",
        "handle",
        "kept",
        "own_codec",
        "receives_at_once",
        "recv_aio",
        "recvmsg",
        "send_aio",
        "sendmsg",
    )

    gate: Gate
    waits = False  # whether it does if it is not said

    def __init__(self, handle: Any, protocol: str, socket: Channel | None = None) -> None:
        self.handle = handle
        self.gate = Gate(socket.gate if socket else None)
        self.receives_at_once = protocol != "surveyor"  # one that fails at once would end the survey
        # What answers the last question must not pass for the answer to the next.
        self.asks = protocol in {"req", "surveyor"}
        self.codec_owner = socket or self
        self.own_codec = PICKLE
        self.kept: deque[Operation] = deque()  # received, but nobody could be told
        if socket is None:
            self.recvmsg, self.sendmsg = lib.nng_recvmsg, lib.nng_sendmsg
            self.recv_aio, self.send_aio = lib.nng_recv_aio, lib.nng_send_aio
        else:
            self.recvmsg, self.sendmsg = lib.nng_ctx_recvmsg, lib.nng_ctx_sendmsg
            self.recv_aio, self.send_aio = lib.nng_ctx_recv, lib.nng_ctx_send

    @property
    def codec(self) -> Codec:
        """How serial messages are written and read here."""
        return self.codec_owner.own_codec

    def encode(self, mode: str, data: Any, pipe: int = 0) -> Any:
        """A new message with the data, to one pipe if that is not 0."""
        if life.halted:
            too_late()
        if self.asks and self.kept:
            self.kept.clear()
        if mode == "serial":
            message = encode_serial(self.codec, data)
        elif mode == "parts":
            message = build(data)
        else:
            encoded = encode_raw(data)
            message = from_bytes(encoded, len(encoded)) if type(encoded) is bytes else build((encoded,))
        if pipe:
            _set_pipe(message, new(PIPE_P, (pipe,))[0])
        return message

    def drop(self, operation: Operation) -> None:
        """Cancel a receive that nobody holds any more, and keep what comes all the same."""
        if life.forked:
            return  # it goes on in the parent
        if operation.when_done(partial(self.keep_unread, operation)):
            operation.cancel()
        else:
            self.keep_unread(operation)

    def keep_unread(self, operation: Operation) -> None:
        """Keep what has come and has not been read for the next receive; then the operation was canceled."""
        with operation.lock:
            message, operation.message = operation.message, None
            if message is not None:
                operation.result = ECANCELED
                self._keep(message)

    def give_back(self, message: Any) -> None:
        """Free a message that could not be sent."""
        free(message)

    def _keep(self, message: Any) -> None:
        operation = Operation(self.gate, message, 0, sending=False)
        if not self.gate.closed:
            self.kept.append(operation)

    def _take_kept(self) -> Operation | None:
        try:
            return self.kept.popleft()
        except IndexError:
            return None

    def try_receive(self) -> tuple[int, Any]:
        """A message that is there, as (0, message), or the error, 8 if there is none."""
        if life.halted:
            return too_late(), None
        if self.kept and (operation := self._take_kept()) is not None:
            message, operation.message = operation.message, None
            return 0, message
        out = new(MESSAGE_P)
        gate = self.gate
        with gate.lock:
            if gate.closed:
                return ECLOSED, None
            return self.recvmsg(self.handle, out, NONBLOCK), out[0]

    def receive(self, timeout: int) -> Operation:
        """The message that is there, or the next, as an operation."""
        if self.kept and (operation := self._take_kept()) is not None:
            return operation
        if self.receives_at_once:
            result, message = self.try_receive()
            if result != EAGAIN:
                return Operation(self.gate, None if result else message, result, sending=False)
        return submit(self.gate, self.recv_aio, self.handle, timeout)

    def receive_waiting(self, timeout: int) -> tuple[int, Any]:
        """The message that is there, or the next, as (0, message), or the error."""
        if self.receives_at_once or self.kept:
            result, message = self.try_receive()
            if result != EAGAIN:
                return result, message
        result, message, interruption = run_and_wait(self.gate, self.recv_aio, self.handle, timeout)
        if interruption is not None:
            if not result:  # it came in that very moment: the next receive gets it
                self._keep(message)
            raise interruption
        return result, message

    def try_send(self, message: Any) -> int:
        """Send if that needs no waiting: 0, or the error, 8 if it does, and the message is still ours."""
        if life.halted:
            return too_late()
        gate = self.gate
        with gate.lock:
            if gate.closed:
                return ECLOSED
            result: int = self.sendmsg(self.handle, message, NONBLOCK)
            return result

    def send(self, message: Any, timeout: int) -> Operation:
        """Send at once if possible, else as soon as possible; the message is no longer ours from here on."""
        result = self.try_send(message)
        if result == EAGAIN:
            return submit(self.gate, self.send_aio, self.handle, timeout, message)
        if result:
            free(message)
        return Operation(self.gate, None, result, sending=True)

    def send_waiting(self, message: Any, timeout: int) -> int:
        """Send, and wait until it is on its way: 0, or the error, and the message is still ours."""
        result = self.try_send(message)
        return self.wait_and_send(message, timeout) if result == EAGAIN else result

    def wait_and_send(self, message: Any, timeout: int) -> int:
        """Send once that is possible: 0, or the error, and the message is still ours."""
        result, _, interruption = run_and_wait(self.gate, self.send_aio, self.handle, timeout, message)
        if interruption is not None:
            if result:
                free(message)
            raise interruption
        return result


class Connection(Protocol):
    """What has a channel: sockets and contexts."""

    @property
    def channel(self) -> Channel:
        """The channel."""


def channel_of(con: Connection) -> Channel:
    """The channel of a socket or context.

    Raises:
        TypeError: It is neither.
    """
    channel = getattr(con, "channel", None)
    if isinstance(channel, Channel):
        return channel
    raise TypeError(f"`con` is not a valid Socket or Context: {con!r}")


def decode(mode: str, content: bytes | memoryview, codec: Codec) -> Any:
    """What a message says in a receive mode."""
    if mode == "buffer":
        return memoryview(content)
    if mode == "serial":
        return decode_serial(codec, content)
    return decode_typed(mode, bytes(content))


def take(mode: str, message: Any, codec: Codec) -> Any:
    """What a message says in a receive mode; the message is used up."""
    if mode == "raw":
        return take_bytes(message)
    return decode(mode, take_content(message), codec)
