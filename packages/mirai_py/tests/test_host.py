import queue
import threading

import pytest

import nngsock
from mirai_py.addresses import local_url
from mirai_py.host import Host


class Told:
    """Stands in for the dispatcher."""

    def __init__(self):
        self.events = queue.SimpleQueue()

    def joined(self, pipe):
        self.events.put(("joined", pipe))

    def received(self, pipe, frame):
        self.events.put((bytes(frame), pipe))

    def lost(self, pipe):
        self.events.put(("lost", pipe))

    def beat(self):
        return False


@pytest.fixture
def host():
    told = Told()
    host = Host(local_url(tcp=True))
    host.told = told
    host.address = host.start(told)
    yield host
    host.close()


def test_messages_and_the_end_of_a_pipe_are_told_in_order(host):
    with nngsock.socket("pair1", dial=host.address) as peer:
        name, pipe = host.told.events.get(timeout=10)
        assert name == "joined"
        for i in range(50):
            nngsock.send(peer, b"%d" % i, mode="raw", block=True)
        assert [host.told.events.get(timeout=10) for _ in range(50)] == [(b"%d" % i, pipe) for i in range(50)]
        host.send(pipe, [b"to ", b"you"])
        assert bytes(nngsock.recv(peer, mode="buffer", block=10_000)) == b"to you"
    assert host.told.events.get(timeout=10) == ("lost", pipe)


def test_a_peer_can_be_cut(host):
    with nngsock.socket("pair1") as peer:
        gone = threading.Event()
        nngsock.on_pipe(peer, lambda event, _: gone.set() if event == "remove" else None)
        nngsock.on_message(peer, lambda *_: None)
        nngsock.dial(peer, host.address)
        _, pipe = host.told.events.get(timeout=10)
        host.cut(pipe)
        assert gone.wait(10)
    host.send(pipe, [b"nowhere"])


def test_the_real_port_is_told(host):
    assert not host.address.endswith(":0")


def test_closing_is_final_and_can_be_repeated(host):
    with nngsock.socket("pair1", dial=host.address):
        host.told.events.get(timeout=10)
        host.close()
        host.close()
    assert host.told.events.empty()
