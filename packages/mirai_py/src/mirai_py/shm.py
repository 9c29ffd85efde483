"""Memory that processes of one machine share, so that large values do not pass through a socket.

Its owner writes a value to a *segment*. The other side opens that and maps it copy-on-write: what it reads is
there once for all, what it writes is its own. (Where the system does not map so, it copies.) A *lease* stands
for that use; when the last array that lives in it is gone, the owner is told and uses the segment again, for
the first touch of memory costs more than the rest. What the memory is made of is told in memfd.py and
posixshm.py.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import mmap
import os
import secrets
import sys
import threading
import weakref
from collections import deque
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from mirai_py.callbacks import callbacks
from mirai_py.memfd import Memfd
from mirai_py.posixshm import PosixMemory
from mirai_py.timer import timer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirai_py.frames import Buffer
    from mirai_py.memory import Memory

    Told = Callable[[int, int], object]  # id of a segment, and how many leases of it have ended

_log = logging.getLogger("mirai_py")

# To prefer one, as a test of the others does: "memfd", "posix", or "none".
VARIABLE = "MIRAI_PY_SHARED_MEMORY"
KINDS: dict[str, type[Memory]] = {"memfd": Memfd, "posix": PosixMemory}
# Segments that nobody uses are kept for the next value, so many bytes of them, and for so long.
POOL_BYTES = 1 << 30
POOL_SECONDS = 3.0
_PROBE_SIZE = 16
# The mmap of Python keeps a descriptor open for each mapping, unless it is told not to.
_NO_DESCRIPTOR: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
_ids = itertools.count(1)


def _best() -> type[Memory] | None:
    wanted = os.environ.get(VARIABLE)
    return next((kind for name, kind in KINDS.items() if wanted in {None, name} and kind.supported()), None)


# The kind of memory of this process; None where there is none to share.
kind = _best()


class Place(NamedTuple):
    """Where a segment is found: process and handle, its number, and the bytes that are used of it."""

    pid: int
    handle: int
    id: int
    size: int


class Segment:
    """Memory of this process that others may map. Once nobody holds it, it serves for the next value."""

    __slots__ = ("__weakref__", "_memory", "_pool", "id", "size")

    def __init__(self, memory: Memory, size: int, pool: Pool) -> None:
        self._memory = memory
        self._pool = pool
        self.id = next(_ids)
        self.size = size
        _live[self.id] = self

    @property
    def fd(self) -> int:
        """Its descriptor."""
        return self._memory.fd

    @property
    def place(self) -> Place:
        """Where others find it."""
        return Place(os.getpid(), self._memory.handle, self.id, self.size)

    def write(self, at: int, data: Buffer) -> None:
        """Copy bytes there.

        Raises:
            OSError: there is no memory.
        """
        self._memory.write(at, memoryview(data).cast("B"))

    def read(self, at: int, length: int) -> bytearray:
        """A copy of bytes from there."""
        return self._memory.copied(self.fd, at, length)

    def disown(self) -> None:
        """In a forked child: it is the parent's."""
        self._memory.close()

    def __del__(self) -> None:
        self._pool.give_back(self._memory)


_live: weakref.WeakValueDictionary[int, Segment] = weakref.WeakValueDictionary()


