"""Connections over TLS and WebSockets whose loss NNG forgets to tell."""

import contextlib
import gc
import select
import socket
import ssl
import struct
import threading

import pytest

import nngsock
from nngsock import lifelines

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: pull.sp.nanomsg.org\r\n\r\n"
)


class Pusher:
    """A peer of protocol push."""

    def __init__(self, url):
        parts = nngsock.parse_url(url)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket = socket.create_connection((parts["hostname"], int(parts["port"])), timeout=10)
        if parts["scheme"] != "ws":
            self._socket = context.wrap_socket(self._socket)
        self._frames = parts["scheme"] != "tls+tcp"
        if self._frames:
            self._socket.sendall(UPGRADE.format(path=parts["path"]).encode())
            assert self._socket.recv(1000).startswith(b"HTTP/1.1 101")
        else:
            self._socket.sendall(struct.pack(">4sHH", b"\0SP\0", 0x50, 0))
            self._socket.recv(8)

    def send(self, data, size=None):
        """Send a message, or as much of one as there is if it says that it is longer."""
        size = len(data) if size is None else size
        if self._frames:  # one that is masked with zeros
            length = struct.pack(">B", 0x80 | size) if size < 126 else struct.pack(">BH", 0xFE, size)
            self._socket.sendall(b"\x82" + length + bytes(4) + data)
        else:
            self._socket.sendall(struct.pack(">Q", size) + data)

    def vanish(self):
        """End TCP without a word, as the system does for a process that is killed."""
        self._socket.close()


@pytest.fixture(params=["tls+tcp", "ws", "wss"])
def listening(request, make_socket, make_url, server):
    """A socket of protocol pull, and a cv that is signalled when a connection is gone."""
    s, left = make_socket("pull"), nngsock.cv()
    nngsock.pipe_notify(s, left, remove=True)
    nngsock.listen(s, make_url(request.param), tls=None if request.param == "ws" else server, fail="error")
    return s, left


def until_there(s):
    assert select.select([nngsock.opt(s, "recv-fd")], [], [], 10)[0]


def look_at_all():
    for lifeline in list(lifelines._held):
        lifeline.look()


def test_what_came_before_is_received_then_the_loss_is_told(listening, patience):
    s, left = listening
    peer = Pusher(s.listener[0].url)
    peer.send(b"last words")
    until_there(s)
    peer.vanish()  # while nobody reads: the message has not been received
    nngsock.msleep(50)  # so that NNG has heard of it
    for _ in range(3):
        look_at_all()
    assert left.value() == 0
    assert nngsock.recv(s, "raw") == b"last words"
    assert nngsock.until(left, 4 * patience)


def test_half_a_message_is_none_and_its_sender_gone(listening, patience):
    s, left = listening
    peer = Pusher(s.listener[0].url)
    peer.send(b"whole")
    until_there(s)
    peer.send(b"half", size=1000)
    peer.vanish()
    nngsock.msleep(50)
    assert nngsock.recv(s, "raw") == b"whole"
    assert nngsock.until(left, 4 * patience)
    assert nngsock.recv(s, "raw") == 8


def test_connections_that_live_are_left_alone(listening, patience):
    s, left = listening
    peer = Pusher(s.listener[0].url)
    peer.send(b"first")
    assert nngsock.recv(s, "raw", block=patience) == b"first"
    for _ in range(3):
        look_at_all()
    peer.send(b"second")
    assert nngsock.recv(s, "raw", block=patience) == b"second"
    assert left.value() == 0
    peer.vanish()
    assert nngsock.until(left, 4 * patience)


def test_a_dialer_that_has_lost_its_listener_comes_back(make_socket, server, client, patience):
    a = make_socket("pair1", listen="tls+tcp://127.0.0.1:0", tls=server)
    b, joined = make_socket("pair1"), nngsock.cv()
    nngsock.pipe_notify(b, joined, add=True)
    nngsock.set_opt(b, "reconnect-time-min", 10)
    url = a.listener[0].url
    nngsock.dial(b, url, tls=client, fail="error")
    assert nngsock.until(joined, patience)
    nngsock.close(a)
    make_socket("pair1", listen=url, tls=server)
    assert nngsock.until(joined, 4 * patience)


def test_a_stream_says_that_its_peer_is_gone(server, client, patience):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        context = server.ssl_context()
        accepted = []

        def accept():
            accepted.append(context.wrap_socket(listener.accept()[0], server_side=True))

        accepting = threading.Thread(target=accept)
        accepting.start()
        url = f"tls+tcp://127.0.0.1:{listener.getsockname()[1]}"
        with nngsock.stream(dial=url, tls=client) as s:
            assert nngsock.send(s, b"hello") == 0
            accepting.join(10)
            (peer,) = accepted
            assert peer.recv(5) == b"hello"
            peer.sendall(b"good-bye")
            assert nngsock.recv(s, "raw", block=patience) == b"good-bye"
            peer.close()  # without a word of TLS, and while nothing is received
            nngsock.msleep(50)
            assert nngsock.recv(s, "raw", block=4 * patience) == 31
            assert nngsock.send(s, b"anybody?", block=patience) == 31


@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
def test_where_nng_tells_nothing_is_looked_at(connect, transport):
    before = set(lifelines._held)
    connect("pair1", transport=transport)
    assert set(lifelines._held) <= before


def test_those_of_a_socket_that_is_dropped_are_looked_at_no_more(make_url, patience):
    before = set(lifelines._held)
    a, b, joined = nngsock.socket("pair"), nngsock.socket("pair"), nngsock.cv()
    nngsock.pipe_notify(a, joined, add=True)
    nngsock.listen(a, make_url("ws"), fail="error")
    nngsock.dial(b, a.listener[0].url, autostart=None, fail="error")
    assert nngsock.until(joined, patience)
    assert set(lifelines._held) > before
    del a, b
    gc.collect()
    assert set(lifelines._held) <= before


AT_EXIT = """
    import sys
    import nngsock

    server, client = nngsock.tls_config(server=sys.argv[1]), nngsock.tls_config(client=sys.argv[1])
    a = nngsock.socket("pair1", listen="tls+tcp://127.0.0.1:0", tls=server)
    b = nngsock.socket("pair1")
    nngsock.dial(b, a.listener[0].url, tls=client, autostart=None, fail="error")
    print(nngsock.send(b, 1, block=True), nngsock.recv(a, block=True), len(nngsock.lifelines._held) > 0)
"""


def test_the_interpreter_exits_cleanly_while_it_looks(run_script, certificates):
    done = run_script(AT_EXIT, str(certificates.folder / "server.pem"))
    assert (done.stdout.split(), done.stderr, done.returncode) == (["0", "1", "True"], "", 0)
