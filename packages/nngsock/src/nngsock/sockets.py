"""Sockets and contexts."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, Final, Self

from nngsock import endpoints, options, pipes, stats, transfer
from nngsock._native import lib, life, new, nng, refuse
from nngsock.answering import ANSWERING, AnsweringChannel
from nngsock.channel import Channel
from nngsock.completion import at_exit, pending
from nngsock.errors import ECLOSED, check
from nngsock.operation import Operation
from nngsock.reaper import hold_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from nngsock.endpoints import Dialer, Listener
    from nngsock.gate import Gate
    from nngsock.tls import TlsConfig

__all__ = ("PROTOCOLS", "Context", "Socket", "context", "socket")

# The names of the original and pair1; "poly" is pair version 1 with many peers.
PROTOCOLS: Final = {
    "bus": ("bus0_open", "bus0_open_raw"),
    "pair": ("pair0_open", "pair0_open_raw"),
    "pair1": ("pair1_open", "pair1_open_raw"),
    "poly": ("pair1_open_poly", "pair1_open_raw"),
    "push": ("push0_open", "push0_open_raw"),
    "pull": ("pull0_open", "pull0_open_raw"),
    "pub": ("pub0_open", "pub0_open_raw"),
    "sub": ("sub0_open", "sub0_open_raw"),
    "req": ("req0_open", "req0_open_raw"),
    "rep": ("rep0_open", "rep0_open_raw"),
    "surveyor": ("surveyor0_open", "surveyor0_open_raw"),
    "respondent": ("respondent0_open", "respondent0_open_raw"),
}


class _Transferring:
    """What sockets and contexts have in common."""

    __slots__ = ("__weakref__", "_closed", "_finalizer", "channel", "handle")

    channel: Channel
    _closed: bool
    _finalizer: weakref.finalize[Any, Any]

    send = transfer.send
    recv = transfer.recv
    send_aio = transfer.send_aio
    recv_aio = transfer.recv_aio
    opt = options.opt
    set_opt = options.set_opt
    subscribe = options.subscribe
    unsubscribe = options.unsubscribe
    survey_time = options.survey_time

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        if not life.forked:  # a child may leave the block, and end
            self.try_close()

    def close(self, linger: float | None = None) -> int:
        """Close it; operations under way resolve to 7, and what is not yet sent may be lost.

        Args:
            linger: First wait, at most this many milliseconds, until its sends under way are done.

        Returns:
            0, or the error 7 with an `NngWarning` if it is closed.
        """
        if linger is not None:
            _wait_for_sends(self.channel.gate, linger)
        code = self.try_close()
        return endpoints.warn(code) if code else 0

    def try_close(self) -> int:
        """Close it; the error number."""
        if life.forked:
            refuse()
        if self._closed:
            return ECLOSED
        self._closed = True
        self.channel.gate.close()
        self.channel.kept.clear()
        self._finalizer.detach()
        return self._close()

    def _close(self) -> int:
        raise NotImplementedError


class Socket(_Transferring):
    """A socket that speaks one protocol over any number of dialers and listeners. Made by `socket`.

    Attributes:
        handle: NNG's socket.
        protocol: The protocol's name.
        raw: Whether it is a raw socket, for devices.
    """

    __slots__ = ("endpoints", "protocol", "raw", "watch")

    kind = "socket"
    dial = endpoints.dial
    listen = endpoints.listen
    stat = stats.stat
    on_pipe = pipes.on_pipe
    close_pipe = pipes.close_pipe
    pipe_info = pipes.pipe_info
    pipe_notify = pipes.pipe_notify
    monitor = pipes.monitor

    def __init__(self, protocol: str, raw: bool = False) -> None:
        if protocol not in PROTOCOLS:
            raise ValueError(f"`proto` should be one of: {', '.join(PROTOCOLS)}; not {protocol!r}")
        pointer = new("nng_socket *")
        life.started = True
        check(getattr(nng, PROTOCOLS[protocol][bool(raw)])(pointer))
        self.handle = pointer[0]
        self.protocol = protocol
        self.raw = bool(raw)
        self.channel = _open_channel(self.handle, protocol, raw=self.raw)
        self.endpoints = endpoints.EndpointList()
        self.watch = pipes.PipeWatch(self.handle)
        self._closed = False
        _open.add(self)
        self._finalize_with(_finalize)

    def __repr__(self) -> str:
        lines = [
            "< nanoSocket >",
            f" - id: {self.id}",
            f" - state: {self.state}",
            f" - protocol: {self.protocol}",
        ]
        if self.listener:
            lines.append(" - listener: " + " ".join(x.url for x in self.listener))
        if self.dialer:
            lines.append(" - dialer: " + " ".join(x.url for x in self.dialer))
        return "\n".join(lines)

    @property
    def id(self) -> int:
        """NNG's number for it."""
        return int(self.handle.id)

    @property
    def state(self) -> str:
        """'opened' or 'closed'."""
        return "closed" if self._closed else "opened"

    @property
    def dialer(self) -> tuple[Dialer, ...]:
        """Its dialers, in order of creation."""
        return self.endpoints.dialers

    @property
    def listener(self) -> tuple[Listener, ...]:
        """Its listeners, in order of creation."""
        return self.endpoints.listeners

    def context(self) -> Context:
        """Open a context; see `context`."""
        return context(self)

    def expect_websockets(self) -> None:
        """Have whatever ends here, and at last the socket itself, wait for what NNG still does with it."""
        if not self.watch.websocket:
            self.watch.expect_websockets()
            self._finalizer.detach()
            self._finalize_with(_finalize_websocket)

    def _finalize_with(self, close: Callable[[Any], None]) -> None:
        self._finalizer = weakref.finalize(self, close, self.handle)
        self._finalizer.atexit = False

    def try_use(self) -> int:
        """The error of using it: 7 if it is closed."""
        return ECLOSED if self._closed else 0

    def _close(self) -> int:
        try:
            if self.watch.websocket:
                hold_up()
        finally:
            code: int = nng.close(self.handle)
        return code