class Pool:
    """The memory of this process that no segment uses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[Memory] = []
        self._returned: deque[Memory] = deque()
        self._open = 0
        self._alarm_set = False
        self._ready = False

    def take(self, size: int) -> Segment:
        """A segment of so many bytes, of memory that was used before if there is some.

        Raises:
            OSError: there is no memory, or there are too many segments.
        """
        if not self._ready:
            self._ready = True
            callbacks.put(_nothing)  # its thread must run before anything is given back
        with self._lock:
            self._collect()
            # The smallest that is large enough, else the largest, which grows.
            fits = [memory for memory in self._free if memory.capacity >= size]
            found = min(fits, key=_capacity) if fits else max(self._free, key=_capacity, default=None)
            if found is not None:
                self._free.remove(found)
            else:
                found = self._new()
        try:
            found.fit(size)
            return Segment(found, size, self)
        except OSError:
            self.give_back(found)
            raise

    def _new(self) -> Memory:
        if self._open >= _descriptors() // 8:
            raise OSError(errno.EMFILE, "too many segments of shared memory")
        if kind is None:
            raise OSError(errno.ENOSYS, "this system has no memory that processes share")
        made = kind()
        self._open += 1
        return made

    def give_back(self, memory: Memory) -> None:
        """Take back what nobody uses; from any thread, also from the garbage collector."""
        if memory.pid != os.getpid():  # the parent's, from which this process was forked
            return
        self._returned.append(memory)
        if not sys.is_finalizing():
            callbacks.put(self._tidy)

    def _collect(self) -> None:
        while self._returned:
            self._free.append(self._returned.popleft())

    def _tidy(self) -> None:
        with self._lock:
            self._collect()
            self._free.sort(key=_capacity)
            while self._free and sum(memory.capacity for memory in self._free) > POOL_BYTES:
                self._close_largest()
            if self._free and not self._alarm_set:
                self._alarm_set = True
                timer.after(POOL_SECONDS, self.drain)

    def drain(self) -> None:
        """Give back to the system what nobody uses."""
        with self._lock:
            self._alarm_set = False
            self._collect()
            while self._free:
                self._close_largest()

    def _close_largest(self) -> None:
        self._free.pop().close()
        self._open -= 1

    def forget(self) -> None:
        """In a forked child: let go of the parent's memory."""
        unused = [*self._free, *self._returned]
        self.__init__()  # type: ignore[misc]
        for memory in unused:
            memory.close()
        for segment in list(_live.values()):
            segment.disown()


_capacity = attrgetter("capacity")


def _nothing() -> None:
    """Be called."""


