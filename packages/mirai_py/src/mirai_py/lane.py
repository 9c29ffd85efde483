"""A short way between a host and a daemon that it started: a pair of Unix sockets, beside the connection.

A message takes a tenth of the time of one through NNG, which hands it from thread to thread. So small tasks
that travel alone, and their results, go this way; all else, and what finds no room, goes the other. Neither
side relies on an order between the two ways.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirai_py.frames import Parts

# Larger frames go through NNG.
LIMIT = 1 << 16


class Lane:
    """One end of it. It is closed when nobody holds it any more, hence never while a thread is using it."""

    __slots__ = ("_buffer", "descriptor")

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._buffer = memoryview(bytearray(LIMIT))

    @classmethod
    def pair(cls) -> tuple[Lane, Lane] | None:
        """Both ends; None on platforms that cannot."""
        if sys.platform != "linux":
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours.detach()), cls(theirs.detach())

    def send(self, parts: Parts) -> bool:
        """Send a frame; False if it is too large, or there is no room, or nobody at the other end."""
        frame = parts[0] if len(parts) == 1 else b"".join(parts)
        if len(frame) > LIMIT:
            return False
        try:
            os.write(self.descriptor, frame)
        except OSError:
            return False
        return True

    def receive(self) -> memoryview | None:
        """The next frame; None if there is none, empty at the end."""
        try:
            size = os.readv(self.descriptor, (self._buffer,))
        except BlockingIOError:
            return None
        except OSError:  # the other end is gone with what it had not read
            size = 0
        return memoryview(bytes(self._buffer[:size]))

    def __del__(self) -> None:
        os.close(self.descriptor)
