"""Shared memory that has names, chosen here although there may be better."""

import errno
import os
import signal
from pathlib import Path

import pytest

import mirai_py
from mirai_py import mirai, mirai_map, posixshm, shm
from mirai_py.posixshm import PosixMemory

pytestmark = pytest.mark.skipif(not PosixMemory.supported(), reason="no such memory here")
MIB = 1 << 20
FOLDER = Path("/dev/shm")
needs_folder = pytest.mark.skipif(not FOLDER.is_dir(), reason="names cannot be listed here")


def names(*pids):
    """Those of the memory of these processes."""
    return {path.name for pid in pids for path in FOLDER.glob(f"mirai_py-{pid}-*")}


def refuse(*_, **__):
    raise OSError(errno.EINVAL, "not on this system")


@pytest.fixture
def as_on_macos():
    """A function that takes away what macOS does not do with such memory; it travels by value."""

    def patch(monkeypatch):
        import errno
        import mmap
        import os

        from mirai_py import shm

        def refuse(*_):
            raise OSError(errno.EINVAL, "not on this system")

        class Mapping(shm.Mapping):
            @classmethod
            def of(cls, fd, size, holder, access=mmap.ACCESS_COPY):
                return refuse() if access == mmap.ACCESS_COPY else super().of(fd, size, holder, access)

        monkeypatch.setattr(shm, "Mapping", Mapping)
        monkeypatch.setattr(os, "pwrite", refuse)
        monkeypatch.setattr(os, "preadv", refuse)

    return patch


@pytest.fixture
def posix(memory_of_kind, fresh):
    """The name of a profile with two daemons that share such memory with this process."""
    memory_of_kind("posix")
    mirai_py.daemons(2, compute=fresh)
    assert all(peer.shares for peer in mirai_py.profiles.find_profile(fresh).engine._board.peers.values())
    yield fresh
    mirai_py.daemons(0, compute=fresh)


def test_large_values_do_not_pass_through_the_socket(posix, sent):
    value = os.urandom(2 * MIB)
    assert mirai(lambda x: x[::-1], value, _compute=posix).collect() == value[::-1]
    assert mirai_map([value, b"", value], len, _compute=posix).collect() == [2 * MIB, 0, 2 * MIB]
    assert max(sent, default=0) < 5000


def test_arrays_can_be_written_on_both_sides_and_nobody_else_sees_it(posix):
    np = pytest.importorskip("numpy")
    array = mirai_py.share(np.zeros(MIB))

    def f(x):
        x += 1
        return x

    first, second = mirai_map([array, array], f, _compute=posix).collect()
    first += 5
    assert (first == 6).all()
    assert (second == 1).all()
    assert (array == 0).all()


def test_where_memory_is_only_mapped_shared_it_is_copied(posix, monkeypatch, as_on_macos, sent):
    np = pytest.importorskip("numpy")
    patched = mirai_py.everywhere(as_on_macos, pytest.MonkeyPatch(), _compute=posix).collect()
    assert patched == [None, None]
    as_on_macos(monkeypatch)
    array = np.arange(MIB)
    shared = mirai_py.share(array)

    def f(x):
        x[0] = 7
        return x

    for each in (array, shared):
        found = mirai(f, each, _compute=posix).collect()
        found[1] = 7
        assert (found[2:] == array[2:]).all()
        assert (each == np.arange(MIB)).all()
    assert max(sent, default=0) < 5000


@needs_folder
def test_a_killed_daemon_leaves_no_name_and_takes_none_of_its_host_along(posix, gate, ended):
    task = gate.task
    kept = mirai(bytes, 3 * MIB, _compute=posix).call()
    m = mirai(lambda x, folder: (task(folder), x)[1], bytes(2 * MIB), gate.argument, _compute=posix)
    (pid,) = gate.wait()
    value = mirai_py.share(bytearray(2 * MIB))
    assert names(pid)
    sweepers = children_of(pid)
    os.kill(pid, signal.SIGKILL)
    assert m.collect() == 19
    assert all(map(ended, sweepers))
    assert not names(pid)
    assert kept.collect() == bytes(3 * MIB)
    assert mirai(len, value, _compute=posix).collect() == 2 * MIB
    assert mirai(len, bytes(2 * MIB), _compute=posix).collect() == 2 * MIB


def children_of(pid):
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


@needs_folder
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, None])
def test_a_host_that_ends_in_the_middle_leaves_nothing(host, ended, gate, monkeypatch, number):
    monkeypatch.setenv(shm.VARIABLE, "posix")
    process = host(
        """
        import os, sys
        import mirai_py

        def wait(x, folder):
            held = bytes(3 << 20)
            with open(f"{folder}/begun", "w") as begun:
                begun.write("%16d" % os.getpid())
            with open(f"{folder}/go") as go:
                go.read(1)
            return held

        mirai_py.daemons(2)
        made = mirai_py.mirai(bytes, 3 << 20).call()
        running = [mirai_py.mirai(wait, bytes(2 << 20), sys.argv[1]) for _ in range(2)]
        waiting = [mirai_py.mirai(len, bytes(2 << 20)) for _ in range(3)]
        print(flush=True)
        sys.stdin.read()
        """,
        gate.argument,
    )
    process.stdout.readline()
    pids = [process.pid, *gate.wait(2)]
    assert len(names(*pids)) >= 5
    sweepers = [child for pid in pids for child in children_of(pid)]
    if number is None:
        process.stdin.close()
    else:
        process.send_signal(number)
    assert all(map(ended, [*pids, *sweepers]))
    assert not names(*pids)


@needs_folder
def test_memory_that_is_not_to_be_had_leaves_no_name(memory_of_kind, monkeypatch):
    pool = memory_of_kind("posix")
    before = names(os.getpid())
    for function in ("posix_fallocate", "ftruncate"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, refuse)
            with pytest.raises(OSError, match="not on this system"):
                pool.take(100)
    assert names(os.getpid()) == before
    segment = pool.take(100)
    segment.write(50, b"later")
    assert segment.read(50, 5) == b"later"


def test_a_name_that_is_taken_is_left_to_who_has_it(memory_of_kind, monkeypatch):
    pool = memory_of_kind("posix")
    numbers = iter([1, 1, 2])
    monkeypatch.setattr(posixshm.secrets, "randbits", lambda _: next(numbers))
    first, second = pool.take(10), pool.take(10)
    assert [first.place.handle, second.place.handle] == [1, 2]
    first.write(0, b"first")
    second.write(0, b"other")
    assert first.read(0, 5) == b"first"


def test_memory_of_another_user_is_not_read(memory_of_kind, monkeypatch):
    segment = memory_of_kind("posix").take(10)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(FileNotFoundError, match="is gone"):
        PosixMemory.opened(os.getpid(), segment.place.handle)