def _descriptors() -> int:
    """How many files this process may have open."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


pool = Pool()
os.register_at_fork(after_in_child=pool.forget)


class Mapping(mmap.mmap):
    """A mapped segment, which holds on to what it maps."""

    holder: Segment | Lease
    _count = 0

    @classmethod
    def of(cls, fd: int, size: int, holder: Segment | Lease, access: int = mmap.ACCESS_COPY) -> Mapping:
        """Map the first `size` bytes."""
        mapping = cls(fd, size, access=access, **_NO_DESCRIPTOR)
        mapping.holder = holder
        Mapping._count += 1
        return mapping

    @classmethod
    def are_many(cls) -> bool:
        """Whether more of them would leave too few descriptors to others."""
        return not _NO_DESCRIPTOR and cls._count >= _descriptors() // 4

    def __del__(self) -> None:
        Mapping._count -= 1


class Lease:
    """The use of a segment of another process. Its end is told to the owner.

    Args:
        place: where the segment is.
        told: called, on a library thread, with the number of the segment and how often it was leased.
    """

    __slots__ = ("__weakref__", "_ready", "_told", "place", "times")

    def __init__(self, place: Place, told: Told) -> None:
        self.place = place
        self.times = 1
        self._told = told
        self._ready: memoryview | None = None

    def prepare(self) -> None:
        """Map it now: its owner may be gone when it is read.

        Raises:
            OSError: it is gone already.
        """
        self._ready = self._map()

    def take(self) -> memoryview:
        """The memory, as new: what is written to it is seen by nobody else."""
        ready, self._ready = self._ready, None
        return self._map() if ready is None else ready

    def _map(self) -> memoryview:
        fd = _opened(self.place.pid, self.place.handle)
        try:
            return _as_own(fd, self.place.size, self)
        finally:
            os.close(fd)

    def __del__(self) -> None:
        if not sys.is_finalizing():
            callbacks.put(partial(self._told, self.place.id, self.times))


_leases: weakref.WeakValueDictionary[tuple[int, int], Lease] = weakref.WeakValueDictionary()
_leasing = threading.Lock()


def _opened(pid: int, handle: int) -> int:
    if kind is None:
        raise OSError(errno.ENOSYS, "this system has no memory that processes share")
    return kind.opened(pid, handle)


def _as_own(fd: int, size: int, holder: Segment | Lease) -> memoryview:
    """Memory as if it were copied."""
    if not Mapping.are_many():
        with contextlib.suppress(OSError):  # too many mappings, no descriptor, or not on this system
            return memoryview(Mapping.of(fd, size, holder))
    assert kind is not None
    return memoryview(kind.copied(fd, 0, size))


def lease(place: Place, told: Told) -> Lease:
    """Use a segment of another process, for as long as this is held."""
    with _leasing:
        found = _leases.get((place.pid, place.id))
        if found is not None:
            found.times += 1
            return found
        made = _leases[place.pid, place.id] = Lease(place, told)
        return made


def memory_at(place: Place) -> memoryview:
    """The memory of a segment: one of this process, or one that is leased.

    Raises:
        OSError: it is gone.
    """
    if place.pid == os.getpid():
        segment = _live[place.id]
        return _as_own(segment.fd, place.size, segment)
    return _leases[place.pid, place.id].take()


def segment_of(place: Place) -> Segment:
    """A segment of this process."""
    return _live[place.id]


class Lent:
    """Segments that another process may be using: they are held until it says that it does not."""

    def __init__(self) -> None:
        self._segments: dict[int, tuple[Segment, int]] = {}
        self._lock = threading.Lock()

    def lend(self, holders: Sequence[Segment | Lease]) -> None:
        """Hold these; what is only leased is not ours to lend."""
        with self._lock:
            for segment in holders:
                if isinstance(segment, Segment):
                    _, times = self._segments.get(segment.id, (segment, 0))
                    self._segments[segment.id] = (segment, times + 1)

    def take_back(self, number: int, times: int) -> None:
        """Hold one no longer, once it was taken back as often as it was lent."""
        with self._lock:
            segment, before = self._segments.pop(number, (None, 0))
            if segment is not None and before > times:
                self._segments[number] = (segment, before - times)

    def clear(self) -> None:
        """The other process is gone."""
        with self._lock:
            self._segments.clear()

    def __len__(self) -> int:
        return len(self._segments)


# -- who may share


def _new_probe() -> str:
    try:
        segment = pool.take(_PROBE_SIZE)
        nonce = secrets.token_bytes(_PROBE_SIZE)
        segment.write(0, nonce)
    except OSError as error:
        warn_of_shortage(error)
        return ""
    _probes.append(segment)  # for the life of the process: 16 bytes, one descriptor
    return f"{segment.place.pid}:{segment.place.handle}:{nonce.hex()}"


_probes: list[Segment] = []
_probe = ""
_probing = threading.Lock()


def own_probe() -> str:
    """What tells another process whether it can read memory of this one; empty if that is never so."""
    global _probe
    if kind is None:
        return ""
    with _probing:
        if not _probe.startswith(f"{os.getpid()}:"):
            _probe = _new_probe()
        return _probe


def can_read(probe: str) -> bool:
    """Whether this process can read the memory of the one that made this probe.

    That it seems to be on the same machine does not prove it: containers have numbers of their own.
    """
    try:
        pid, handle, nonce = probe.split(":")
        opened = _opened(int(pid), int(handle))
    except (OSError, ValueError):
        return False
    try:
        return kind is not None and kind.copied(opened, 0, _PROBE_SIZE).hex() == nonce
    except OSError:
        return False
    finally:
        os.close(opened)


_warned = False


def warn_of_shortage(error: OSError) -> None:
    """Say once that values travel through the socket instead."""
    global _warned
    if not _warned:
        _warned = True
        _log.warning("no shared memory is to be had (%s): large values are copied instead", error)


# -- what is in shared memory already


_shared: weakref.WeakValueDictionary[int, Mapping] = weakref.WeakValueDictionary()


def view_shared(segment: Segment) -> memoryview:
    """The memory of a segment of this process, read-only; what lies in it is found by `find_shared`."""
    from mirai_py.address import address_of

    mapping = Mapping.of(segment.fd, segment.size, segment, mmap.ACCESS_READ)
    _shared[address_of(mapping)] = mapping
    return memoryview(mapping)


def find_shared(buffers: Sequence[memoryview]) -> list[tuple[Segment, int] | None]:
    """For each buffer the segment and the position in it, if it lies in one that `view_shared` gave."""
    if not _shared:
        return [None] * len(buffers)
    from mirai_py.address import address_of

    ranges = [(start, start + len(mapping), mapping.holder) for start, mapping in _shared.items()]
    return [_found(address_of(buffer), buffer.nbytes, ranges) for buffer in buffers]


def _found(address: int, length: int, ranges: Sequence[tuple[int, int, Any]]) -> tuple[Segment, int] | None:
    for start, end, segment in ranges:
        if start <= address and address + length <= end:
            return segment, address - start
    return None
