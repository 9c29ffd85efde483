import os

import pytest

from mirai_py.frames import Result
from mirai_py.record import SIZE, Record, shared_memory


@pytest.fixture
def both():
    """The record as the daemon and as the host have it."""
    with shared_memory() as descriptor:
        records = Record(descriptor), Record(descriptor)
    yield records
    for record in records:
        record.close()


def test_the_host_sees_what_the_daemon_noted(both):
    daemon, host = both
    assert (host.started(), host.finished()) == (0, {})
    daemon.begin(2**40)
    assert daemon.keep(Result(7, 0, 0.1, [b"one", memoryview(b"two")]))
    assert daemon.keep(Result(2**40, 1, 0.1, []))
    assert host.started() == 2**40
    assert host.finished() == {7: (0, b"onetwo"), 2**40: (1, b"")}


def test_what_is_sent_is_forgotten_but_not_what_was_begun(both):
    daemon, host = both
    daemon.begin(3)
    daemon.keep(Result(3, 0, 0.1, [b"x"]))
    daemon.clear()
    assert (host.started(), host.finished()) == (3, {})


def test_what_does_not_fit_is_refused_and_harms_nothing(both):
    daemon, host = both
    assert not daemon.keep(Result(1, 0, 0.1, [bytes(SIZE)]))
    kept = 0
    while daemon.keep(Result(kept, 0, 0.1, [bytes(10_000)])):
        kept += 1
    assert set(host.finished()) == set(range(kept))
    assert kept > 20


def test_a_record_that_was_cut_off_in_the_middle_is_read_up_to_there(both):
    """A process may be killed between any two instructions."""
    daemon, host = both
    daemon.keep(Result(1, 0, 0.1, [b"whole"]))
    daemon._memory[16 + 21 + 5 :][:4]
    daemon._numbers[1] += 10
    assert host.finished() == {1: (0, b"whole")}


def test_the_descriptor_is_not_needed_afterwards(both):
    with pytest.raises(OSError, match="Bad file"), shared_memory() as descriptor:
        os.close(descriptor)
