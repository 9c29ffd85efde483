"""Byte streams: connections to peers that do not speak NNG's protocols."""

from __future__ import annotations

import re
import warnings
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from nngsock import options, transfer
from nngsock._native import lib, life, new, nng, refuse
from nngsock.completion import at_exit, pending
from nngsock.endpoints import check_tls, warn
from nngsock.errors import ECLOSED, EINVAL, ENOTSUP, NngWarning, check, exception_for
from nngsock.gate import Gate
from nngsock.lifelines import Lifeline, has_no_peer
from nngsock.operation import Operation
from nngsock.reaper import hold_up
from nngsock.streamchannel import StreamChannel
from nngsock.streamoperation import StreamOperation
from nngsock.tls import TlsConfig, tls_config
from nngsock.url import is_websocket, may_be_lost_untold, parse_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("Stream", "stream")

PATIENCE_SECONDS: Final = 1.0  # for the end of operations on what is closed
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_FOR_EVER: Final = -1


@dataclass(slots=True)
class _Ends:
    """What NNG holds for a stream, in the order in which it must go.

    Attributes:
        kind: "dialer" or "listener".
        endpoint: NNG's stream dialer or listener.
        websocket: Whether its address is one of ws:// or wss://.
        gate: What every operation passes.
        stream: NNG's stream; None before there is one.
        lifeline: What looks after it; None if NNG itself tells of its loss.
    """

    kind: str
    endpoint: Any
    websocket: bool
    gate: Gate
    stream: Any = None
    lifeline: Lifeline | None = None

    def release(self) -> None:
        """End all operations, then close and free the stream, then the dialer or listener."""
        self.gate.close()
        if self.lifeline is not None:
            self.lifeline.let_go()
        under_way = [
            operation
            for operation in list(pending.values())
            if isinstance(operation, Operation) and operation.gate is self.gate
        ]
        if self.stream is not None:
            lib.nng_stream_close(self.stream)
        for operation in under_way:
            operation.abort()
            operation.wait(PATIENCE_SECONDS)
        if self.websocket:
            hold_up()
        if self.stream is not None:
            lib.nng_stream_free(self.stream)
        getattr(lib, f"nng_stream_{self.kind}_close")(self.endpoint)
        getattr(lib, f"nng_stream_{self.kind}_free")(self.endpoint)


class Stream:
    """One connection that carries bytes, or WebSocket frames. Made by `stream`.

    `send`, `recv`, `send_aio` and `recv_aio` work as for sockets, but for this: nothing is serialised, data
    goes and comes as bytes (mode "serial" means "raw" for sends and "character" for receives), `block` None
    waits, and one receive gives what is there, of whatever was sent before; only WebSockets keep frames
    apart, up to the size of the buffer.

    Attributes:
        handle: NNG's stream.
        url: The address.
        mode: "dialer" or "listener", with " text frames" where it uses them.
    """

    __slots__ = ("__weakref__", "_closed", "_ends", "_finalizer", "channel", "handle", "mode", "url")

    kind = "stream"
    send = transfer.send
    recv = transfer.recv
    send_aio = transfer.send_aio
    recv_aio = transfer.recv_aio
    opt = options.opt

    def __init__(self, ends: _Ends, url: str, buffer: int, textframes: bool) -> None:
        self.handle = ends.stream
        self.url = url
        self.mode = ends.kind + (" text frames" if textframes else "")
        self.channel = StreamChannel(
            ends.stream,
            ends.gate,
            buffer,
            frames=ends.websocket,
            textframes=textframes,
            encrypted=url.startswith("tls+tcp"),
        )
        if may_be_lost_untold(url):
            ends.lifeline = Lifeline(partial(_is_cut, ends, self.channel), partial(_cut, ends))
        self._ends = ends
        self._closed = False
        self._finalizer = weakref.finalize(self, _finalize, ends)
        self._finalizer.atexit = False
        _open.add(self)

    def __repr__(self) -> str:
        return f"< nanoStream >\n - mode: {self.mode}\n - state: {self.state}\n - url: {self.url}"

    @property
    def state(self) -> str:
        """'opened' or 'closed'."""
        return "closed" if self._closed else "opened"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        if not life.forked:  # a child may leave the block, and end
            self.try_close()

    def close(self) -> int:
        """Close it; operations under way resolve to 7, and what is not yet sent is lost.

        Returns:
            0, or the error 7 with an `NngWarning` if it is closed.
        """
        code = self.try_close()
        return warn(code) if code else 0

    def try_close(self) -> int:
        """Close it; the error number."""
        if life.forked:
            refuse()
        if self._closed:
            return ECLOSED
        self._closed = True
        self._finalizer.detach()
        self._ends.release()
        self.channel.forget()
        return 0


