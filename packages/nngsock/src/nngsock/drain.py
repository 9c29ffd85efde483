"""Seeing off what a socket has sent: NNG drops what has not left when the socket closes."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nngsock.sockets import Socket

__all__ = ("Drain",)

PROTOCOLS: Final = frozenset({"push", "pair", "pair1", "poly"})  # those that say when they could send more


class Drain:
    """Tells when the last message has left a socket of protocol push or pair, or its peer is gone.

    Args:
        socket: The socket, before it is connected. It gets no buffer.
    """

    def __init__(self, socket: Socket) -> None:
        self._sendable = socket.set_opt("send-buffer", 0).opt("send-fd")
        self._lock = threading.Lock()
        self._closed = False
        self._woken, self._wake = os.pipe()
        socket.on_pipe(self._on_pipe)

    def _on_pipe(self, event: str, _pipe: int) -> None:
        if event == "remove":
            with self._lock:
                if not self._closed:
                    os.write(self._wake, b"\0")

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the socket could take another message: then the last one has been handed over."""
        with contextlib.suppress(OSError):  # the socket is closed meanwhile, at the interpreter's exit
            select.select([self._sendable, self._woken], [], [], seconds)

    def close(self) -> None:
        """Give back the descriptors."""
        with self._lock:
            self._closed = True
            os.close(self._woken)
            os.close(self._wake)