class Context(_Transferring):
    """State of its own on a socket of protocol req, rep, sub, surveyor or respondent. Made by `context`.

    Each context has one request (or whatever the protocol has) under way, independent of the others.

    Attributes:
        handle: NNG's context.
        socket: The socket.
    """

    __slots__ = ("socket",)

    kind = "ctx"

    def __init__(self, socket: Socket) -> None:
        pointer = new("nng_ctx *")
        check(
            socket.channel.gate.call(nng.ctx_open, pointer, socket.handle),
            f"a context on a socket of protocol {socket.protocol!r}",
        )
        self.handle = pointer[0]
        self.socket = socket
        self.channel = _open_channel(self.handle, socket.protocol, socket.channel)
        self._closed = False
        self._finalizer = weakref.finalize(self, _finalize_context, self.handle, socket.channel.gate)
        self._finalizer.atexit = False

    def __repr__(self) -> str:
        return (
            f"< nanoContext >\n - id: {self.id}\n - socket: {self.socket.id}\n - state: {self.state}\n"
            f" - protocol: {self.protocol}"
        )

    @property
    def id(self) -> int:
        """NNG's number for it."""
        return int(self.handle.id)

    @property
    def state(self) -> str:
        """'opened' or 'closed'."""
        return "closed" if self._closed or self.socket.state == "closed" else "opened"

    @property
    def protocol(self) -> str:
        """The protocol of its socket."""
        return self.socket.protocol

    def _close(self) -> int:
        return self.socket.channel.gate.call(nng.ctx_close, self.handle)


def _open_channel(handle: Any, protocol: str, socket: Channel | None = None, *, raw: bool = False) -> Channel:
    kind = AnsweringChannel if protocol in ANSWERING and not raw else Channel
    return kind(handle, protocol, socket)


_open: weakref.WeakSet[Socket] = weakref.WeakSet()


def _close_all() -> None:
    """At the interpreter's exit: whoever still waits for something gets error 7."""
    for sock in list(_open):
        sock.try_close()


at_exit(_close_all)


def _finalize(handle: Any) -> None:
    """Close the socket that nobody holds any more."""
    if not life.halted:
        lib.nng_close(handle)


def _finalize_websocket(handle: Any) -> None:
    """Close the socket with WebSockets that nobody holds any more."""
    if not life.halted:
        hold_up()
        lib.nng_close(handle)


def _finalize_context(handle: Any, socket: Gate) -> None:
    """Close the context that nobody holds any more."""
    if not life.halted:
        socket.call(lib.nng_ctx_close, handle)


def _wait_for_sends(gate: Gate, linger: float) -> None:
    deadline = time.monotonic() + linger / 1000
    for operation in list(pending.values()):
        if isinstance(operation, Operation) and operation.sending and operation.gate.belongs_to(gate):
            operation.wait(max(deadline - time.monotonic(), 0))


def socket(
    proto: str = "bus",
    dial: str | None = None,
    listen: str | None = None,
    tls: TlsConfig | None = None,
    autostart: bool | None = True,
    raw: bool = False,
) -> Socket:
    """Open a socket, and have it dial and listen if an address is given.

    Args:
        proto: "bus", "pair", "pair1", "poly", "push", "pull", "pub", "sub", "req", "rep", "surveyor" or
            "respondent". pair1 is for one peer and makes senders wait for it; poly is for many peers, and
            drops what does not fit its short queues; the two talk to each other.
        dial: An address to dial, as in `dial`.
        listen: An address to listen at, as in `listen`.
        tls: For whichever of the two is given, a configuration made by `tls_config`.
        autostart: For both.
        raw: Open it raw: for devices only.

    Returns:
        The socket. Close it with `close()` or `with`.

    Raises:
        NngError: An address cannot be dialed or listened at.

    Example:
        >>> with nngsock.socket("pair", listen="inproc://example") as s:
        ...     s.state, s.listener[0].url
        ('opened', 'inproc://example')
    """
    sock = Socket(proto, raw)
    try:
        if dial is not None:
            endpoints.dial(sock, dial, tls=tls, autostart=autostart, fail="error")
        if listen is not None:
            endpoints.listen(sock, listen, tls=tls, autostart=autostart, fail="error")
    except BaseException:
        sock.try_close()
        raise
    return sock


def context(socket: Socket) -> Context:
    """Open a context on a socket of protocol req, rep, sub, surveyor or respondent.

    Raises:
        NngError: 9, the protocol has no contexts.

    Example:
        >>> with nngsock.socket("req", listen="inproc://contexts") as s:
        ...     one, other = nngsock.context(s), nngsock.context(s)
        ...     one.socket is other.socket, one.id == other.id, one.state
        (True, False, 'opened')
    """
    if not isinstance(socket, Socket):
        raise TypeError(f"`socket` is not a valid Socket: {socket!r}")
    return Context(socket)