def _is_cut(ends: _Ends, channel: StreamChannel) -> bool:
    """Whether a stream is lost of which something is asked: then it has given all that it had."""
    with ends.gate.lock:  # it is not freed meanwhile
        return (
            not ends.gate.closed and channel.is_busy() and has_no_peer(lib.nng_stream_get_addr, ends.stream)
        )


def _cut(ends: _Ends) -> None:
    """End what is asked of a stream that is lost."""
    with ends.gate.lock:
        if not ends.gate.closed:
            lib.nng_stream_close(ends.stream)


_open: weakref.WeakSet[Stream] = weakref.WeakSet()


def _close_all() -> None:
    """At the interpreter's exit: NNG hangs or aborts if a stream of ws:// is still there."""
    for opened in list(_open):
        opened.try_close()


at_exit(_close_all)


def _finalize(ends: _Ends) -> None:
    """Close the stream that nobody holds any more."""
    if not life.halted:
        ends.release()


class _Connect(StreamOperation):
    """A connection that is being made or waited for."""

    __slots__ = ("stream",)

    def __init__(self, gate: Gate, timeout: int) -> None:
        super().__init__(gate, timeout)
        self.stream: Any = None

    def __call__(self) -> None:
        result = lib.nng_aio_result(self.aio)
        if not result:
            self.stream = lib.nng_aio_get_output(self.aio, 0)
        self.end(result)


def stream(
    dial: str | None = None,
    listen: str | None = None,
    textframes: bool = False,
    headers: Mapping[str, str] | None = None,
    tls: TlsConfig | None = None,
    buffer: int = 65536,
    timeout: float | None = None,
) -> Stream:
    """Connect to a peer that does not speak NNG's protocols, or wait for one such peer to connect.

    Args:
        dial: An address to connect to: tcp://host:port, ipc:///path, abstract://name, tls+tcp://host:port,
            ws://host:port/path, wss://host:port/path.
        listen: An address at which to accept one peer; not looked at if `dial` is given.
        textframes: For ws and wss: send and receive text frames, not binary ones.
        headers: For ws and wss, with `dial`: more headers of the request.
        tls: For tls+tcp and wss. A wss:// that is dialed without trusts anybody, with an `NngWarning`. Over
            tls+tcp the two sides get to know each other with their first send or receive, which gives 26
            for a certificate that is not accepted.
        buffer: The most bytes that one receive gives.
        timeout: Milliseconds to wait for the connection; None waits for ever. Ctrl-C ends it, too.

    Returns:
        The stream. Close it with `close()` or `with`.

    Raises:
        NngError: 6 nobody listens there, 5 the time is over, 9 the address has no streams, 10 it is in use.
        ValueError: There is no address.

    Example:
        >>> import socket
        >>> server = socket.create_server(("127.0.0.1", 0))
        >>> with nngsock.stream(dial="tcp://127.0.0.1:%d" % server.getsockname()[1]) as s:
        ...     peer, _ = server.accept()
        ...     nngsock.send(s, b"hello"), peer.recv(5)
        (0, b'hello')
        >>> peer.close(), server.close()
        (None, None)
    """
    url = listen if dial is None else dial
    if url is None:
        raise ValueError("specify a URL: `dial` or `listen`")
    if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
        raise ValueError(f"`buffer` must be a number of bytes from 1, not {buffer!r}")
    limit = _FOR_EVER if timeout is None else transfer.milliseconds("timeout", timeout)
    kind = "listener" if dial is None else "dialer"
    tls = _checked_tls(kind, url, tls)
    ends = _open_endpoint(kind, url)
    try:
        if tls is not None:
            _encrypt(ends, url, tls)
        _configure(ends, url, bool(textframes), headers)
        ends.stream = _connect(ends, url, limit)
    except BaseException:
        ends.release()
        raise
    return Stream(ends, url, buffer, bool(textframes))


