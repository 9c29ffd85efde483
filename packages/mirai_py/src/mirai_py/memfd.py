"""Memory of Linux that has no name: it is gone with its last user, whoever dies and however.

Others open it as /proc/PID/fd/N.
"""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path

from mirai_py.memory import Memory

NAME = "mirai_py-segment"
_PART = 1 << 22


class Memfd(Memory):
    """A memfd. It is mapped from its second use on: where pages exist, that is the quickest way to write."""

    __slots__ = ("_mapped",)

    def __init__(self) -> None:
        super().__init__(os.memfd_create(NAME, os.MFD_CLOEXEC))
        self._mapped: mmap.mmap | None = None

    @classmethod
    def supported(cls) -> bool:
        """Whether this is Linux, with /proc."""
        return hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()

    @classmethod
    def opened(cls, pid: int, handle: int) -> int:
        """See `Memory.opened`."""
        path = f"/proc/{pid}/fd/{handle}"
        if not str(Path(path).readlink()).startswith(f"/memfd:{NAME}"):
            raise FileNotFoundError(errno.ENOENT, "the shared memory of this value is gone", path)
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @staticmethod
    def copied(fd: int, at: int, length: int) -> bytearray:
        """See `Memory.copied`."""
        data = bytearray(length)
        view = memoryview(data)
        while view:
            number = os.preadv(fd, [view], at)
            if not number:
                raise OSError(errno.EIO, "shared memory is shorter than was said")
            view = view[number:]
            at += number
        return data

    @property
    def handle(self) -> int:
        """Its descriptor."""
        return self.fd

    def fit(self, size: int) -> None:
        """See `Memory.fit`."""
        if self.capacity < size:
            os.ftruncate(self.fd, size)
            self._unmap()
            self.capacity = size
        elif self._mapped is None:
            flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
            self._mapped = mmap.mmap(self.fd, self.capacity, flags=flags)

    def write(self, at: int, data: memoryview) -> None:
        """See `Memory.write`."""
        try:
            while data:
                written = self._write(at, data)
                data = data[written:]
                at += written
        except OSError:
            # Some pages do not exist: to write there by a mapping would be the end of this process.
            self._unmap()
            self.capacity = 0
            raise

    def _write(self, at: int, data: memoryview) -> int:
        if self._mapped is None:
            return os.pwrite(self.fd, data, at)
        part = data[:_PART]  # in parts: to copy into a mapping holds the interpreter
        self._mapped[at : at + len(part)] = part
        return len(part)

    def _unmap(self) -> None:
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None

    def close(self) -> None:
        """See `Memory.close`."""
        self._unmap()
        os.close(self.fd)
