"""Segments, leases and the pool, of each kind of memory that there is here."""

import errno
import os
import subprocess
import sys
import threading

import pytest

from mirai_py import shm
from mirai_py.shm import Lent, Place

KINDS = [name for name, kind in shm.KINDS.items() if kind.supported()]


@pytest.fixture(autouse=True, params=KINDS)
def pool(request, memory_of_kind):
    """The pool of this process, of a kind that the processes that it starts use too."""
    return memory_of_kind(request.param)


OTHER = """
import sys
from mirai_py import shm, sweeper
segment = shm.pool.take(5)
segment.write(0, b"hello")
sweeping = sweeper.sweeper._process
print(sweeping.pid if sweeping else 0, shm.own_probe(), *segment.place, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other():
    """Another process with memory: its probe, and the place of a segment."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        sweeper, probe, *place = process.stdout.readline().split()
        process.sweeper, process.probe, process.place = int(sweeper), probe, Place(*map(int, place))
        yield process
        process.stdin.close()


class Told:
    def __init__(self):
        self.calls = []
        self.event = threading.Event()

    def __call__(self, *call):
        self.calls.append(call)
        self.event.set()


def test_memory_is_used_again_and_may_grow(pool):
    first = pool.take(1000)
    first.write(0, b"a" * 1000)
    handle = first.place.handle
    del first
    second = pool.take(500)
    assert second.place.handle == handle
    second.write(100, b"b" * 400)
    assert second.read(99, 3) == b"abb"
    del second
    third = pool.take(100_000)
    third.write(99_000, b"c" * 1000)
    assert third.read(99_999, 1) == b"c"
    assert pool._open == 1
    with pytest.raises(OSError, match="shorter"):
        third.read(99_999, 1 << 20)
    del third


def test_what_is_not_used_is_closed(pool, monkeypatch):
    monkeypatch.setattr(shm, "POOL_SECONDS", 0.01)
    closed = threading.Event()
    drain = pool.drain
    monkeypatch.setattr(pool, "drain", lambda: (drain(), closed.set()))
    held = pool.take(10)
    fd = pool.take(1000).fd
    assert closed.wait(10)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    assert held.read(0, 0) == b""
    del held


def test_no_more_is_kept_than_the_pool_holds(pool, monkeypatch):
    monkeypatch.setattr(shm, "POOL_BYTES", 1500)
    segments = [pool.take(1000), pool.take(1000)]
    assert pool._open == 2
    segments.clear()
    pool._tidy()
    assert pool._open == 1


def test_segments_leave_descriptors_to_others(pool, monkeypatch):
    monkeypatch.setattr(shm, "_descriptors", lambda: 16)
    held = [pool.take(10), pool.take(10)]
    with pytest.raises(OSError, match="too many segments") as e:
        pool.take(10)
    assert e.value.errno == errno.EMFILE
    held.clear()


def test_what_is_lent_is_held_until_it_is_taken_back_as_often(pool):
    lent = Lent()
    segment = pool.take(10)
    number = segment.id
    lent.lend((segment, segment))
    del segment
    lent.take_back(number, 1)
    assert number in shm._live
    lent.take_back(number, 1)
    assert number not in shm._live
    lent.take_back(number, 1)
    assert len(lent) == 0


def test_a_process_can_tell_whose_memory_it_can_read(other):
    assert shm.can_read(shm.own_probe())
    assert shm.can_read(other.probe)
    pid, handle, nonce = other.probe.split(":")
    for probe in ("", "garbage", f"{pid}:{handle}:00", f"{os.getpid()}:{handle}:{nonce}", f"{pid}:0:{nonce}"):
        assert not shm.can_read(probe)


def test_a_lease_reads_a_copy_of_its_own_and_its_end_is_told(other):
    told = Told()
    lease = shm.lease(other.place, told)
    assert shm.lease(other.place, told) is lease
    first, second = shm.memory_at(other.place), lease.take()
    first[0] = 0
    assert bytes(second) == b"hello"
    del lease, first
    assert not told.calls
    del second
    assert told.event.wait(10)
    assert told.calls == [(other.place.id, 2)]


def test_what_was_prepared_outlives_its_owner(other, ended):
    lease = shm.lease(other.place, Told())
    lease.prepare()
    other.stdin.close()
    other.wait()
    assert bytes(lease.take()) == b"hello"
    assert not other.sweeper or ended(other.sweeper)
    with pytest.raises(OSError, match=r"No such file|gone"):
        lease.take()


def test_many_mappings_leave_descriptors_to_others(other, monkeypatch):
    monkeypatch.setattr(shm.Mapping, "are_many", lambda: True)
    lease = shm.lease(other.place, Told())
    before = shm.Mapping._count
    memory = lease.take()
    memory[0] = ord("j")
    assert bytes(memory) == b"jello"
    assert shm.Mapping._count == before


def test_what_is_no_such_memory_is_not_read(other):
    with pytest.raises(FileNotFoundError):
        shm.lease(other.place._replace(handle=0), Told()).take()


def test_a_forked_child_lets_go_of_the_memory_of_its_parent():
    segment = shm.pool.take(10)
    pid = os.fork()
    if pid == 0:
        try:
            os.fstat(segment._memory.fd)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    segment.write(0, b"still ours")
    assert segment.read(0, 10) == b"still ours"


def test_which_kind_is_used_can_be_said(monkeypatch):
    for name in KINDS:
        monkeypatch.setenv(shm.VARIABLE, name)
        assert shm._best() is shm.KINDS[name]
    monkeypatch.setenv(shm.VARIABLE, "none")
    assert shm._best() is None
    monkeypatch.delenv(shm.VARIABLE)
    assert shm._best() is shm.KINDS[KINDS[0]]
