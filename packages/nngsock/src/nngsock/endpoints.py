"""Dialers and listeners: how a socket gets its connections."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from nngsock import options, stats
from nngsock._native import NONBLOCK, new, nng, text
from nngsock.errors import (
    EADDRINUSE,
    EBUSY,
    ECLOSED,
    EINVAL,
    ENOENT,
    ENOTSUP,
    ErrorValue,
    NngError,
    NngWarning,
    check,
    exception_for,
    nng_error,
)
from nngsock.reaper import hold_up
from nngsock.sync import acquire
from nngsock.tls import TlsConfig
from nngsock.url import is_websocket, may_be_lost_untold, parse_url

if TYPE_CHECKING:
    from nngsock.sockets import Socket

__all__ = ("Dialer", "Endpoint", "EndpointList", "Listener", "close", "dial", "listen", "reap", "start")

DEFAULT_URL: Final = "inproc://nanonext"
IPC_SCHEMES: Final = ("ipc://", "unix://")
_WEBSOCKET_PORT_0: Final = re.compile(r"(wss?://(?:\[[^]]*]|[^/:]*)):0(?=/|$)")
TLS_SCHEMES: Final = ("tls+tcp", "wss://")


class Endpoint:
    """What dialers and listeners have in common.

    Attributes:
        handle: NNG's dialer or listener.
        tls: Its TLS configuration; None for none.
    """

    __slots__ = ("__weakref__", "_state", "_url", "handle", "tls")

    opt = options.opt
    set_opt = options.set_opt
    stat = stats.stat

    kind: str
    tls_mode: str

    def __init__(self, socket: Socket, url: str) -> None:
        pointer = new(f"nng_{self.kind} *")
        code = getattr(nng, f"{self.kind}_create")(pointer, socket.handle, _c_url(url))
        check(code, _remedy(self.kind, url, code))
        self.handle = pointer[0]
        self._state = "not started"
        self._url = url
        self.tls: TlsConfig | None = None

    def __repr__(self) -> str:
        return (
            f"< nano{self.kind.capitalize()} >\n - id: {self.id}\n - state: {self.state}\n - url: {self.url}"
        )

    @property
    def id(self) -> int:
        """NNG's number for it."""
        return int(getattr(nng, f"{self.kind}_id")(self.handle))

    @property
    def state(self) -> str:
        """'not started', 'started' or 'closed'."""
        if self._state == "started" and self.read_url() is None:
            self._state = "closed"  # with its socket
        return self._state

    @property
    def url(self) -> str:
        """The address, with the real port where port 0 was asked for."""
        return self.read_url() or self._url

    def read_url(self) -> str | None:
        """The address that NNG knows; None when closed."""
        out = new("char **")
        if getattr(nng, f"{self.kind}_get_string")(self.handle, b"url", out):
            return None
        url = text(out[0])
        nng.strfree(out[0])
        self._url = url
        return url

    def use_tls(self, config: TlsConfig) -> None:
        """Encrypt its connections; see the option "tls-config".

        Raises:
            NngError: 9 its address is not one of tls+tcp or wss, 4 it has been started.
            ValueError: The configuration is for the other side.
        """
        check_tls(config, self.tls_mode)
        if self.state != "not started":
            raise exception_for(EBUSY, f"'tls-config' is for a {self.kind} that is not started")
        host = parse_url(self._url)["hostname"] if self.tls_mode == "client" else ""
        code = getattr(nng, f"{self.kind}_set_ptr")(self.handle, b"tls-config", config.handle_for(host))
        check(code, f"{self._url!r} is no address of tls+tcp:// or wss://")
        self.tls = config

    def start(self, async_: bool = True) -> int:
        """Start it.

        Args:
            async_: For a dialer: return at once and go on trying. False waits, and fails if nobody listens.

        Returns:
            0, or an `ErrorValue` with an `NngWarning`.
        """
        if self.state == "closed":
            return warn(ENOENT)
        result = self.try_start(NONBLOCK if async_ else 0)
        return warn(result) if result else 0

    def try_start(self, flags: int) -> int:
        """Start it; the error number."""
        result: int = getattr(nng, f"{self.kind}_start")(self.handle, flags)
        if not result:
            self._state = "started"
            self.read_url()
        return result

    def close(self) -> int:
        """Close it; the socket's connections that it has made are closed too.

        Returns:
            0, or the error 12 with an `NngWarning` if it is closed.
        """
        result = self.try_close()
        return warn(result) if result else 0

    def try_close(self) -> int:
        """Close it; the error number."""
        if self._state == "closed":
            return ENOENT
        if is_websocket(self._url):
            hold_up()
        result: int = getattr(nng, f"{self.kind}_close")(self.handle)
        self._state = "closed"
        return ENOENT if result == ECLOSED else result


