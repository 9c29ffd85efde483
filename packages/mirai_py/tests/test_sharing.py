"""Large values between host and daemons, for real."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import mirai_py
from mirai_py import bodies, mirai, mirai_map, shm

pytestmark = pytest.mark.skipif(not shm.kind, reason="no shared memory here")
MIB = 1 << 20


def peers(compute):
    return list(mirai_py.profiles.find_profile(compute).engine._board.peers.values())


def eventually(true):
    """Wait for what the other side tells by a message that nobody waits for."""
    changed = threading.Event()
    for _ in range(1000):
        if true():
            return True
        changed.wait(0.01)
    return False


def named(*pids):
    """Shared memory of these processes that has a name."""
    found = {path.name for path in Path("/dev/shm").iterdir()}
    return {name for name in found if any(str(pid) in name for pid in pids)}


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_large_values_do_not_pass_through_the_socket(fresh, sent):
    mirai_py.daemons(2, compute=fresh)
    value = os.urandom(2 * MIB)
    assert mirai(lambda x: x[::-1], value, _compute=fresh).collect() == value[::-1]
    assert mirai_map([value, b"", value], len, _compute=fresh).collect() == [2 * MIB, 0, 2 * MIB]
    assert mirai(lambda k: k, k=value, _compute=fresh).collect() == value
    assert max(sent) < 5000


def test_arrays_can_be_written_on_both_sides_and_nobody_else_sees_it(two):
    np = pytest.importorskip("numpy")
    array = np.zeros(MIB)

    def f(x):
        x += 1
        return x

    first, second = mirai_map([array, array], f, _compute=two).collect()
    first += 5
    assert (first == 6).all()
    assert (second == 1).all()
    assert (array == 0).all()


def test_a_value_is_what_it_was_at_submission(fresh, gate):
    np = pytest.importorskip("numpy")
    mirai_py.daemons(1, compute=fresh)
    blocker = mirai(gate.task, gate.argument, _compute=fresh)
    gate.wait()
    arrays = [np.zeros(n) for n in (10_000, MIB)]
    later = [mirai(lambda x: float(x.sum()), array, _compute=fresh) for array in arrays]
    for array in arrays:
        array[:] = 1
    gate.open()
    assert [m.collect() for m in later] == [0, 0]
    assert blocker.collect() is None


def test_values_outlive_the_daemon_that_made_them(fresh):
    mirai_py.daemons(1, compute=fresh)
    m = mirai(bytes, 3 * MIB, _compute=fresh).call()
    mapped = mirai_map([MIB, 2 * MIB], bytes, _compute=fresh).call()
    mirai_py.daemons(0, compute=fresh)
    assert m.collect() == bytes(3 * MIB)
    assert mapped.collect() == [bytes(MIB), bytes(2 * MIB)]
    assert len(mirai("bytes(2 << 20)").collect()) == 2 * MIB  # a process of its own, which ends with it


@pytest.mark.parametrize("number", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_memory_is_used_again_and_nothing_is_left_open(fresh, number):
    mirai_py.daemons(2, compute=fresh)
    pids = [p.who.pid for p in peers(fresh)]
    data = bytes(10 * MIB)
    mirai_map([data] * 4, bytes.__len__, _compute=fresh).call()
    before = [descriptors(pid) for pid in (os.getpid(), *pids)]
    for _ in range(number):
        assert mirai(lambda x: x, data, _compute=fresh).collect() == data
    for found in mirai_map([data] * number, lambda x: x, _compute=fresh):
        assert len(found.collect()) == 10 * MIB
        found._outcomes._values[found._index] = None  # it is read: let go of it
    del found
    assert eventually(lambda: not any(len(p.lent) for p in peers(fresh)))
    assert not named(os.getpid(), *pids)
    for pid, then in zip((os.getpid(), *pids), before, strict=True):
        assert eventually(lambda pid=pid, then=then: descriptors(pid) <= then + 8)


def test_tasks_that_never_read_their_arguments_give_the_memory_back(fresh, gate):
    mirai_py.daemons(1, compute=fresh)
    blocker = mirai(gate.task, gate.argument, _compute=fresh)
    gate.wait()
    held = set(shm._live)
    doomed = [mirai(len, bytes(MIB), _compute=fresh) for _ in range(3)]
    assert len(set(shm._live) - held) == 3
    mirai_py.stop_mirai(doomed)
    assert eventually(lambda: not set(shm._live) - held)
    mirai_py.stop_mirai(blocker)
    broken = mirai("no_such_name", x=bytes(MIB), _compute=fresh)
    assert mirai_py.is_mirai_error(broken.collect())
    assert eventually(lambda: not set(shm._live) - held)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_daemon_that_dies_with_memory_in_use_leaves_nothing(fresh, gate, number):
    mirai_py.daemons(1, compute=fresh)
    held = set(shm._live)
    task = gate.task
    m = mirai(lambda x, folder: (task(folder), x)[1], bytes(4 * MIB), gate.argument, _compute=fresh)
    (pid,) = gate.wait()
    os.kill(pid, number)
    assert m.collect() == 19
    assert eventually(lambda: not set(shm._live) - held)


def test_a_killed_host_leaves_nothing():
    source = f"""
        import mirai_py, sys
        mirai_py.daemons(1)
        m = mirai_py.mirai("import time; print(len(x), flush=True); time.sleep(60)", x=bytes({4 * MIB}))
        (pid,) = [d["pid"] for d in mirai_py.profiles.find_profile(None).engine.daemons()]
        print(pid, flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as host:
        pid = int(host.stdout.readline())
        host.kill()
        host.wait()
        assert eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert not named(host.pid, pid)


def test_four_daemons_hold_one_array_once(fresh):
    np = pytest.importorskip("numpy")
    mirai_py.daemons(4, compute=fresh)
    source = """
        import re, pathlib
        def memory():
            text = pathlib.Path("/proc/self/smaps_rollup").read_text()
            return int(re.search(r"^Pss: +(\\d+) kB", text, re.M)[1]) * 1024
        held = []
    """
    mirai_py.everywhere(textwrap.dedent(source), _compute=fresh).call()
    size = 64 * MIB
    array = mirai_py.share(np.ones(size // 8))

    def read(x):
        before = memory()  # noqa: F821 - a name of the daemon
        total = float(x.sum())
        held.append(x)  # noqa: F821
        return total, memory() - before  # noqa: F821

    found = mirai_py.everywhere(read, array, _compute=fresh).collect()
    assert [total for total, _ in found] == [size / 8] * 4
    pss = mirai_py.everywhere("memory()", _compute=fresh).collect()
    assert len(pss) == 4
    # Each would grow by 64 MiB if it had a copy; read in turn, each is charged its share of one.
    assert sum(grown for _, grown in found) < 2.5 * size


def test_once_objects_are_in_memory_once_and_fresh_if_wanted(fresh, sent):
    mirai_py.daemons(2, compute=fresh)
    np = pytest.importorskip("numpy")
    array = np.zeros(MIB)

    def change(x):
        x[0] += 1
        return float(x[0])

    kept = mirai_py.once(array)
    assert isinstance(kept.code.body, bodies.Reference)
    assert mirai_map(range(4), lambda _, x: change(x), _args=(kept,), _compute=fresh).collect() == [1] * 4
    assert max(sent) < 5000
    shared = mirai_py.once(array, fresh=False)
    assert max(mirai_map(range(4), lambda _, x: change(x), _args=(shared,), _compute=fresh).collect()) > 1


def test_what_everywhere_sends_may_be_large(fresh, sent):
    mirai_py.daemons(2, compute=fresh)
    data = os.urandom(5 * MIB)
    mirai_py.everywhere("size = len(table)", table=data, _compute=fresh).call()
    found = mirai_map(range(4), lambda i: (size, table[i]), _compute=fresh)  # noqa: F821 - names of the daemon
    assert found.collect() == [(5 * MIB, data[i]) for i in range(4)]
    assert max(sent) < 5000


def test_a_task_may_return_what_it_shared(one):
    np = pytest.importorskip("numpy")
    found = mirai("import mirai_py, numpy as np; mirai_py.share(np.ones(1 << 20))", _compute=one).collect()
    assert (found == 1).all()
    found += np.ones(MIB)
    assert (found == 2).all()


def test_a_daemon_that_cannot_read_the_memory_gets_bytes(fresh, monkeypatch, sent):
    monkeypatch.setattr(shm, "can_read", lambda _: False)
    mirai_py.daemons(1, compute=fresh)
    assert not any(p.shares for p in peers(fresh))
    data = os.urandom(2 * MIB)
    table = mirai_py.once(data)
    assert mirai(lambda x: x, data, _compute=fresh).collect() == data
    assert mirai_map([data, data[::-1]], lambda x: x, _compute=fresh).collect() == [data, data[::-1]]
    assert mirai_map([1, 2], lambda i, x, t: x[i] == t[i], _args=(data, table), _compute=fresh).collect() == [
        True,
        True,
    ]
    assert max(sent) > 2 * MIB


def test_a_daemon_that_turns_out_not_to_read_it_gets_bytes_too(fresh, monkeypatch):
    monkeypatch.setattr(shm, "own_probe", lambda: "1:2:00")  # nobody can read what this says
    mirai_py.daemons(1, compute=fresh)
    data = os.urandom(2 * MIB)
    assert mirai(lambda x: x, data, _compute=fresh).collect() == data
    assert mirai_map([data], lambda x: x, _compute=fresh).collect() == [data]
    assert eventually(lambda: not any(p.shares for p in peers(fresh)))


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare")
def test_processes_of_another_pid_namespace_get_bytes(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), compute=fresh)
    source = f"import mirai_py; mirai_py.daemon({mirai_py.nextget('url', fresh)!r})"
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", source]
    data = os.urandom(2 * MIB)
    m = mirai(lambda x: x[::-1], data, _compute=fresh)
    with subprocess.Popen(command, env=os.environ | mirai_py.nextget("env", fresh)) as process:
        try:
            assert m.collect() == data[::-1]
            assert not any(p.shares for p in peers(fresh))
        finally:
            mirai_py.daemons(0, compute=fresh)
            process.wait(10)


@pytest.mark.parametrize("limit", ["RLIMIT_FSIZE, (100_000, 100_000)", "RLIMIT_NOFILE, (64, 64)"])
def test_where_memory_is_short_values_are_copied_with_one_warning(limit, tmp_path):
    os.mkfifo(tmp_path / "go")
    source = f"""
        import resource
        import mirai_py
        if __name__ == "__main__":
            mirai_py.daemons(1)
            resource.setrlimit(resource.{limit})
            data = [bytes([i]) * {2 * MIB} for i in range(20)]
            blocker = mirai_py.mirai(lambda: open({str(tmp_path / "go")!r}).read())
            found = [mirai_py.mirai(lambda x: x, x) for x in data]
            open({str(tmp_path / "go")!r}, "w").close()
            assert blocker.collect() == ""
            assert [m.collect() for m in found] == data
            mirai_py.daemons(0)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("no shared memory is to be had") == 1


@pytest.mark.slow
def test_values_of_more_than_two_gigabytes(fresh, monkeypatch):
    np = pytest.importorskip("numpy")
    size = (1 << 31) + 10
    for share in (True, False):
        if not share:
            monkeypatch.setattr(shm, "can_read", lambda _: False)
        mirai_py.daemons(1, compute=fresh)
        array = np.zeros(size, dtype="u1")
        array[-1] = 7
        found = mirai(lambda x: x, array, _compute=fresh).collect()
        assert (len(found), int(found[-1]), int(found[0])) == (size, 7, 0)
        del found
