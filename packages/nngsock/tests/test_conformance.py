"""What holds for every protocol on every transport, and for every kind of message on every transport."""

import contextlib
import socket
import struct
import threading

import pytest

import nngsock

TRANSPORTS = ("inproc", "ipc", "abstract", "tcp", "tcp6", "tls+tcp", "ws", "wss")
TWO_WAY = [("pair", "pair"), ("pair1", "pair1"), ("poly", "poly"), ("poly", "pair1"), ("bus", "bus")]
ONE_WAY = [("push", "pull"), ("pull", "push"), ("pub", "sub"), ("sub", "pub")]
ASKING = [("req", "rep"), ("rep", "req"), ("surveyor", "respondent"), ("respondent", "surveyor")]

GARBAGE = [bytes(1000), b"\xff" * 1000, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(99)]

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


@pytest.mark.parametrize("transport", ["tcp", "tcp6", "tls+tcp", "ws", "wss"])
def test_a_listener_tells_the_port_that_it_got(connect, transport):
    a, _ = connect("pair", transport=transport)
    (listener,) = a.listener
    port = int(nngsock.parse_url(listener.url)["port"])
    assert port > 0
    assert nngsock.opt(listener, "tcp-bound-port") == port


@pytest.mark.parametrize("transport", ["tcp", "tls+tcp", "ws", "wss"])
def test_garbage_harms_nobody(connect, transport, patience):
    a, b = connect("pair1", transport=transport)
    port = int(nngsock.parse_url(a.listener[0].url)["port"])
    for garbage in GARBAGE:
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.settimeout(patience / 1000)
            with contextlib.suppress(OSError):  # it may be cut off at any moment
                stranger.sendall(garbage)
                stranger.shutdown(socket.SHUT_WR)
                while stranger.recv(1000):
                    continue
    assert nngsock.send(b, "still here", block=patience) == 0
    assert nngsock.recv(a, block=patience) == "still here"


def test_half_a_message_is_none(make_socket, make_url, patience):
    sock = make_socket("pull", listen=make_url("tcp"))
    gone = nngsock.cv()
    nngsock.pipe_notify(sock, gone, remove=True)
    port = nngsock.opt(sock.listener[0], "tcp-bound-port")
    with socket.create_connection(("127.0.0.1", port)) as end:
        end.sendall(b"\0SP\0\0\x50\0\0" + (1_000_000).to_bytes(8, "big") + bytes(500_000))
        end.recv(8)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # as if it were killed
    assert nngsock.until(gone, patience)
    assert nngsock.recv(sock) == 8
    sender = make_socket("push", dial=sock.listener[0].url, autostart=None)
    assert nngsock.send(sender, "whole", block=patience) == 0
    assert nngsock.recv(sock, block=patience) == "whole"


@pytest.mark.parametrize("transport", ["ws", "wss"])
def test_a_websocket_dialer_can_send_headers(make_socket, make_url, certificates, transport, patience):
    encrypted = transport == "wss"
    tls = nngsock.tls_config(server=certificates.server) if encrypted else None
    client = nngsock.tls_config(client=certificates.ca) if encrypted else None
    a = make_socket("pair", listen=make_url(transport), tls=tls)
    b = make_socket("pair")
    nngsock.dial(b, a.listener[0].url, tls=client, autostart=False)
    (dialer,) = b.dialer
    nngsock.set_opt(dialer, "ws:request-headers", "X-One: 1\r\n")
    assert nngsock.start(dialer, async_=False) == 0
    assert nngsock.send(b, 1, block=patience) == 0
    assert nngsock.recv(a, block=patience) == 1
