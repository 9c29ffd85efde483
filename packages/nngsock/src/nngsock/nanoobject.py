"""Nano objects: a socket with its dialers, listeners and context behind one name."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar

from nngsock import endpoints, stats, transfer
from nngsock.errors import ECLOSED, NngsockError
from nngsock.sockets import Context, Socket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nngsock.aio import RecvAio, SendAio
    from nngsock.endpoints import Dialer, Endpoint, Listener
    from nngsock.sync import ConditionVariable
    from nngsock.tls import TlsConfig

__all__ = ("Nano", "nano")

WITH_CONTEXTS: Final = ("req", "rep", "sub", "surveyor", "respondent")

P = ParamSpec("P")
T = TypeVar("T")


class _Only:
    """A method that a nano object has for some protocols only."""

    def __init__(self, protocols: Sequence[str], method: Callable[..., Any]) -> None:
        self.protocols = protocols
        self._method = method
        functools.update_wrapper(self, method)  # type: ignore[arg-type]  # for its name and documentation

    def __get__(self, nano: Nano | None, owner: type) -> Any:
        if nano is None:
            return self
        if nano.socket.protocol not in self.protocols:
            raise AttributeError(
                f"a nano object of protocol {nano.socket.protocol!r} has no {self._method.__name__!r}, "
                f"one of {', '.join(self.protocols)} has"
            )
        return self._method.__get__(nano, owner)


def _only(*protocols: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    def decorate(method: Callable[P, T]) -> Callable[P, T]:
        return _Only(protocols, method)  # type: ignore[return-value]  # it looks like the method

    return decorate


class Nano:
    """A socket, its dialers and listeners, and perhaps a context, behind one name.

    While a context is open (`context_open`), messages, options, subscriptions and the survey time are those
    of the context. What its protocol does not have, an object has not either.

    Args:
        proto: The protocol, as for `socket`.
        dial: An address to dial, as in `dial`.
        listen: An address to listen at, as in `listen`.
        tls: For both.
        autostart: For both.

    Attributes:
        socket: The socket.
        context: The context that is open; None without one.

    Example:
        >>> a, b = nngsock.nano("rep", listen="inproc://nano"), nngsock.nano("req", dial="inproc://nano")
        >>> with a, b:
        ...     _ = b.context_open().send("question", block=1000)
        ...     a.recv(block=1000)
        'question'
    """

    def __init__(
        self,
        proto: str = "bus",
        dial: str | None = None,
        listen: str | None = None,
        tls: TlsConfig | None = None,
        autostart: bool | None = True,
    ) -> None:
        self.socket = Socket(proto)
        self.context: Context | None = None
        if dial is not None:
            self.dial(dial, tls, autostart)
        if listen is not None:
            self.listen(listen, tls, autostart)

    def __repr__(self) -> str:
        return repr(self.socket).replace("< nanoSocket >\n - id:", "< nano object >\n - socket id:")

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if hasattr(self, name)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.socket.__exit__(*exc_info)

    @property
    def _con(self) -> Socket | Context:
        return self.context or self.socket

    @property
    def dialer(self) -> tuple[Dialer, ...]:
        """The socket's dialers, in order of creation."""
        return self.socket.dialer

    @property
    def listener(self) -> tuple[Listener, ...]:
        """The socket's listeners, in order of creation."""
        return self.socket.listener

    def dial(
        self, url: str = endpoints.DEFAULT_URL, tls: TlsConfig | None = None, autostart: bool | None = True
    ) -> int:
        """Add a dialer; see `nngsock.dial`. An error is its value, with an `NngWarning`."""
        return endpoints.dial(self.socket, url, tls, autostart)

    def listen(
        self, url: str = endpoints.DEFAULT_URL, tls: TlsConfig | None = None, autostart: bool | None = True
    ) -> int:
        """Add a listener; see `nngsock.listen`. An error is its value, with an `NngWarning`."""
        return endpoints.listen(self.socket, url, tls, autostart)

    def close(self) -> int:
        """Close the socket, and the context with it; see `nngsock.close`."""
        return self.socket.close()

    def send(
        self, data: Any, mode: str | int = "serial", block: bool | float | None = None, pipe: int = 0
    ) -> int:
        """Send a message; see `nngsock.send`.

        Raises:
            TypeError: `pipe` is given, and the protocol is not poly.
        """
        return transfer.send(self._con, data, mode, block, self._checked(pipe))

    def recv(self, mode: str | int = "serial", block: bool | float | None = None) -> Any:
        """Receive a message; see `nngsock.recv`."""
        return transfer.recv(self._con, mode, block)

    def send_aio(
        self, data: Any, mode: str | int = "serial", timeout: float | None = None, pipe: int = 0
    ) -> SendAio:
        """Send a message asynchronously; see `nngsock.send_aio`.

        Raises:
            TypeError: `pipe` is given, and the protocol is not poly.
        """
        return transfer.send_aio(self._con, data, mode, timeout, self._checked(pipe))

    def recv_aio(
        self,
        mode: str | int = "serial",
        timeout: float | None = None,
        cv: ConditionVariable | None = None,
    ) -> RecvAio:
        """Receive a message asynchronously; see `nngsock.recv_aio`."""
        return transfer.recv_aio(self._con, mode, timeout, cv)

    def _checked(self, pipe: int) -> int:
        if pipe and self.socket.protocol != "poly":
            raise TypeError(f"`pipe` is for protocol 'poly', this one is {self.socket.protocol!r}")
        return pipe

    def opt(self, name: str, *value: Any) -> Any:
        """Read an option, or set it if a value is given; see `nngsock.opt`."""
        return self._con.opt(name, *value)

    def stat(self, name: str) -> int | str | None:
        """Read a statistic of the socket; see `nngsock.stat`."""
        return stats.stat(self.socket, name)

    def dialer_opt(self, name: str, *value: Any) -> list[Any]:
        """Read an option of each dialer, or set it; the values, or the dialers."""
        return [dialer.opt(name, *value) for dialer in self.dialer]

    def listener_opt(self, name: str, *value: Any) -> list[Any]:
        """Read an option of each listener, or set it; the values, or the listeners."""
        return [listener.opt(name, *value) for listener in self.listener]

    def dialer_start(self, async_: bool = True) -> int:
        """Start the newest dialer; see `nngsock.start`."""
        return _newest(self.dialer, "dialer").start(async_)

    def listener_start(self) -> int:
        """Start the newest listener; see `nngsock.start`."""
        return _newest(self.listener, "listener").start()

    @_only(*WITH_CONTEXTS)
    def context_open(self) -> Context:
        """Open a context, which takes the place of the socket, or of the context that was open before.

        Returns:
            The context.
        """
        self.context = Context(self.socket)
        return self.context

    @_only(*WITH_CONTEXTS)
    def context_close(self) -> int:
        """Close the context; the socket takes its place again.

        Returns:
            0, or the error 7 with an `NngWarning` if none is open.
        """
        context, self.context = self.context, None
        return endpoints.warn(ECLOSED) if context is None else context.close()

    @_only("sub")
    def subscribe(self, topic: Any = None) -> Self:
        """Receive the messages that begin with a topic; see `nngsock.subscribe`."""
        self._con.subscribe(topic)
        return self

    @_only("sub")
    def unsubscribe(self, topic: Any = None) -> Self:
        """Undo `subscribe`; see `nngsock.unsubscribe`."""
        self._con.unsubscribe(topic)
        return self

    @_only("surveyor")
    def survey_time(self, value: float = 1000) -> Self:
        """Set how long answers are waited for, in milliseconds; see `nngsock.survey_time`."""
        self._con.survey_time(value)
        return self


def _newest(made: Sequence[Endpoint], kind: str) -> Endpoint:
    if not made:
        raise NngsockError(f"there is no {kind} to start: make one with autostart=False")
    return made[-1]


def nano(
    proto: str = "bus",
    dial: str | None = None,
    listen: str | None = None,
    tls: TlsConfig | None = None,
    autostart: bool | None = True,
) -> Nano:
    """Make a nano object; see `Nano`.

    Example:
        >>> a, b = nngsock.nano("pair", listen="inproc://nano"), nngsock.nano("pair", dial="inproc://nano")
        >>> a.send("hello", block=True), b.recv(block=True), a.close(), b.close()
        (0, 'hello', 0, 0)
    """
    return Nano(proto, dial, listen, tls, autostart)