def _checked_tls(kind: str, url: str, tls: TlsConfig | None) -> TlsConfig | None:
    """The configuration for an address, if it is one that has any."""
    scheme = parse_url(url)["scheme"]
    side = "client" if kind == "dialer" else "server"
    if tls is not None:
        check_tls(tls, side)
    if not scheme.startswith(("tls+tcp", "wss")):
        if tls is not None:
            raise exception_for(ENOTSUP, f"{url!r} is no address of tls+tcp:// or wss://")
        return None
    if tls is None and side == "client" and scheme.startswith("wss"):
        warnings.warn(f"the peer at {url!r} is not verified: give `tls`", NngWarning, stacklevel=3)
        return tls_config()
    if tls is None:
        raise exception_for(EINVAL, f"{url!r} needs `tls`: tls_config({side}=...)")
    return tls


def _open_endpoint(kind: str, url: str) -> _Ends:
    out = new(f"nng_stream_{kind} **")
    life.started = True
    allocate = getattr(nng, f"stream_{kind}_alloc")
    check(allocate(out, url.encode("utf-8", "surrogateescape")), f"a stream for {url!r}")
    return _Ends(kind, out[0], is_websocket(url), Gate())


def _encrypt(ends: _Ends, url: str, tls: TlsConfig) -> None:
    host = parse_url(url)["hostname"] if ends.kind == "dialer" else ""
    set_pointer = getattr(nng, f"stream_{ends.kind}_set_ptr")
    check(set_pointer(ends.endpoint, b"tls-config", tls.handle_for(host)), "`tls`")


def _configure(ends: _Ends, url: str, textframes: bool, headers: Mapping[str, str] | None) -> None:
    if not ends.websocket:
        if textframes or headers:
            name = "textframes" if textframes else "headers"
            raise exception_for(ENOTSUP, f"`{name}` is for ws:// and wss://, not {url!r}")
        return
    if textframes:
        set_bool = getattr(nng, f"stream_{ends.kind}_set_bool")
        for option in (b"ws:recv-text", b"ws:send-text"):
            check(set_bool(ends.endpoint, option, True), "`textframes`")
    for name, value in (headers or {}).items():
        _check_header(name, value)
        if ends.kind == "listener":
            raise exception_for(ENOTSUP, "`headers` of a response: NNG 1.11 crashes on them")
        option = f"ws:request-header:{name}".encode()
        content = value.encode("utf-8", "surrogateescape")
        check(nng.stream_dialer_set_string(ends.endpoint, option, content), "`headers`")


def _check_header(name: str, value: str) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"`headers` must map str to str, not {name!r} to {value!r}")
    if not _HEADER.match(name) or any(c in value for c in "\r\n\0"):
        raise ValueError(f"`headers` holds no valid header: {name!r}: {value!r}")


def _connect(ends: _Ends, url: str, timeout: int) -> Any:
    start: Callable[[Any, Any], None] = nng.stream_dialer_dial
    if ends.kind == "listener":
        check(nng.stream_listener_listen(ends.endpoint), f"a stream at {url!r}")
        start = nng.stream_listener_accept
    operation = _Connect(ends.gate, timeout)
    operation.begin(start, ends.endpoint)
    interruption = operation.wait_or_abort()
    if interruption is not None:
        ends.stream = operation.stream  # if it came in that very moment, it goes with the rest
        raise interruption
    check(operation.result or 0, f"a stream for {url!r}")
    return operation.stream
