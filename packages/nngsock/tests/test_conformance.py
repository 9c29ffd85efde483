"""What holds for every protocol on every transport, and for every kind of message on every transport."""

import threading

import pytest

import nngsock

TRANSPORTS = ("inproc", "ipc", "abstract", "tcp")
TWO_WAY = [("pair", "pair"), ("pair1", "pair1"), ("poly", "poly"), ("poly", "pair1"), ("bus", "bus")]
ONE_WAY = [("push", "pull"), ("pull", "push"), ("pub", "sub"), ("sub", "pub")]
ASKING = [("req", "rep"), ("rep", "req"), ("surveyor", "respondent"), ("respondent", "surveyor")]

MESSAGES = {
    "empty": b"",
    "one byte": b"x",
    "a kilobyte": bytes(range(256)) * 4,
    "over the copied size": b"ab" * 5_000,
    "three megabytes": bytes(3_000_000),
}


def roles(pair, names):
    """The sockets of a pair in the order of these protocols."""
    return pair if pair[0].protocol == names[0] else pair[::-1]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("protocols", TWO_WAY, ids="-".join)
class TestTwoWay:
    def test_messages_pass_both_ways(self, connect, transport, protocols, patience):
        a, b = connect(*protocols, transport=transport)
        for one, other in ((a, b), (b, a)):
            assert nngsock.send(one, {"n": 1}, block=patience) == 0
            assert nngsock.recv(other, block=patience) == {"n": 1}

    def test_aios_pass_both_ways(self, connect, transport, protocols, patience):
        a, b = connect(*protocols, transport=transport)
        for one, other in ((a, b), (b, a)):
            aio = nngsock.recv_aio(other, timeout=patience)
            assert nngsock.send_aio(one, [1], timeout=patience).collect() == 0
            assert aio.collect() == [1]
            assert aio.pipe > 0


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("protocols", ONE_WAY, ids="-".join)
def test_messages_pass_one_way(connect, transport, protocols, patience):
    pair = connect(*protocols, transport=transport)
    sender, receiver = roles(pair, ("push",) if "push" in protocols else ("pub",))
    if receiver.protocol == "sub":
        nngsock.subscribe(receiver)
    for i in range(10):
        assert nngsock.send(sender, i, block=patience) == 0
        assert nngsock.recv(receiver, block=patience) == i
    assert nngsock.send(receiver, 1) == 9
    assert nngsock.recv(sender) == 9


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("protocols", ASKING, ids="-".join)
class TestAsking:
    def test_an_answer_follows_a_question(self, connect, transport, protocols, patience):
        pair = connect(*protocols, transport=transport)
        asker, answerer = roles(pair, ("req",) if "req" in protocols else ("surveyor",))
        for i in range(3):
            assert nngsock.send(asker, i, block=patience) == 0
            assert nngsock.recv(answerer, block=patience) == i
            assert nngsock.send(answerer, -i, block=patience) == 0
            assert nngsock.recv(asker, block=patience) == -i

    def test_contexts_ask_and_answer_side_by_side(self, connect, transport, protocols, patience):
        pair = connect(*protocols, transport=transport)
        asker, answerer = roles(pair, ("req",) if "req" in protocols else ("surveyor",))
        asking = [nngsock.context(asker) for _ in range(3)]
        answering = [nngsock.context(answerer) for _ in range(3)]
        threads = [
            threading.Thread(target=nngsock.reply, args=(con, lambda x: x * 2), kwargs={"timeout": patience})
            for con in answering
        ]
        for thread in threads:
            thread.start()
        answers = [nngsock.request(con, i, timeout=patience) for i, con in enumerate(asking)]
        assert nngsock.collect_aio(answers) == [0, 2, 4]
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("data", MESSAGES.values(), ids=MESSAGES.keys())
@pytest.mark.parametrize("mode", ["raw", "buffer", "serial"])
def test_every_size_passes_in_every_mode(connect, transport, data, mode, patience):
    a, b = connect("pair1", transport=transport)
    aio = nngsock.recv_aio(b, mode, timeout=patience)
    if mode == "serial":
        nngsock.send_aio(a, data)
    else:
        nngsock.send_aio(a, [data], "parts")
    assert aio.collect() == data
    nngsock.send_aio(a, data, "serial" if mode == "serial" else "raw")
    assert nngsock.recv(b, mode, block=patience) == data


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_many_messages_stay_in_order(connect, transport, patience):
    a, b = connect("pair1", transport=transport)
    sends = [nngsock.send_aio(a, i) for i in range(500)]
    assert [nngsock.recv(b, block=patience) for _ in range(500)] == list(range(500))
    assert nngsock.collect_aio(sends) == [0] * 500


# Not abstract: NNG may keep such a name when a dialer comes back in the very moment of the close.
@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
def test_a_dialer_comes_back_when_its_listener_does(make_socket, make_url, transport, patience):
    first = make_socket("pair1", listen=make_url(transport))
    url = first.listener[0].url
    dialer = make_socket("pair1")
    nngsock.set_opt(dialer, "reconnect-time-min", 10)
    nngsock.dial(dialer, url, autostart=None, fail="error")
    nngsock.close(first)
    second = make_socket("pair1")
    joined = nngsock.cv()
    nngsock.pipe_notify(second, joined, add=True)
    nngsock.listen(second, url, fail="error")
    assert nngsock.until(joined, patience)
    assert nngsock.send(dialer, "again", block=patience) == 0
    assert nngsock.recv(second, block=patience) == "again"
