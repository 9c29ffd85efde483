"""Gates: no call on a socket or its contexts may meet their closing."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from nngsock._native import life, refuse
from nngsock.errors import ECLOSED

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Gate", "too_late")


class Gate:
    """What every call passes that works on a socket or its contexts, so that none meets their closing.

    NNG forgets an operation that comes while it closes the socket, and aborts the process when that one is
    cancelled later, or when a context is used while its socket is being closed. The lock is held for calls
    that do not wait only.

    Args:
        socket: For a context, the gate of its socket.

    Attributes:
        closed: Nothing may pass any more.
        lock: Shared by a socket and its contexts.
    """

    __slots__ = ("__weakref__", "_contexts", "_to_tell", "closed", "lock", "socket")

    lock: threading.RLock

    def __init__(self, socket: Gate | None = None) -> None:
        self.closed = False
        self._to_tell: list[Callable[[], object]] = []
        self._contexts: weakref.WeakSet[Gate] = weakref.WeakSet()
        self.socket = socket
        # Re-entrant, since the garbage collector may close one socket or context within a call of another.
        self.lock = threading.RLock() if socket is None else socket.lock
        if socket is not None:
            socket.add(self)

    def add(self, context: Gate) -> None:
        """Close that one with this one."""
        with self.lock:
            self._contexts.add(context)
            context.closed = self.closed

    def close(self) -> None:
        """Let nothing pass any more."""
        with self.lock:
            self.closed = True
            for context in self._contexts:
                context.closed = True
            tell, self._to_tell = self._to_tell, []
        for call in tell:
            call()

    def when_closed(self, call: Callable[[], object]) -> None:
        """Have a function called when it closes, before NNG closes anything; at once if it has."""
        with self.lock:
            if not self.closed:
                self._to_tell.append(call)
                return
        call()

    def call(self, function: Callable[..., int], *args: Any) -> int:
        """Call a function of NNG that does not wait; error 7 if closed."""
        if life.halted:
            return too_late()
        with self.lock:
            return ECLOSED if self.closed else function(*args)

    def belongs_to(self, other: Gate) -> bool:
        """Whether it is that gate, or of a context of that socket."""
        return other is self or other is self.socket


def too_late() -> int:
    """The error of an operation on what is closed, or at the interpreter's exit; in a forked child, raise."""
    if life.forked:
        refuse()
    return ECLOSED
