"""Connections over TLS and WebSockets that are lost without NNG's saying so.

For these NNG 1.11 reads from TCP before it is asked to. If the connection ends while nothing is asked for,
since a message waits to be received, say, or between two parts of one, it forgets to tell: the connection
stays, nothing comes any more, and what is asked of it never ends. No event tells of that; all there is to see
is that the connection knows no peer any more. So these are looked at once a second, which costs a few
microseconds each.
"""

from __future__ import annotations

import selectors
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from nngsock._native import lib, new
from nngsock.errors import ECLOSED, ESYSERR
from nngsock.gate import Gate
from nngsock.streamoperation import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Lifeline", "has_no_peer", "look_after_pipe")

INTERVAL: Final = 1_000  # milliseconds between two looks

# Re-entrant, since the garbage collector may end a stream inside a block that holds it.
_lock = threading.RLock()
_held: set[Lifeline] = set()
_gate = Gate()
_looking = False


class Lifeline:
    """A connection that is looked at, until it is let go.

    Args:
        is_cut: Tells whether the connection is lost and nothing that came through it is left to receive.
            Called on a thread of NNG.
        end: Has NNG take note of that. Called on a thread of NNG, when `is_cut` has held for two looks.
    """

    __slots__ = ("_end", "_is_cut", "_was_cut")

    def __init__(self, is_cut: Callable[[], bool], end: Callable[[], object]) -> None:
        self._is_cut = is_cut
        self._end = end
        self._was_cut = False
        global _looking
        with _lock:
            _held.add(self)
            start, _looking = not _looking, True
        if start:
            Timer(_gate, INTERVAL, _look_at_all)

    def let_go(self) -> None:
        """Look at it no more."""
        with _lock:
            _held.discard(self)

    def look(self) -> None:
        """End it if it was cut the last time, too: NNG needs a moment for what it does take note of."""
        was_cut, self._was_cut = self._was_cut, self._is_cut()
        if was_cut and self._was_cut:
            self.let_go()
            self._end()


def _look_at_all() -> None:
    global _looking
    with _lock:
        lifelines = list(_held)
        _looking = bool(lifelines)
    for lifeline in lifelines:
        lifeline.look()
    if lifelines:
        Timer(_gate, INTERVAL, _look_at_all)


def has_no_peer(get_address: Callable[[Any, bytes, Any], int], connection: Any) -> bool:
    """Whether a connection is lost that has not been closed here.

    Args:
        get_address: The function of NNG that gives an address of the connection.
        connection: NNG's pipe or stream.
    """
    code = get_address(connection, b"remote-address", new("nng_sockaddr *"))
    return code == ECLOSED or code >= ESYSERR  # WebSockets say the one, the system that of TLS the other


def _has_message(socket: Any) -> bool:
    """Whether there is something to receive.

    Args:
        socket: NNG's socket.
    """
    out = new("int *")
    if lib.nng_socket_get_int(socket, b"recv-fd", out):
        return False  # its protocol does not receive
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(out[0], selectors.EVENT_READ)
        except (OSError, ValueError):
            return True  # the socket has just been closed, and its pipes with it
        return bool(selector.select(0))


def look_after_pipe(number: int, socket: Any) -> Lifeline:
    """Have a pipe closed once it is lost; not while there is a message, which its end would take along.

    Args:
        number: The pipe's id.
        socket: NNG's socket.
    """
    pipe = new("nng_pipe *", (number,))[0]

    def is_cut() -> bool:
        return has_no_peer(lib.nng_pipe_get_addr, pipe) and not _has_message(socket)

    return Lifeline(is_cut, partial(lib.nng_pipe_close, pipe))
