"""Send and receive, waiting or not, and asynchronously."""

from __future__ import annotations

from typing import Any

from nngsock.aio import RecvAio, SendAio
from nngsock.channel import Channel, Connection, channel_of, take
from nngsock.errors import ErrorValue
from nngsock.modes import receive_mode, send_mode
from nngsock.operation import DEFAULT
from nngsock.sync import ConditionVariable

__all__ = ("milliseconds", "recv", "recv_aio", "send", "send_aio")


def send(
    con: Connection, data: Any, mode: str | int = "serial", block: bool | float | None = None, pipe: int = 0
) -> int:
    """Send one message.

    Args:
        con: A socket, context or stream.
        data: Any object in mode "serial"; a scalar, homogeneous list, array, bytes-like or None in mode
            "raw"; an iterable of bytes-likes, written one after another, in mode "parts".
        mode: "serial" or 1, "raw" or 2, "parts".
        block: True waits until the message is on its way (or the socket's send-timeout is over), a number
            waits that many milliseconds, None and False do not wait.
        pipe: For a poly socket, the pipe to send to; 0 lets the socket choose one.

    Returns:
        0, or an `ErrorValue`: 8 when it would have to wait and may not, 5 when the time is over.

    Example:
        >>> a, b = nngsock.socket("pair", listen="inproc://send"), nngsock.socket("pair", dial="inproc://send")
        >>> nngsock.send(a, {"x": 1}, block=True), nngsock.recv(b, block=True)
        (0, {'x': 1})
    """
    channel = channel_of(con)
    timeout = _timeout(channel, block)
    message = channel.encode(send_mode(mode), data, pipe)
    result = channel.try_send(message) if timeout is None else channel.send_waiting(message, timeout)
    if result:
        channel.give_back(message)
    return ErrorValue(result) if result else 0


def recv(con: Connection, mode: str | int = "serial", block: bool | float | None = None) -> Any:
    """Receive one message.

    Args:
        con: A socket, context or stream.
        mode: What the message is: "serial" (unpickles: only from peers you trust), "character", "complex",
            "double", "integer", "logical", "numeric", "raw", "string", by name or by number from 1 in
            that order, or "buffer": a read-only memoryview, of NNG's own memory where that saves a copy.
        block: True waits (or until the socket's recv-timeout is over), a number waits that many
            milliseconds, None and False do not wait. A surveyor's receive that ends without an answer
            ends the survey.

    Returns:
        What the message says, or an `ErrorValue`: 8 when there is none, 5 when the time is over. Bytes, with
        an `NngWarning`, where the message does not fit the mode.

    Example:
        >>> a, b = nngsock.socket("pair", listen="inproc://recv"), nngsock.socket("pair", dial="inproc://recv")
        >>> nngsock.send(a, [1.5, 2.5], mode="raw", block=True), nngsock.recv(b, "double", block=True)
        (0, [1.5, 2.5])
        >>> nngsock.recv(b)
        errorValue 8 | Try again
    """
    channel = channel_of(con)
    name = receive_mode(mode)
    timeout = _timeout(channel, block)
    result, message = channel.try_receive() if timeout is None else channel.receive_waiting(timeout)
    return ErrorValue(result) if result else take(name, message, channel.codec)


def send_aio(
    con: Connection, data: Any, mode: str | int = "serial", timeout: float | None = None, pipe: int = 0
) -> SendAio:
    """Send one message, asynchronously. Encoding takes place before this returns.

    Args:
        con: A socket, context or stream.
        data: What to send, as in `send`.
        mode: "serial" or 1, "raw" or 2, "parts".
        timeout: Milliseconds; None is the socket's send-timeout, which by default is none.
        pipe: For a poly socket, the pipe to send to; 0 lets the socket choose one.

    Returns:
        The operation, which goes on if this object is dropped.

    Example:
        >>> a, b = nngsock.socket("pair", listen="inproc://send_aio"), nngsock.socket("pair", dial="inproc://send_aio")
        >>> aio = nngsock.send_aio(a, "hello", timeout=1000)
        >>> nngsock.recv(b, block=True), aio.collect()
        ('hello', 0)
    """
    channel = channel_of(con)
    limit = DEFAULT if timeout is None else milliseconds("timeout", timeout)
    message = channel.encode(send_mode(mode), data, pipe)
    return SendAio(channel.send(message, limit), con)


def recv_aio(
    con: Connection,
    mode: str | int = "serial",
    timeout: float | None = None,
    cv: ConditionVariable | None = None,
) -> RecvAio:
    """Receive one message, asynchronously.

    Args:
        con: A socket, context or stream.
        mode: What the message is, as in `recv`. It is decoded when `data` is first read.
        timeout: Milliseconds; None is the socket's recv-timeout, which by default is none.
        cv: A condition variable to signal once at completion, also of a failure.

    Returns:
        The operation, which is stopped if this object is dropped.

    Example:
        >>> a, b = nngsock.socket("pair", listen="inproc://recv_aio"), nngsock.socket("pair", dial="inproc://recv_aio")
        >>> aio = nngsock.recv_aio(b, timeout=1000)
        >>> nngsock.send(a, "hello", block=True), aio.collect()
        (0, 'hello')
    """
    channel = channel_of(con)
    name = receive_mode(mode)
    if cv is not None and not isinstance(cv, ConditionVariable):
        raise TypeError(f"`cv` is not a valid Condition Variable: {cv!r}")
    limit = DEFAULT if timeout is None else milliseconds("timeout", timeout)
    operation = channel.receive(limit)
    if cv is not None and not operation.when_done(cv.signal):
        cv.signal()
    return RecvAio(operation, con, channel, name)


def _timeout(channel: Channel, block: bool | float | None) -> int | None:
    """Milliseconds to wait, or None for not at all."""
    if block is None:
        return DEFAULT if channel.waits else None
    if block is False:
        return None
    return DEFAULT if block is True else milliseconds("block", block)


def milliseconds(name: str, value: float) -> int:
    """An argument that is a number of milliseconds, as a whole number from -1, which is for ever."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"`{name}` must be a number of milliseconds, not {value!r}")
    return max(int(value), -1)
