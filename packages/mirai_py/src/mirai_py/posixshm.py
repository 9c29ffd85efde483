"""Memory with a name (POSIX shm), for systems without memfd, macOS above all.

Names outlive processes, so each process that has some also has a sweeper, see sweeper.py. With such memory
macOS knows neither reading and writing by descriptor, nor a second size, nor private mappings: it is written
through one mapping for its whole life, and where it cannot be mapped copy-on-write it is copied (see shm.py).
"""

from __future__ import annotations

import errno
import mmap
import os
import secrets
from contextlib import suppress

from mirai_py.memory import Memory
from mirai_py.sweeper import sweeper

try:
    # The module below multiprocessing.shared_memory, which itself will not do: before Python 3.13 it takes
    # what others have made for its own, and unlinks it at exit.
    import _posixshmem as posix
except ImportError:  # Windows
    posix = None

_PART = 1 << 22


def name_of(pid: int, handle: int) -> str:
    """The name of the memory that a process knows by a handle; macOS allows 31 characters."""
    return f"/mirai_py-{pid}-{handle:08x}"


class PosixMemory(Memory):
    """Memory with a name. Growing, it becomes another, with another name."""

    __slots__ = ("_handle", "_mapped")

    def __init__(self) -> None:
        super().__init__()
        self._handle = 0
        self._mapped: mmap.mmap | None = None

    @classmethod
    def supported(cls) -> bool:
        """Whether this system has such memory."""
        return posix is not None

    @classmethod
    def opened(cls, pid: int, handle: int) -> int:
        """See `Memory.opened`."""
        name = name_of(pid, handle)
        fd: int = posix.shm_open(name, os.O_RDONLY, mode=0)
        if os.fstat(fd).st_uid != os.geteuid():  # the owner has ended, and somebody taken its name
            os.close(fd)
            raise FileNotFoundError(errno.ENOENT, "the shared memory of this value is gone", name)
        return fd

    @staticmethod
    def copied(fd: int, at: int, length: int) -> bytearray:
        """See `Memory.copied`."""
        if os.fstat(fd).st_size < at + length:
            raise OSError(errno.EIO, "shared memory is shorter than was said")
        data = bytearray(length)
        if length:
            with mmap.mmap(fd, at + length, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
                data[:] = view[at:]
        return data

    @property
    def handle(self) -> int:
        """The random part of its name."""
        return self._handle

    def fit(self, size: int) -> None:
        """See `Memory.fit`."""
        if self.capacity >= size:
            return
        handle, fd = _created(self.pid)
        try:
            mapped = _mapped(fd, size)
        except OSError:
            _dropped(self.pid, handle, fd)
            raise
        self.close()
        self._handle, self.fd, self._mapped, self.capacity = handle, fd, mapped, size

    def write(self, at: int, data: memoryview) -> None:
        """See `Memory.write`."""
        assert self._mapped is not None
        for start in range(0, len(data), _PART):  # in parts: to copy into a mapping holds the interpreter
            part = data[start : start + _PART]
            self._mapped[at + start : at + start + len(part)] = part

    def close(self) -> None:
        """See `Memory.close`."""
        if self._mapped is None:
            return
        self._mapped.close()
        self._mapped = None
        self.capacity = 0
        _dropped(self.pid, self._handle, self.fd)


def _created(pid: int) -> tuple[int, int]:
    while True:
        handle = secrets.randbits(32)
        name = name_of(pid, handle)
        sweeper.add(name)  # first: this process may end at any moment
        try:
            return handle, posix.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
        except OSError as error:
            sweeper.remove(name)
            if error.errno != errno.EEXIST:
                raise


def _mapped(fd: int, size: int) -> mmap.mmap:
    os.ftruncate(fd, size)
    if hasattr(os, "posix_fallocate"):
        # Else the first touch of a page for which there is no memory would be the end of this process.
        os.posix_fallocate(fd, 0, size)
    return mmap.mmap(fd, size)


def _dropped(pid: int, handle: int, fd: int) -> None:
    os.close(fd)
    if pid != os.getpid():  # a forked child: the name is the parent's
        return
    name = name_of(pid, handle)
    with suppress(FileNotFoundError):
        posix.shm_unlink(name)
    sweeper.remove(name)