class Dialer(Endpoint):
    """An address that a socket connects to, again and again until it is closed."""

    __slots__ = ()
    kind = "dialer"
    tls_mode = "client"

    def try_start(self, flags: int) -> int:
        """Start it; the error number. Waiting is interrupted by Ctrl-C, which closes the dialer."""
        if flags or threading.current_thread() is not threading.main_thread():
            return super().try_start(flags)
        outcome: list[int] = []
        over = threading.Lock()
        over.acquire()

        def wait_for_peer() -> None:
            outcome.append(super(Dialer, self).try_start(flags))
            over.release()

        thread = threading.Thread(target=wait_for_peer, name="nngsock-dial", daemon=True)
        thread.start()
        try:
            acquire(over)
        except BaseException:
            self.try_close()
            raise
        thread.join()
        return outcome[0]


class Listener(Endpoint):
    """An address at which a socket accepts connections."""

    __slots__ = ()
    kind = "listener"
    tls_mode = "server"

    def read_url(self) -> str | None:
        """The address that NNG knows, where it leaves port 0 with the real one; None when closed."""
        url = super().read_url()
        port_0 = _WEBSOCKET_PORT_0.match(url) if url and self._state == "started" else None
        if url is None or port_0 is None:
            return url
        out = new("int *")
        if not nng.listener_get_int(self.handle, b"tcp-bound-port", out):
            self._url = url = f"{port_0[1]}:{out[0]}{url[port_0.end() :]}"
        return url


class EndpointList:
    """The dialers and listeners of one socket, in order of creation."""

    __slots__ = ("_lock", "dialers", "listeners")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.dialers: tuple[Dialer, ...] = ()
        self.listeners: tuple[Listener, ...] = ()

    def add(self, endpoint: Endpoint) -> None:
        """Add one at the end."""
        with self._lock:
            if isinstance(endpoint, Dialer):
                self.dialers += (endpoint,)
            elif isinstance(endpoint, Listener):
                self.listeners += (endpoint,)


E_ = TypeVar("E_", bound=Endpoint)
Fail = Literal["warn", "error", "none", 1, 2, 3]
_FAIL: Final[dict[Any, str]] = {
    "warn": "warn",
    1: "warn",
    "error": "error",
    2: "error",
    "none": "none",
    3: "none",
}


def _c_url(url: str) -> bytes:
    if not isinstance(url, str):
        raise TypeError(f"`url` must be a str, not {url!r}")
    if "\0" in url:
        raise exception_for(EINVAL, f"url {url!r} contains a NUL")
    return url.encode("utf-8", "surrogateescape")


def warn(code: int) -> ErrorValue:
    """The error as a value, and a warning that says so."""
    warnings.warn(nng_error(code), NngWarning, stacklevel=3)
    return ErrorValue(code)


def _failed(code: int, fail: str, detail: str) -> ErrorValue:
    if fail == "error":
        raise exception_for(code, detail)
    if fail == "warn":
        warnings.warn(f"{nng_error(code)}: {detail}", NngWarning, stacklevel=4)
    return ErrorValue(code)


def check_tls(config: object, mode: str) -> None:
    """Raise unless this is a TLS configuration for one's side."""
    if not isinstance(config, TlsConfig):
        raise TypeError(f"`tls` is not a valid TLS Configuration: {config!r}")
    if config.mode != mode:
        raise ValueError(f"`tls` is for a {config.mode}; here tls_config({mode}=...) is needed")


def _remedy(kind: str, url: str, code: int) -> str:
    if code == ENOTSUP and url.startswith("abstract:") and sys.platform != "linux":
        return f"{url!r}: abstract sockets exist on Linux only, use ipc:// here"
    return f"{kind} for {url!r}"


def _blocked_by_file(url: str) -> bool:
    """Whether a file that is no socket is in the way, which NNG would delete."""
    for scheme in IPC_SCHEMES:
        if url.startswith(scheme):
            try:
                return not stat.S_ISSOCK(os.lstat(url.removeprefix(scheme)).st_mode)
            except (OSError, ValueError):
                return False
    return False


def _create(kind: type[E_], socket: Socket, url: str, tls: TlsConfig | None) -> E_:
    check(socket.try_use(), f"{kind.kind} for {url!r}")
    if kind is Listener and _blocked_by_file(url):
        raise exception_for(EADDRINUSE, f"{url!r} is a file and no socket: remove it first")
    endpoint = kind(socket, url)
    if is_websocket(url):
        socket.expect_websockets()
    if may_be_lost_untold(url):
        socket.watch.expect_untold_losses()
    if tls is not None:
        try:
            endpoint.use_tls(tls)
        except NngError:
            endpoint.try_close()
            raise
    return endpoint


