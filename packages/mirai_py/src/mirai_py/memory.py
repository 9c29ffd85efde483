"""What segments are made of: memory of this process that others of this machine can map, of whatever kind."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod


class Memory(ABC):
    """Some memory, used for one segment after the other, and growing as they need.

    Attributes:
        pid: the process that it belongs to.
        fd: its descriptor.
        capacity: bytes of it that exist, or will once they are written for the first time.
    """

    __slots__ = ("capacity", "fd", "pid")

    def __init__(self, fd: int = -1) -> None:
        self.pid = os.getpid()
        self.fd = fd
        self.capacity = 0

    @classmethod
    @abstractmethod
    def supported(cls) -> bool:
        """Whether there is such memory on this system."""

    @classmethod
    @abstractmethod
    def opened(cls, pid: int, handle: int) -> int:
        """A descriptor, for reading, of memory of another process.

        Args:
            pid: the process.
            handle: what that process says is the handle.

        Raises:
            OSError: it is gone, or is no such memory.
        """

    @staticmethod
    @abstractmethod
    def copied(fd: int, at: int, length: int) -> bytearray:
        """A copy of bytes from there.

        Raises:
            OSError: there are not so many.
        """

    @property
    @abstractmethod
    def handle(self) -> int:
        """What others need to know, besides the process, to open it; 32 bits."""

    @abstractmethod
    def fit(self, size: int) -> None:
        """Make it large enough; what it held may be lost.

        Raises:
            OSError: there is no memory.
        """

    @abstractmethod
    def write(self, at: int, data: memoryview) -> None:
        """Copy bytes there.

        Raises:
            OSError: there is no memory.
        """

    @abstractmethod
    def close(self) -> None:
        """Give it back to the system; in a forked child, let go of that of the parent."""
