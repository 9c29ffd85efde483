"""Requests and replies over contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nngsock.errors import ErrorValue
from nngsock.sockets import Context
from nngsock.transfer import recv, recv_aio, send, send_aio

if TYPE_CHECKING:
    from collections.abc import Callable

    from nngsock.aio import RecvAio
    from nngsock.sync import ConditionVariable

__all__ = ("reply", "request")


def _valid(x: object) -> Context:
    if not isinstance(x, Context):
        raise TypeError(f"`context` is not a valid Context: {x!r}; make one with context(socket)")
    return x


def request(
    context: Context,
    data: Any,
    send_mode: str | int = "serial",
    recv_mode: str | int = "serial",
    timeout: float | None = None,
    cv: ConditionVariable | None = None,
) -> RecvAio:
    """Send a request (or a survey), and receive the answer asynchronously.

    A second request on the same context stops the first, which resolves to 20. A request whose answer is
    long in coming is sent again after the option "req:resend-time" (one minute), and when the peer is lost:
    the other side may do the work twice.

    Args:
        context: A context of a req or surveyor socket.
        data: The request.
        send_mode: How it is sent.
        recv_mode: What the answer is.
        timeout: Milliseconds for the whole, until the answer is there; None is the socket's recv-timeout.
        cv: A condition variable to signal once the answer, or a failure, is there.

    Returns:
        The receive under way.

    Example:
        >>> with (
        ...     nngsock.socket("req", listen="inproc://rpc") as req,
        ...     nngsock.socket("rep", dial="inproc://rpc") as rep,
        ... ):
        ...     answer = nngsock.request(nngsock.context(req), 2)
        ...     _ = nngsock.reply(nngsock.context(rep), lambda x: x + 1, timeout=5000)
        ...     answer.collect()
        3
    """
    con = _valid(context)
    send_aio(con, data, send_mode)
    return recv_aio(con, recv_mode, timeout, cv)


def reply(
    context: Context,
    execute: Callable[..., Any],
    recv_mode: str | int = "serial",
    send_mode: str | int = "serial",
    timeout: float | None = None,
    *args: Any,
    **kwargs: Any,
) -> int:
    """Receive one request, call a function with it, and send back what it returns.

    If the function raises, or what it returns cannot be encoded, the peer gets one nul byte
    (see `is_nul_byte`).

    Args:
        context: A context of a rep or respondent socket.
        execute: Called with the request, and the arguments that follow.
        recv_mode: What the request is.
        send_mode: How the answer is sent.
        timeout: Milliseconds to wait for a request; None waits for ever (or the socket's recv-timeout).
        *args: More arguments for `execute`.
        **kwargs: More arguments for `execute`.

    Returns:
        0, or an `ErrorValue` of receiving or sending.

    Example:
        >>> with (
        ...     nngsock.socket("rep", listen="inproc://reply") as rep,
        ...     nngsock.socket("req", dial="inproc://reply") as req,
        ... ):
        ...     answer = nngsock.request(nngsock.context(req), [3, 1, 2])
        ...     nngsock.reply(nngsock.context(rep), sorted, timeout=5000, reverse=True), answer.collect()
        (0, [3, 2, 1])
    """
    con = _valid(context)
    block = True if timeout is None else timeout
    received = recv(con, recv_mode, block)
    if isinstance(received, ErrorValue):
        return received
    try:
        return send(con, execute(received, *args, **kwargs), send_mode, block)
    except Exception:
        return send(con, b"\0", "raw", block)