def _add(
    kind: type[E_], socket: Socket, url: str, tls: TlsConfig | None, autostart: bool | None, fail: Fail
) -> int:
    endpoints = getattr(socket, "endpoints", None)
    if not isinstance(endpoints, EndpointList):
        raise TypeError(f"`socket` is not a valid Socket: {socket!r}")
    if fail not in _FAIL or fail is True:
        raise ValueError(f"`fail` should be one of: warn, error, none; not {fail!r}")
    if tls is not None:
        check_tls(tls, kind.tls_mode)
    try:
        endpoint = _create(kind, socket, url, tls)
    except NngError as error:
        return _failed(error.code, _FAIL[fail], str(error).partition(": ")[2])
    if autostart is not False:
        if endpoint.tls is None and url.startswith(TLS_SCHEMES):
            endpoint.try_close()
            return _failed(EINVAL, _FAIL[fail], f"{url!r} needs `tls`: tls_config({kind.tls_mode}=...)")
        code = endpoint.try_start(0 if autostart is None else NONBLOCK)
        if code:
            endpoint.try_close()
            return _failed(code, _FAIL[fail], _remedy(kind.kind, url, code))
    endpoints.add(endpoint)
    return 0


def dial(
    socket: Socket,
    url: str = DEFAULT_URL,
    tls: TlsConfig | None = None,
    autostart: bool | None = True,
    fail: Fail = "warn",
) -> int:
    """Add a dialer, which connects to an address and, once started, does so again whenever the peer is lost.

    Args:
        socket: The socket.
        url: inproc://name, ipc:///path, abstract://name, tcp://host:port, ws://host:port/path,
            tls+tcp://host:port, wss://host:port/path.
        tls: For tls+tcp and wss, whom to trust; the server's certificate must name the host of the URL.
        autostart: True starts and returns at once, whether or not anybody listens there yet. None waits
            for the connection, and fails with 6 if nobody listens. False does not start.
        fail: "warn", "error" or "none" (or 1, 2, 3): return the error with an `NngWarning`, raise
            it, or just return it.

    Returns:
        0, or an `ErrorValue`; then no dialer has been added.

    Example:
        >>> with nngsock.socket("pair") as s:
        ...     nngsock.dial(s, "inproc://nobody", autostart=None, fail="none"), nngsock.dial(s, "inproc://nobody")
        (errorValue 6 | Connection refused, 0)
    """
    return _add(Dialer, socket, url, tls, autostart, fail)


def listen(
    socket: Socket,
    url: str = DEFAULT_URL,
    tls: TlsConfig | None = None,
    autostart: bool | None = True,
    fail: Fail = "warn",
) -> int:
    """Add a listener, which accepts connections at an address.

    Args:
        socket: The socket.
        url: inproc://name, ipc:///path, abstract://name, tcp://host:port, ws://host:port/path,
            tls+tcp://host:port, wss://host:port/path. Port 0 takes a
            free one: see `socket.listener[-1].url`.
        tls: For tls+tcp and wss, certificate and key.
        autostart: False does not start it.
        fail: "warn", "error" or "none" (or 1, 2, 3): return the error with an `NngWarning`, raise
            it, or just return it.

    Returns:
        0, or an `ErrorValue`: 10 if the address is in use (also if it is an ipc path at which there is
        something else than a socket). Then no listener has been added.

    Example:
        >>> with nngsock.socket("pair") as s:
        ...     nngsock.listen(s, "tcp://127.0.0.1:0"), s.listener[0].url != "tcp://127.0.0.1:0"
        (0, True)
    """
    return _add(Listener, socket, url, tls, autostart, fail)


def start(x: Endpoint, async_: bool = True) -> int:
    """Start a dialer or listener; see `Endpoint.start`.

    Example:
        >>> with nngsock.socket("pair") as s:
        ...     _ = nngsock.listen(s, "inproc://start", autostart=False)
        ...     s.listener[0].state, nngsock.start(s.listener[0]), s.listener[0].state
        ('not started', 0, 'started')
    """
    if not isinstance(x, Endpoint):
        raise TypeError(f"`x` is not a valid Dialer or Listener: {x!r}")
    return x.start(async_)


def close(x: Any, linger: float | None = None) -> int:
    """Close a socket, context, dialer, listener or monitor.

    Args:
        x: What to close. Pending operations on it resolve to 7.
        linger: For a socket: first wait, at most this many milliseconds, until its sends under way are done.

    Returns:
        0; the error 7 (socket, context) or 12 (dialer, listener), with an `NngWarning`, if it is closed.

    Example:
        >>> s = nngsock.socket("pair")
        >>> aio = nngsock.recv_aio(s)
        >>> nngsock.close(s), aio.collect()
        (0, errorValue 7 | Object closed)
    """
    if not callable(getattr(x, "close", None)) or not callable(getattr(x, "try_close", None)):
        raise TypeError(f"`x` cannot be closed: {x!r}")
    return int(x.close() if linger is None else x.close(linger))


def reap(con: Any) -> int:
    """Close a socket, context, dialer or listener without a warning.

    Returns:
        0, an error if it is closed, or 3 if it cannot be closed.

    Example:
        >>> s = nngsock.socket("pair")
        >>> nngsock.reap(s), nngsock.reap(s), nngsock.reap("no socket")
        (0, errorValue 7 | Object closed, errorValue 3 | Invalid argument)
    """
    if not callable(getattr(con, "try_close", None)):
        return ErrorValue(EINVAL)
    code = con.try_close()
    return ErrorValue(ECLOSED) if code else 0
