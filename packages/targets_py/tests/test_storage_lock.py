import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from targets_py.errors import TarFileError, TarRunError
from targets_py.storage import lock as module
from targets_py.storage.lock import StoreLock, owner_lives, read_owner
from targets_py.storage.process import process_start, write_process
from targets_py.storage.store import Store

HOLD = """
import os, sys
from targets_py.storage.lock import StoreLock
from targets_py.storage.process import write_process
from targets_py.storage.store import Store

store = Store(sys.argv[1])
store.create()
lock = StoreLock(store)
lock.acquire()
{then}
print("held", flush=True)
input()
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "_targets")


@pytest.fixture
def holder(store):
    """Starts a process that holds the lock until it is killed."""
    started = []

    def start(then=""):
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD.replace("{then}", then), str(store.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        assert child.stdout.readline() == "held\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def test_the_folder_is_made_and_the_file_stays(store):
    with StoreLock(store) as lock:
        assert repr(lock).endswith("held>")
    assert store.lock_file.read_bytes() == b""
    with StoreLock(store):
        pass


def test_a_second_user_in_this_process_is_refused_and_takes_nothing_away(store):
    with StoreLock(store):
        with pytest.raises(
            TarRunError, match=rf"process {os.getpid()} on .* is writing the data store {store.path}"
        ):
            StoreLock(store).acquire()
        refused = []

        def try_it():
            try:
                StoreLock(Store(store.path / ".." / "_targets")).acquire()
            except TarRunError as error:
                refused.append(error)

        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
        assert len(refused) == 1
        # Another process is still refused: no descriptor of the lock was closed here.
        assert held_by_another_process(store)
    assert not held_by_another_process(store)


def held_by_another_process(store):
    """Whether a fresh process is refused."""
    code = (
        "import sys\n"
        "from targets_py.errors import TarRunError\n"
        "from targets_py.storage.lock import StoreLock\n"
        "from targets_py.storage.store import Store\n"
        "try:\n    StoreLock(Store(sys.argv[1])).acquire()\nexcept TarRunError:\n    sys.exit(3)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(store.path)], check=False)
    assert run.returncode in {0, 3}
    return run.returncode == 3


def test_another_process_is_named_with_host_and_start(store, holder):
    child = holder("write_process(store)")
    with pytest.raises(TarRunError) as caught:
        StoreLock(store).acquire()
    text = str(caught.value)

    assert f"process {child.pid} on {socket.gethostname()}" in text
    assert f"started {process_start(child.pid).isoformat()[:15]}" in text


def test_a_holder_that_left_no_note_is_named_too(store, holder):
    """As tar_invalidate() does; the process file is that of an earlier run."""
    store.create()
    write_process(store)
    child = holder()

    with pytest.raises(TarRunError, match=f"process {child.pid} on"):
        StoreLock(store).acquire()


def test_kill_9_frees_the_lock_although_a_forked_child_lives(store, holder):
    child = holder(
        "read, write = os.pipe()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.close(write)\n"
        "    os.read(read, 1)\n"  # until the parent is gone, then until its own end
        "    print('orphan', flush=True)\n"
        "    sys.stdin.read()\n"
        "    os._exit(0)\n"
        "os.close(read)\n"
    )
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert child.stdout.readline() == "orphan\n"

    with StoreLock(store):
        pass


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_holds_nothing_and_takes_nothing_away(store):
    with StoreLock(store) as lock:
        pid = os.fork()
        if pid == 0:
            lock.release()
            os._exit(0)
        os.waitpid(pid, 0)
        assert held_by_another_process(store)


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(store, monkeypatch):
    """tar_destroy() removes the file while it holds the lock: who waited for it holds a file nobody sees."""
    first = StoreLock(store)
    first.acquire()
    opened = []
    open_file = os.open

    def open_then_destroy(path, *args):
        descriptor = open_file(path, *args)
        opened.append(descriptor)
        if len(opened) == 1:
            store.lock_file.unlink()
        return descriptor

    first.release()
    monkeypatch.setattr(module.os, "open", open_then_destroy)
    with StoreLock(store):
        monkeypatch.undo()
        assert len(opened) == 2
        assert store.lock_file.exists()
        assert held_by_another_process(store)


def test_release_may_remove_the_file(store):
    lock = StoreLock(store)
    lock.acquire()
    lock.release(remove=True)
    lock.release()

    assert not store.lock_file.exists()


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(TarFileError, match="cannot make the data store"):
        StoreLock(Store(tmp_path / "file" / "_targets")).acquire()


class TestWithoutLocks:
    """On file systems whose locks do not work, a file with the holder's name stands for the lock."""

    @pytest.fixture(autouse=True)
    def no_locks(self, monkeypatch):
        def refuse(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(module.fcntl, "lockf", refuse)

    def test_the_owner_is_written_and_removed(self, store):
        with StoreLock(store):
            owner = read_owner(store)
            assert owner["pid"] == os.getpid()
            assert owner["host"] == socket.gethostname()
            assert owner_lives(owner)
        assert not store.owner_file.exists()

    def test_a_living_owner_is_respected(self, store, holder):
        child = holder()  # makes the folder; its own lock does not count here
        self.write(store, child.pid, str(process_start(child.pid)))
        with pytest.raises(TarRunError, match=rf"process {child.pid} on .*tar_unblock_process"):
            StoreLock(store).acquire()
        assert read_owner(store)["pid"] == child.pid

    def test_another_host_is_respected(self, store):
        store.create()
        self.write(store, 1, "2026-01-01T00:00:00+00:00", host="elsewhere")
        with pytest.raises(TarRunError, match=r"process 1 on elsewhere, started 2026-01-01T00:00:00\+00:00"):
            StoreLock(store).acquire()

    def test_a_dead_owner_is_replaced(self, store):
        store.create()
        with subprocess.Popen([sys.executable, "-c", ""]) as child:
            pass
        self.write(store, child.pid, "2026-01-01T00:00:00+00:00")
        with StoreLock(store):
            assert read_owner(store)["pid"] == os.getpid()
        assert [path.name for path in store.meta.iterdir()] == ["lock"]

    def test_another_process_with_the_same_id_is_no_owner(self, store):
        store.create()
        self.write(store, os.getppid(), "2020-01-01T00:00:00+00:00")
        with StoreLock(store):
            assert read_owner(store)["pid"] == os.getpid()

    def test_a_damaged_file_is_respected(self, store):
        store.create()
        store.owner_file.write_text("{")
        with pytest.raises(TarRunError, match="tar_unblock_process"):
            StoreLock(store).acquire()

    def test_a_faster_process_keeps_its_lock(self, store):
        store.create()
        stale = {"pid": 1, "host": "a", "created": ""}
        self.write(store, 2, "now")
        module._remove_stale(store, stale)

        assert read_owner(store)["pid"] == 2

    def write(self, store, pid, created, host=None):
        owner = {"pid": pid, "host": host or socket.gethostname(), "created": created}
        store.owner_file.write_text(json.dumps(owner))
