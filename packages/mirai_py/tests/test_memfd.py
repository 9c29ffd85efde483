"""Memory of Linux that has no name."""

import errno
import os

import pytest

from mirai_py.memfd import Memfd

pytestmark = pytest.mark.skipif(not Memfd.supported(), reason="needs memfd and /proc")


@pytest.fixture
def memory():
    made = Memfd()
    yield made
    made.close()


def test_a_write_for_which_there_is_no_memory_is_an_error_and_harms_nothing(memory, monkeypatch):
    memory.fit(100)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(OSError, match="full"):
            memory.write(0, memoryview(b"x" * 100))
    memory.fit(50)
    memory.write(0, memoryview(b"y" * 50))
    assert memory.copied(memory.fd, 0, 50) == b"y" * 50


def test_from_its_second_use_on_it_is_written_through_a_mapping(memory, monkeypatch):
    memory.fit(100)
    memory.write(0, memoryview(b"x" * 100))
    memory.fit(100)
    monkeypatch.delattr(os, "pwrite")
    memory.write(50, memoryview(b"y" * 50))
    assert memory.copied(memory.fd, 49, 2) == b"xy"


def test_others_open_it_by_process_and_descriptor(memory):
    memory.fit(5)
    memory.write(0, memoryview(b"hello"))
    fd = Memfd.opened(os.getpid(), memory.handle)
    assert Memfd.copied(fd, 1, 3) == b"ell"
    os.close(fd)


def test_a_descriptor_of_something_else_is_not_opened(tmp_path):
    with (tmp_path / "file").open("w") as file, pytest.raises(FileNotFoundError, match="is gone"):
        Memfd.opened(os.getpid(), file.fileno())
