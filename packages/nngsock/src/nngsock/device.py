"""Devices: NNG itself forwards messages between two raw sockets."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from nngsock._native import new, nng
from nngsock.aio import SendAio
from nngsock.operation import submit
from nngsock.sockets import Socket

if TYPE_CHECKING:
    from nngsock.gate import Gate

__all__ = ("device_aio",)

FOR_EVER: Final = -1  # milliseconds


def device_aio(s1: Socket, s2: Socket | None = None) -> SendAio:
    """Forward messages between two raw sockets, in both directions where their protocols have two.

    For a broker between clients and servers, or between networks: no message passes through Python.

    Args:
        s1: A socket opened with `raw=True`.
        s2: Another one, of the protocol that belongs to the first (the same for pair and bus); None sends
            what comes to s1 back through s1, for bus and the like.

    Returns:
        The forwarding under way. It resolves only to errors: 20 once it is stopped (the sockets stay open),
        7 once a socket is closed, 3 for sockets that are not raw or do not belong together.

    Example:
        >>> front = nngsock.socket("rep", listen="inproc://front", raw=True)
        >>> back = nngsock.socket("req", listen="inproc://back", raw=True)
        >>> forwarding = nngsock.device_aio(front, back)
        >>> client = nngsock.socket("req", dial="inproc://front")
        >>> server = nngsock.socket("rep", dial="inproc://back")
        >>> nngsock.send(client, "question", block=1000), nngsock.recv(server, block=1000)
        (0, 'question')
        >>> nngsock.stop_aio(forwarding)
        >>> forwarding.data
        errorValue 20 | Operation canceled
    """
    for name, sock in (("s1", s1), ("s2", s2)):
        if not isinstance(sock, Socket) and not (name == "s2" and sock is None):
            raise TypeError(f"`{name}` is not a valid Socket: {sock!r}")
    sockets = [s1] if s2 is None else [s1, s2]
    handles = [s1.handle, new("nng_socket *")[0] if s2 is None else s2.handle]
    gates: Any = _Gates(*(sock.channel.gate for sock in sockets))
    operation = submit(gates, lambda pair, aio: nng.device_aio(aio, *pair), handles, FOR_EVER)
    return SendAio(operation, sockets)


class _Gates:
    """The gates of two sockets as one: closed if either is, and locked together."""

    def __init__(self, *gates: Gate) -> None:
        self._gates = gates
        self._held = ExitStack()

    @property
    def closed(self) -> bool:
        return any(gate.closed for gate in self._gates)

    @property
    def lock(self) -> Self:
        return self

    def __enter__(self) -> None:
        for gate in sorted(
            set(self._gates), key=id
        ):  # always in one order, so that no two wait for each other
            self._held.enter_context(gate.lock)

    def __exit__(self, *_exc_info: object) -> None:
        self._held.close()
