"""Pipes, the live connections of a socket: watch them come and go, look at one, refuse or close one."""

from __future__ import annotations

import itertools
import os
import re
import signal
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nngsock._native import ffi, lib, life, new, nng, refuse, text
from nngsock.callbacks import log_exception
from nngsock.errors import ECLOSED, ErrorValue, NngsockError, check, exception_for
from nngsock.reaper import pause
from nngsock.sync import ConditionVariable

if TYPE_CHECKING:
    from nngsock.lifelines import Lifeline
    from nngsock.sockets import Socket

__all__ = (
    "Monitor",
    "PipeInfo",
    "close_pipe",
    "monitor",
    "on_pipe",
    "pipe_info",
    "pipe_notify",
    "read_monitor",
)

PipeFunction = Callable[[str, int], object]

EVENTS: Final = {
    lib.NNG_PIPE_EV_ADD_PRE: "add_pre",
    lib.NNG_PIPE_EV_ADD_POST: "add",
    lib.NNG_PIPE_EV_REM_POST: "remove",
}
SIGTERM_GRACE_SECONDS: Final = 0.2
_UP_TO_COMMA: Final = re.compile(rb"(?:\\.|[^\\,+])*", re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\([0-9A-F]{2})|\\(.)", re.DOTALL)

_keys = itertools.count(1)
_watches: weakref.WeakValueDictionary[int, PipeWatch] = weakref.WeakValueDictionary()
_UINTPTR = ffi.typeof("uintptr_t")


class PipeWatch:
    """Who is told about the pipes of one socket: NNG knows one callback an event, this knows many."""

    __slots__ = (
        "__weakref__",
        "_handle",
        "_key",
        "_lifelines",
        "_lock",
        "_look_after_pipe",
        "functions",
        "notified",
        "websocket",
    )

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._key: int | None = None
        self._lock = threading.RLock()
        self.functions: tuple[PipeFunction, ...] = ()
        self.notified: dict[str, PipeFunction] = {}
        self.websocket = False  # whether the socket has connections of ws:// or wss://
        # How to look after connections, where there may be some whose loss NNG does not tell.
        self._look_after_pipe: Callable[[int, Any], Lifeline] | None = None
        self._lifelines: dict[int, Lifeline] = {}

    def expect_websockets(self) -> None:
        """Have the end of connections wait for what NNG still does with them."""
        self.websocket = True
        self._register()

    def expect_untold_losses(self) -> None:
        """Look after connections whose loss NNG may not tell."""
        if _callback is not None:  # else the loss of some goes unnoticed
            from nngsock.lifelines import look_after_pipe

            self._look_after_pipe = look_after_pipe
            self._register()

    def look_after(self, event: str, pipe: Any) -> None:
        """Begin or end to look after one."""
        if event == "add" and self._look_after_pipe is not None:
            self._lifelines[pipe.id] = self._look_after_pipe(pipe.id, self._handle)
        elif event == "remove" and (lifeline := self._lifelines.pop(pipe.id, None)) is not None:
            lifeline.let_go()

    def add(self, function: PipeFunction) -> None:
        self._register()
        with self._lock:
            self.functions += (function,)

    def remove(self, function: PipeFunction) -> None:
        with self._lock:
            self.functions = tuple(f for f in self.functions if f is not function)

    def notify(self, event: str, function: PipeFunction | None) -> None:
        """Set or clear the one function that `pipe_notify` has for an event."""
        if function is None:
            self.notified.pop(event, None)
        else:
            self._register()
            self.notified[event] = function

    def _register(self) -> None:
        if life.forked:
            refuse()
        with self._lock:
            if self._key is not None:
                return
            if _callback is None:
                raise NngsockError("pipe events need executable memory, which this kernel forbids")
            key = next(_keys)
            _watches[key] = self
            self._key = key
        for event in EVENTS:
            check(nng.pipe_notify(self._handle, event, _callback, ffi.cast("void *", key)))

    def tell(self, event: str, pipe: int) -> bool:
        """Call everybody; False if one of them refuses the pipe."""
        accepted = True
        notified = self.notified.get(event)
        for function in (*self.functions, notified) if notified else self.functions:
            try:
                if function(event, pipe) is False:
                    accepted = False
            except Exception as error:
                log_exception(type(error), error, error.__traceback__)
        return accepted


def _on_event(pipe: Any, event: int, key: Any) -> None:
    """Tell those who watch; called by NNG."""
    watch = _watches.get(int(ffi.cast(_UINTPTR, key)))
    if watch is None:
        return
    name = EVENTS[event]
    watch.look_after(name, pipe)
    if not life.closing and not watch.tell(name, pipe.id) and name == "add_pre":
        lib.nng_pipe_close(pipe)
    if watch.websocket and name == "remove":
        pause()


def _make_callback() -> Any:
    try:
        return ffi.callback("void(nng_pipe, nng_pipe_ev, void *)", _on_event, onerror=log_exception)
    except MemoryError:  # a kernel that forbids executable memory
        return None


_callback = _make_callback()


def _watch_of(socket: Socket) -> PipeWatch:
    watch = getattr(socket, "watch", None)
    if not isinstance(watch, PipeWatch):
        raise TypeError(f"`socket` is not a valid Socket: {socket!r}")
    check(socket.try_use())
    return watch


def on_pipe(socket: Socket, fn: PipeFunction) -> Callable[[], None]:
    """Have a function called when a connection of a socket comes or goes.

    Args:
        socket: The socket.
        fn: Called with the event and the pipe, on a thread of NNG, so it must be quick and must not wait.
            "add_pre": a connection has been made and can still be refused, by returning False. "add": it is
            in use; no message from it has been received yet. "remove": it is gone.

    Returns:
        A function that ends it.

    Example:
        >>> with nngsock.socket("pair", listen="inproc://on_pipe") as s:
        ...     end = nngsock.on_pipe(s, lambda event, pipe: print(event))
        ...     end()
    """
    if not callable(fn):
        raise TypeError(f"`fn` must be a function of event and pipe, not {fn!r}")
    watch = _watch_of(socket)

    def call(event: str, pipe: int) -> object:
        return fn(event, pipe)

    watch.add(call)
    return lambda: watch.remove(call)


def close_pipe(socket: Socket, pipe: int) -> int:
    """Cut a connection; a dialer makes a new one.

    Args:
        socket: The socket.
        pipe: The pipe.

    Returns:
        0, or the error 7 if it is gone or another socket's.

    Example:
        >>> joined = nngsock.cv()
        >>> with nngsock.socket("pair", listen="inproc://close_pipe") as a, nngsock.socket("pair") as b:
        ...     watching = nngsock.monitor(a, joined)
        ...     _ = nngsock.dial(b, "inproc://close_pipe"), nngsock.wait(joined)
        ...     (pipe,) = nngsock.read_monitor(watching)
        ...     nngsock.close_pipe(a, pipe)
        0
    """
    _watch_of(socket)
    handle = _pipe_handle(socket, pipe)
    return ErrorValue(ECLOSED) if handle is None or nng.pipe_close(handle) else 0


def _pipe_handle(socket: Socket, pipe: int) -> Any:
    """NNG's handle of a pipe of this socket; None if there is none."""
    handle = new("nng_pipe *", (pipe,))[0]
    return handle if nng.pipe_socket(handle).id == socket.handle.id else None


@dataclass(frozen=True, slots=True)
class PipeInfo:
    """What is known of a connection's other end; None where its transport does not tell.

    Attributes:
        pipe: The pipe.
        address: The peer's address, as NNG writes it.
        pid: The peer's process id (ipc, abstract).
        uid: The peer's user id (ipc, abstract).
        gid: The peer's group id (ipc, abstract).
        tls_verified: Whether the peer's certificate has been verified.
        tls_peer_cn: The common name in the peer's certificate; worth nothing unless that was verified.
    """

    pipe: int
    address: str | None
    pid: int | None
    uid: int | None
    gid: int | None
    tls_verified: bool | None
    tls_peer_cn: str | None


def pipe_info(socket: Socket, pipe: int) -> PipeInfo:
    """What is known of a connection's other end.

    Args:
        socket: The socket.
        pipe: The pipe.

    Raises:
        NngError: 7, the pipe is gone or another socket's.

    Example:
        >>> joined = nngsock.cv()
        >>> with nngsock.socket("pair", listen="tcp://127.0.0.1:0") as a, nngsock.socket("pair") as b:
        ...     watching = nngsock.monitor(a, joined)
        ...     _ = nngsock.dial(b, a.listener[0].url), nngsock.wait(joined)
        ...     (pipe,) = nngsock.read_monitor(watching)
        ...     nngsock.pipe_info(a, pipe).address.startswith("127.0.0.1:")
        True
    """
    _watch_of(socket)
    handle = _pipe_handle(socket, pipe)
    if handle is None:
        raise exception_for(ECLOSED, f"the socket has no pipe {pipe}")
    return PipeInfo(
        pipe,
        _address(handle),
        _number(handle, b"ipc:peer-pid"),
        _number(handle, b"ipc:peer-uid"),
        _number(handle, b"ipc:peer-gid"),
        _verified(handle),
        _common_name(handle),
    )


def _number(handle: Any, name: bytes) -> int | None:
    out = new("uint64_t *")
    return None if nng.pipe_get_uint64(handle, name, out) else int(out[0])


def _verified(handle: Any) -> bool | None:
    out = new("bool *")
    return None if nng.pipe_get_bool(handle, b"tls-verified", out) else bool(out[0])


def _common_name(handle: Any) -> str | None:
    out = new("char **")
    if nng.pipe_get_string(handle, b"tls-peer-cn", out) or not out[0]:
        return None  # without TLS, or a peer without certificate
    subject = ffi.string(out[0])
    nng.strfree(out[0])
    return common_name_of(subject)


def common_name_of(subject: bytes) -> str:
    """The common name with which a subject begins, as NNG gives it: with what follows, and escaped."""
    end = _UP_TO_COMMA.match(subject).end()  # type: ignore[union-attr]  # it matches anything
    name = _ESCAPE.sub(lambda m: bytes.fromhex(m[1].decode()) if m[1] else m[2], subject[:end])
    return name.decode("utf-8", "surrogateescape")


def _address(handle: Any) -> str | None:
    out = new("nng_sockaddr *")
    if nng.pipe_get_addr(handle, b"remote-address", out):
        return None
    buffer = new("char[]", 256)
    nng.str_sockaddr(out, buffer, 256)
    return text(buffer)


def pipe_notify(
    socket: Socket,
    cv: ConditionVariable | None,
    add: bool = False,
    remove: bool = False,
    flag: bool | int = False,
) -> int:
    """Signal a condition variable when a connection comes or goes.

    There is one for each of the two events; a new call replaces it.

    Args:
        socket: The socket.
        cv: The condition variable; None ends it for the events that are chosen.
        add: For new connections.
        remove: For lost connections.
        flag: True also sets the flag of `cv`. The number of a signal (above 1) sets the flag and raises that
            signal in this process, SIGTERM after 200 ms, so that the process may end by itself before.

    Returns:
        0.

    Example:
        >>> joined = nngsock.cv()
        >>> with nngsock.socket("pair", listen="inproc://notify") as a, nngsock.socket("pair") as b:
        ...     _ = nngsock.pipe_notify(a, joined, add=True), nngsock.dial(b, "inproc://notify")
        ...     nngsock.wait(joined)
        True
    """
    if cv is not None and not isinstance(cv, ConditionVariable):
        raise TypeError(f"`cv` is not a valid Condition Variable: {cv!r}")
    watch = _watch_of(socket)
    function = None if cv is None else _notifier(cv, flag)
    for event, chosen in (("add", add), ("remove", remove)):
        if chosen:
            watch.notify(event, function)
    return 0


def _notifier(cv: ConditionVariable, flag: bool | int) -> PipeFunction:
    number = signal.Signals(flag) if flag > 1 else 0

    def notify(_event: str, _pipe: int) -> None:
        if flag:
            cv.flag()
        else:
            cv.signal()
        if number:
            _raise_signal(number)

    return notify


def _raise_signal(number: int) -> None:
    if number != signal.SIGTERM:
        os.kill(os.getpid(), number)
        return
    timer = threading.Timer(SIGTERM_GRACE_SECONDS, os.kill, (os.getpid(), number))
    timer.name = "nngsock-sigterm"
    timer.daemon = True
    timer.start()


class Monitor:
    """A record of the connections of a socket that came and went. Made by `monitor`."""

    __slots__ = ("_cv", "_end", "_events", "_lock", "socket")

    def __init__(self, socket: Socket, cv: ConditionVariable) -> None:
        self.socket = socket
        self._cv = cv
        self._lock = threading.RLock()
        self._events: list[int] = []
        self._end: Callable[[], None] | None = on_pipe(socket, self._record)

    def __repr__(self) -> str:
        return f"< nanoMonitor >\n - socket: {self.socket.id}"

    def _record(self, event: str, pipe: int) -> None:
        if event == "add_pre":
            return
        with self._lock:
            self._events.append(pipe if event == "add" else -pipe)
        self._cv.signal()

    def read(self) -> list[int] | None:
        """What has happened since the last time.

        Returns:
            The id of each new pipe, and minus the id of each lost one, in order; None for nothing.
        """
        with self._lock:
            events, self._events = self._events, []
        return events or None

    def close(self) -> int:
        """End it; returns 0."""
        return self.try_close()

    def try_close(self) -> int:
        """End it; returns 0."""
        if self._end is not None:
            self._end()
            self._end = None
        return 0


def monitor(socket: Socket, cv: ConditionVariable) -> Monitor:
    """Record the connections of a socket that come and go.

    Args:
        socket: The socket.
        cv: A condition variable to signal at each event.

    Returns:
        The monitor, to be read with `read_monitor`.

    Example:
        >>> happened = nngsock.cv()
        >>> with nngsock.socket("pair", listen="inproc://monitor") as a, nngsock.socket("pair") as b:
        ...     watching = nngsock.monitor(a, happened)
        ...     _ = nngsock.dial(b, "inproc://monitor"), nngsock.wait(happened)
        ...     [pipe > 0 for pipe in nngsock.read_monitor(watching)]
        [True]
    """
    if not isinstance(cv, ConditionVariable):
        raise TypeError(f"`cv` is not a valid Condition Variable: {cv!r}")
    return Monitor(socket, cv)


def read_monitor(x: Monitor) -> list[int] | None:
    """What has happened since the last time; see `Monitor.read`.

    Example:
        >>> with nngsock.socket("pair") as s:
        ...     print(nngsock.read_monitor(nngsock.monitor(s, nngsock.cv())))
        None
    """
    if not isinstance(x, Monitor):
        raise TypeError(f"`x` is not a valid Monitor: {x!r}")
    return x.read()
