import os
import select
import threading

import pytest

import nngsock
from nngsock.drain import Drain


@pytest.fixture
def draining(make_socket, make_url):
    """A sending socket with its drain, the receiving one, and a thread that waits for the drain."""
    receiving = make_socket("pull", listen=make_url("ipc"))
    sending = make_socket("push")
    drain = Drain(sending)
    sending.dial(receiving.listener[0].url, autostart=None, fail="error")
    yield drain, sending, receiving
    nngsock.reap(sending)
    drain.close()


def waiting(drain):
    thread = threading.Thread(target=drain.wait, daemon=True)
    thread.start()
    return thread


def test_it_waits_until_the_last_message_has_been_handed_over(draining, patience):
    drain, sending, receiving = draining
    large = bytes(20_000_000)
    count = 0
    while sending.send(large, "raw", block=50) == 0:  # until one cannot leave
        count += 1
    thread = waiting(drain)
    thread.join(0.05)
    assert thread.is_alive()
    for _ in range(count):
        assert len(receiving.recv("buffer", block=patience)) == len(large)
    thread.join(patience / 1000)
    assert not thread.is_alive()


def test_a_peer_that_goes_ends_the_wait(draining, patience):
    drain, sending, receiving = draining
    while sending.send(bytes(20_000_000), "raw", block=50) == 0:
        continue
    thread = waiting(drain)
    receiving.close()
    thread.join(patience / 1000)
    assert not thread.is_alive()


def test_the_wait_may_have_an_end(make_socket):
    drain = Drain(make_socket("push"))
    drain.wait(0.01)
    drain.close()


def test_once_closed_it_touches_no_descriptor(make_socket, make_url, patience):
    receiving, sending = make_socket("pull", listen=make_url()), make_socket("push")
    gone = nngsock.cv()
    drain = Drain(sending)
    nngsock.pipe_notify(sending, gone, remove=True)
    sending.dial(receiving.listener[0].url, autostart=None, fail="error")
    drain.close()
    reading, writing = os.pipe()  # gets the numbers that are free again
    receiving.close()
    assert gone.until(patience)
    assert select.select([reading], [], [], 0)[0] == []
    os.close(reading)
    os.close(writing)
