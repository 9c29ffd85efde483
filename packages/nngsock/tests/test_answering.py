"""Those who answer: what NNG makes of an answer given while the one before still waits."""

import socket
import struct
import threading

import pytest

import nngsock

ASKERS = {"rep": 0x30, "respondent": 0x62}  # NNG's numbers of the protocols that ask these
LARGE = bytes(16_000_000)  # more than connections take from a peer that does not read


class Asker:
    """A peer that asks, and reads no answer before it is told to."""

    def __init__(self, port, number):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.sendall(struct.pack(">4sHH", b"\0SP\0", number, 0))
        self._asked = 0

    def ask(self):
        self._asked += 1
        self._socket.sendall(struct.pack(">QI", 4 + 1, 1 << 31 | self._asked) + b"?")

    def read_on(self):
        while self._socket.recv(1 << 20):
            pass

    def hang_up(self):
        self._socket.close()


@pytest.fixture(params=["rep", "respondent"])
def protocol(request):
    return request.param


@pytest.fixture
def answerer(make_socket, protocol):
    return make_socket(protocol, listen="tcp://127.0.0.1:0")


@pytest.fixture(params=["socket", "context"])
def con(request, answerer):
    return nngsock.context(answerer) if request.param == "context" else answerer


@pytest.fixture
def asker(answerer, protocol):
    peer = Asker(int(nngsock.parse_url(answerer.listener[0].url)["port"]), ASKERS[protocol])
    yield peer
    peer.hang_up()


@pytest.fixture
def waiting(con, asker, patience):
    """An answer that waits, since the peer does not read the one before it; the next question is there."""
    for _ in range(2):
        asker.ask()
        assert nngsock.recv(con, "raw", block=patience) == b"?"
        aio = nngsock.send_aio(con, LARGE, "raw")
    asker.ask()
    assert nngsock.recv(con, "raw", block=patience) == b"?"
    assert nngsock.unresolved(aio)
    return aio


def refused(send):
    with pytest.warns(nngsock.NngWarning, match="the answer before this one is still under way"):
        return send()


def test_an_answer_while_the_one_before_waits_is_refused(con, asker, waiting):
    assert refused(lambda: nngsock.send_aio(con, LARGE, "raw").collect()) == 11
    assert refused(lambda: nngsock.send(con, LARGE, "raw", block=50)) == 11
    reading = threading.Thread(target=asker.read_on)
    reading.start()
    assert waiting.result(10) == 0
    assert nngsock.send_aio(con, b"!", "raw").result(10) == 0  # to the question that is still open
    nngsock.reap(con.socket if isinstance(con, nngsock.Context) else con)
    reading.join(10)
    assert not reading.is_alive()


def test_one_that_is_stopped_makes_way_for_the_next(con, waiting):
    nngsock.stop_aio(waiting)
    assert waiting.data == 20
    assert nngsock.send(con, LARGE, "raw", block=50) == 5


def test_a_thread_that_waits_with_an_answer_keeps_others_from_theirs(con, asker, waiting, patience):
    nngsock.stop_aio(waiting)
    begun = threading.Event()

    def answer():
        begun.set()
        nngsock.send(con, LARGE, "raw", block=True)

    thread = threading.Thread(target=answer)
    thread.start()
    assert begun.wait(5)
    nngsock.msleep(50)  # so that it does wait by now; else the question would be answered below
    asker.ask()
    assert nngsock.recv(con, "raw", block=patience) == b"?"
    assert refused(lambda: nngsock.send_aio(con, LARGE, "raw").collect()) == 11
    nngsock.reap(con)
    thread.join(10)
    assert not thread.is_alive()


def test_where_warnings_are_errors_nothing_is_sent(con, waiting):
    with pytest.raises(nngsock.NngWarning):
        nngsock.send(con, LARGE, "raw", block=True)
    with pytest.raises(nngsock.NngWarning):
        nngsock.send_aio(con, LARGE, "raw")
    assert nngsock.unresolved(waiting)


def test_an_answer_that_need_not_wait_is_sent_without_waiting(con, asker, patience):
    asker.ask()
    assert nngsock.recv(con, "raw", block=patience) == b"?"
    assert nngsock.send(con, b"!", "raw") == 0


def test_one_that_would_have_to_wait_is_8_without_waiting(con, waiting):
    assert nngsock.send(con, b"!", "raw") == 8
