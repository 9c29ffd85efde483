"""Devices: messages forwarded between two raw sockets as they are.

NNG has a device of its own, which is not used: stopped, or one of its sockets closed, in the very moment in
which it has received a message and not yet sent it, it never ends, and `nng_close` waits for it for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nngsock.aio import SendAio
from nngsock.errors import ECANCELED, EINVAL
from nngsock.message import free
from nngsock.operation import submit
from nngsock.outcome import Outcome
from nngsock.sockets import Socket

if TYPE_CHECKING:
    from nngsock.channel import Channel
    from nngsock.operation import Operation

__all__ = ("device_aio",)

FOR_EVER: Final = -1  # milliseconds
SENDERS: Final = frozenset({"push", "pub"})  # that cannot receive
PEERS: Final = {
    "bus": "bus",
    "pair": "pair",
    "pair1": "pair1",
    "push": "pull",
    "pub": "sub",
    "req": "rep",
    "surveyor": "respondent",
}


def device_aio(s1: Socket, s2: Socket | None = None) -> SendAio:
    """Forward messages between two raw sockets, in both directions where their protocols have two.

    For a broker between clients and servers, or between networks. Messages are neither copied nor decoded.

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
    if not isinstance(s1, Socket):
        raise TypeError(f"`s1` is not a valid Socket: {s1!r}")
    if s2 is not None and not isinstance(s2, Socket):
        raise TypeError(f"`s2` is not a valid Socket: {s2!r}")
    other = s1 if s2 is None else s2
    if not (s1.raw and other.raw and _belong_together(_protocol(s1), _protocol(other))):
        return SendAio(Outcome(EINVAL), (s1, other))
    ways = [(s1, other)] if s1 is other else [(s1, other), (other, s1)]
    forwarding = _Forwarding([(a.channel, b.channel) for a, b in ways if a.protocol not in SENDERS])
    forwarding.start()
    return SendAio(forwarding, (s1, other))


def _protocol(socket: Socket) -> str:
    return "pair1" if socket.protocol == "poly" else socket.protocol


def _belong_together(one: str, other: str) -> bool:
    return PEERS.get(one) == other or PEERS.get(other) == one


class _Forwarding(Outcome):
    """What becomes of a device: it ends once each way has ended, and one that ends stops the other.

    Args:
        ways: From where to where.
    """

    __slots__ = ("_ended_by", "_running", "_ways")

    def __init__(self, ways: list[tuple[Channel, Channel]]) -> None:
        super().__init__()
        self._ways = [_Way(self, source, target) for source, target in ways]
        self._running = len(ways)
        self._ended_by = 0

    def start(self) -> None:
        """Begin."""
        for way in self._ways:
            way.go_on()

    def cancel(self) -> None:
        """Have it end as one that is stopped."""
        self.end(ECANCELED)

    def submit(self, way: _Way, message: object) -> Operation | None:
        """The next operation of a way, unless the end has begun."""
        channel = way.source if message is None else way.target
        start = channel.recv_aio if message is None else channel.send_aio
        with self.lock:
            if self._ended_by:
                if message is not None:
                    free(message)
                return None
            way.operation = operation = submit(channel.gate, start, channel.handle, FOR_EVER, message)
            return operation

    def end(self, result: int) -> None:
        """Have every way end, for this reason."""
        with self.lock:
            self._ended_by = self._ended_by or result
            operations = [way.operation for way in self._ways]
        for operation in operations:
            if operation is not None:
                operation.cancel()

    def has_ended(self) -> None:
        """Take note that a way has ended."""
        with self.lock:
            self._running -= 1
            last = not self._running
        if last:
            self.resolve(self._ended_by)


class _Way:
    """One direction: receives a message, sends it, and so on."""

    __slots__ = ("_forwarding", "operation", "source", "target")

    def __init__(self, forwarding: _Forwarding, source: Channel, target: Channel) -> None:
        self._forwarding = forwarding
        self.source = source
        self.target = target
        self.operation: Operation | None = None

    def go_on(self) -> None:
        """Do what comes next, until there is something to wait for; called by NNG when that is over."""
        while True:
            message, done = None, self.operation
            if done is not None:
                if done.result:
                    self._forwarding.end(done.result)
                message, done.message = done.message, None  # of a receive: to be sent next
            operation = self._forwarding.submit(self, message)
            if operation is None:
                self._forwarding.has_ended()
                return
            if operation.when_done(self.go_on):
                return
