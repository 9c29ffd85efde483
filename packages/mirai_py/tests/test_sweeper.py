"""Names end with the process that made them."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

posix = pytest.importorskip("_posixshmem")

from mirai_py.sweeper import Sweeper  # noqa: E402 - where there is no such memory, nothing sweeps


@pytest.fixture
def name():
    made = f"/mirai_py-{os.getpid()}-test"
    yield made
    if exists(made):
        posix.shm_unlink(made)


@pytest.fixture
def sweeper():
    made = Sweeper()
    yield made
    made.close()


def make(name):
    os.close(posix.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600))


def exists(name):
    try:
        os.close(posix.shm_open(name, os.O_RDONLY, mode=0))
    except FileNotFoundError:
        return False
    return True


def test_what_is_left_at_the_end_is_removed_and_what_was_taken_back_is_not(sweeper, name):
    other = f"{name}-2"
    for each in (name, other):
        sweeper.add(each)
        make(each)
    sweeper.remove(other)
    sweeper.close()
    assert not exists(name)
    assert exists(other)
    posix.shm_unlink(other)


def test_a_dead_one_is_replaced_and_nothing_is_forgotten(sweeper, name):
    sweeper.add(name)
    make(name)
    first = sweeper._process
    first.kill()
    first.wait()
    sweeper.add(f"{name}-never-made")
    assert sweeper._process.pid != first.pid
    sweeper.close()
    assert not exists(name)


def test_none_is_started_before_there_is_a_name(sweeper):
    sweeper.remove("/mirai_py-unknown")
    assert sweeper._process is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_with_its_group_is_swept_up_after(ended, name, number):
    source = f"""
        import os, sys, _posixshmem
        from mirai_py.sweeper import sweeper
        sweeper.add({name!r})
        os.close(_posixshmem.shm_open({name!r}, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600))
        print(sweeper._process.pid, flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        pid = int(process.stdout.readline())
        assert exists(name)
        os.kill(pid, signal.SIGTERM)  # which is not for it to die of
        os.killpg(process.pid, number)
        assert process.wait(10) == -number
    assert ended(pid)
    assert not exists(name)


def test_a_forked_child_does_not_keep_the_names_of_its_parent(ended, name):
    source = f"""
        import os, sys, _posixshmem
        from mirai_py.sweeper import sweeper
        sweeper.add({name!r})
        os.close(_posixshmem.shm_open({name!r}, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600))
        print(sweeper._process.pid, flush=True)
        if os.fork() == 0:
            sweeper.add({name!r} + "-child")  # with a sweeper of its own
            print(sweeper._process.pid, flush=True)
            sys.stdin.read()
            os._exit(0)
        os.wait()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        of_parent, of_child = int(process.stdout.readline()), int(process.stdout.readline())
        process.kill()
        process.wait()
        assert ended(of_parent)
        assert not exists(name)
    assert ended(of_child)
