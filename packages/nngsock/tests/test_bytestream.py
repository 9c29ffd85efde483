"""Byte streams: two of ours with each other, and with Python's own sockets."""

import asyncio
import concurrent.futures
import socket
import struct
import sys

import pytest

import nngsock

BYTES = ("tcp", "ipc", "abstract", "tls+tcp")
FRAMES = ("ws", "wss")
ALL = BYTES + FRAMES
GONE = {7, 19, 31}  # what a lost peer gives, by transport


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def address(make_url):
    def make(scheme):
        if scheme in {"ipc", "abstract"}:
            return make_url(scheme)
        return f"{scheme}://127.0.0.1:{free_port()}/path"[: None if scheme in FRAMES else -5]

    return make


@pytest.fixture
def streams(address, client, server, patience):
    """A function that gives two connected streams: the first listens, the second dials."""
    opened = []

    def dial(url, **arguments):
        while True:
            try:
                return nngsock.stream(dial=url, timeout=patience, **arguments)
            except nngsock.NngRefusedError:  # nothing tells when the other is listening
                nngsock.msleep(5)

    def make(scheme, listening=(), dialing=(), **both):
        url = address(scheme)
        tls = scheme in {"tls+tcp", "wss"}
        arguments = {"timeout": patience, "tls": server if tls else None, **both, **dict(listening)}
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            accepting = pool.submit(nngsock.stream, listen=url, **arguments)
            opened.append(dial(url, **{"tls": client if tls else None, **both, **dict(dialing)}))
            opened.append(accepting.result())
        return opened[-1], opened[-2]

    yield make
    for stream in opened:
        nngsock.reap(stream)


@pytest.fixture
def peer(patience):
    """A stream to a server of Python's, and the server's end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stream = nngsock.stream(dial=f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        end, _ = listening.accept()
    end.settimeout(patience / 1000)
    with stream, end:
        yield stream, end


def receive_all(stream, size, patience):
    parts = []
    while sum(map(len, parts)) < size:
        part = nngsock.recv(stream, "raw", block=patience)
        assert isinstance(part, bytes), part
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("scheme", ALL)
class TestBothEnds:
    def test_bytes_and_strings_pass_both_ways(self, streams, scheme, patience):
        pair = streams(scheme)
        for one, other in (pair, pair[::-1]):
            sending = nngsock.send_aio(one, "hello")
            assert nngsock.recv(other, block=patience) == ["hello"]
            assert sending.result(5) == 0
            assert nngsock.send(one, b"\x00\xff", block=patience) == 0
            assert nngsock.recv(other, "raw", block=patience) == b"\x00\xff"

    def test_modes_are_those_of_foreign_peers(self, streams, scheme, patience):
        a, b = streams(scheme)
        for data, mode, decoded in (
            ([1, 2], "integer", [1, 2]),
            ([1.5], "double", [1.5]),
            ("text", "string", "text"),
            (["a", "b"], "serial", ["a", "b"]),
            (b"bytes", "buffer", memoryview(b"bytes")),
        ):
            sending = b.send_aio(data)
            assert a.recv(mode, block=patience) == decoded
            assert sending.result(5) == 0
        sending = b.send_aio([b"one", b"two"], "parts")
        assert receive_all(a, 6, patience) == b"onetwo"
        assert sending.result(5) == 0

    def test_large_sends_stay_whole_and_in_order(self, streams, scheme, patience):
        a, b = streams(scheme)
        sends = [nngsock.send_aio(b, bytes([i]) * 300_000) for i in range(10)]
        assert receive_all(a, 3_000_000, patience) == b"".join(bytes([i]) * 300_000 for i in range(10))
        assert nngsock.collect_aio(sends) == [0] * 10

    def test_a_receive_gives_at_most_the_buffer(self, streams, scheme, patience):
        a, b = streams(scheme, buffer=10)
        sending = nngsock.send_aio(b, b"0123456789abc")
        parts = [nngsock.recv(a, "raw", block=patience) for _ in range(2)]
        assert parts == [b"0123456789", b"abc"]
        assert sending.result(5) == 0

    def test_a_receive_that_ends_early_loses_nothing(self, streams, scheme, patience):
        a, b = streams(scheme)
        first = nngsock.send_aio(b, b"x")
        assert nngsock.recv(a, "raw", block=patience) == b"x"
        assert first.result(5) == 0
        assert nngsock.recv(a, block=False) == 8
        assert nngsock.recv(a, block=20) == 5
        assert nngsock.recv_aio(a, timeout=20).collect() == 5
        stopped = nngsock.recv_aio(a)
        nngsock.stop_aio(stopped)
        assert stopped.data == 20
        nngsock.recv_aio(a)
        assert nngsock.send(b, b"later", block=patience) == 0
        assert nngsock.recv(a, "raw", block=patience) == b"later"

    def test_several_wait_in_turn_and_signal(self, streams, scheme, patience):
        a, b = streams(scheme)
        done = nngsock.cv()
        waiting = [nngsock.recv_aio(a, "raw", cv=done) for _ in range(3)]
        for i in range(3):
            assert nngsock.send(b, b"%d" % i, block=patience) == 0
            assert nngsock.until(done, patience)
            assert waiting[i].data == b"%d" % i

    def test_await(self, streams, scheme):
        a, b = streams(scheme)

        async def run():
            receiving = asyncio.ensure_future(_awaited(nngsock.recv_aio(a, "string")))
            assert await _awaited(nngsock.send_aio(b, "ping")) == 0
            return await asyncio.wait_for(receiving, 10)

        assert asyncio.run(run()) == "ping"

    def test_a_peer_that_closes_ends_it(self, streams, scheme, patience):
        a, b = streams(scheme)
        sending = nngsock.send_aio(b, b"x")
        assert nngsock.recv(a, "raw", block=patience) == b"x"
        assert sending.result(5) == 0
        waiting = nngsock.recv_aio(a)
        assert nngsock.close(b) == 0
        assert waiting.collect() in GONE
        assert nngsock.recv(a, block=patience) in GONE
        while (result := nngsock.send(a, b"y", block=patience)) == 0:
            continue  # the first may still find room in a buffer
        assert result in GONE

    def test_closing_ends_what_is_under_way(self, streams, scheme):
        a, _ = streams(scheme)
        waiting = [nngsock.recv_aio(a) for _ in range(3)]
        sending = [nngsock.send_aio(a, bytes(3_000_000)) for _ in range(5)]
        assert repr(a) == f"< nanoStream >\n - mode: listener\n - state: opened\n - url: {a.url}"
        assert nngsock.close(a) == 0
        assert a.state == "closed"
        assert nngsock.collect_aio(waiting) == [7] * 3
        assert set(nngsock.collect_aio(sending)) <= {0, 7}
        assert sending[-1].data == 7
        with pytest.warns(nngsock.NngWarning, match="7 | Object closed"):
            assert nngsock.close(a) == 7
        assert (nngsock.recv(a), nngsock.send(a, b"x"), nngsock.reap(a)) == (7, 7, 7)


async def _awaited(aio):
    return await aio


@pytest.mark.parametrize("scheme", FRAMES)
class TestFrames:
    def test_text_frames_carry_strings_as_they_are(self, streams, scheme, patience):
        a, b = streams(scheme, textframes=True)
        assert (a.mode, b.mode) == ("listener text frames", "dialer text frames")
        for text in ("hello", "", "ünïcode"):
            assert nngsock.send(b, text, block=patience) == 0
        assert nngsock.recv(a, "raw", block=patience) == b"hello"
        assert nngsock.recv(a, "raw", block=patience) == "ünïcode".encode()  # NNG skips empty frames

    def test_binary_frames_end_strings_with_nul(self, streams, scheme, patience):
        a, b = streams(scheme)
        assert nngsock.send(b, "hello", block=patience) == 0
        assert nngsock.recv(a, "raw", block=patience) == b"hello\0"

    def test_data_that_is_no_string_is_not_cut(self, streams, scheme, patience):
        a, b = streams(scheme, textframes=True)
        for data in (b"bytes", [1, 2], b""):
            assert nngsock.send(b, data, block=patience) == 0
        assert nngsock.recv(a, "raw", block=patience) == b"bytes"
        assert nngsock.recv(a, "integer", block=patience) == [1, 2]

    def test_frames_stay_apart(self, streams, scheme, patience):
        a, b = streams(scheme)
        sends = [nngsock.send_aio(b, b"%d" % i) for i in range(20)]
        assert [nngsock.recv(a, "raw", block=patience) for _ in range(20)] == [b"%d" % i for i in range(20)]
        assert nngsock.collect_aio(sends) == [0] * 20

    def test_headers_reach_the_other_side(self, streams, scheme):
        a, b = streams(scheme, dialing={"headers": {"X-One": "1", "X-Two": "zwei"}})
        for end in (a, b):
            headers = nngsock.opt(end, "ws:request-headers")
            assert "X-One: 1\r\n" in headers
            assert "X-Two: zwei\r\n" in headers
            assert nngsock.opt(end, "ws:request-uri") == "/path"
            assert "Upgrade: websocket" in nngsock.opt(end, "ws:response-headers")


class TestArguments:
    def test_an_address_is_needed(self):
        with pytest.raises(ValueError, match="specify a URL"):
            nngsock.stream()

    @pytest.mark.parametrize("buffer", [0, -1, 1.5, True, "big"])
    def test_a_buffer_is_a_number_of_bytes(self, buffer):
        with pytest.raises(ValueError, match="`buffer` must be"):
            nngsock.stream(dial="tcp://127.0.0.1:1", buffer=buffer)

    @pytest.mark.parametrize(
        ("url", "code"), [("nonsense", 3), ("inproc://x", 9), ("foo://x", 9), ("tcp://127.0.0.1:1", 6)]
    )
    def test_a_bad_address_raises_its_error(self, url, code):
        with pytest.raises(nngsock.NngError) as caught:
            nngsock.stream(dial=url)
        assert caught.value.code == code

    def test_an_address_in_use_gives_10(self, make_socket):
        sock = make_socket("pair", listen="tcp://127.0.0.1:0")
        with pytest.raises(nngsock.NngError, match=r"10 \| Address in use"):
            nngsock.stream(listen=sock.listener[0].url)

    def test_frames_are_for_websockets(self):
        for arguments in ({"textframes": True}, {"headers": {"A": "b"}}):
            with pytest.raises(nngsock.NngError, match=r"9 \| Not supported.*is for ws"):
                nngsock.stream(dial="tcp://127.0.0.1:1", **arguments)

    @pytest.mark.parametrize("headers", [{"A": "b\r\nC: d"}, {"A b": "c"}, {"": "x"}, {"A": "nul\0"}])
    def test_headers_cannot_smuggle_others(self, headers):
        with pytest.raises(ValueError, match="no valid header"):
            nngsock.stream(dial="ws://127.0.0.1:1/", headers=headers)

    def test_headers_of_responses_would_crash_nng(self, make_socket):
        with pytest.raises(nngsock.NngError, match=r"NNG 1\.11 crashes"):
            nngsock.stream(listen="ws://127.0.0.1:0/", headers={"A": "b"})
        sock = make_socket("pair")
        nngsock.listen(sock, "ws://127.0.0.1:0/", autostart=False)
        with pytest.raises(nngsock.NngError, match=r"NNG 1\.11 crashes"):
            nngsock.set_opt(sock.listener[0], "ws:response-headers", "A: b\r\n")

    def test_tls_is_checked(self, client, server):
        with pytest.raises(TypeError, match="not a valid TLS"):
            nngsock.stream(dial="wss://127.0.0.1:1/", tls="wrong")
        with pytest.raises(ValueError, match="`tls` is for a server"):
            nngsock.stream(dial="wss://127.0.0.1:1/", tls=server)
        with pytest.raises(nngsock.NngError, match=r"9 \| Not supported"):
            nngsock.stream(dial="tcp://127.0.0.1:1", tls=client)
        with pytest.raises(nngsock.NngError, match=r"3 \| Invalid argument.*needs `tls`"):
            nngsock.stream(dial="tls+tcp://127.0.0.1:1")
        with pytest.raises(nngsock.NngError, match=r"3 \| Invalid argument.*needs `tls`"):
            nngsock.stream(listen="wss://127.0.0.1:0/")

    def test_nobody_who_connects_in_time_gives_5(self, address):
        with pytest.raises(nngsock.NngTimeoutError):
            nngsock.stream(listen=address("ipc"), timeout=20)


class TestTrust:
    def test_wss_without_configuration_trusts_anybody_and_says_so(self, streams, server, patience):
        with pytest.warns(nngsock.NngWarning, match="is not verified"):
            a, b = streams("wss", listening={"tls": server}, dialing={"tls": None})
        assert nngsock.send(b, b"x", block=patience) == 0
        assert nngsock.recv(a, "raw", block=patience) == b"x"

    def test_the_wrong_server_gives_26_over_tcp_with_the_first_words(self, streams, certificates, patience):
        wrong = nngsock.tls_config(client=certificates.other_ca)
        a, b = streams("tls+tcp", dialing={"tls": wrong})
        answering = nngsock.recv_aio(a)
        assert nngsock.send(b, b"secret", block=patience) == 26
        assert nngsock.recv(b, block=patience) == 26
        assert nngsock.send(b, b"secret", block=patience) == 26
        assert nngsock.is_error_value(answering.collect())

    def test_a_server_that_is_silent_holds_up_nobody_for_longer_than_asked(self, client, patience):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"tls+tcp://127.0.0.1:{silent.getsockname()[1]}"
            with nngsock.stream(dial=url, tls=client) as stream:
                assert nngsock.send(stream, b"x", block=50) == 5
                assert nngsock.send(stream, b"x", block=patience) == 7

    def test_python_s_ssl_is_a_peer(self, client, server, patience):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"tls+tcp://127.0.0.1:{listening.getsockname()[1]}"
            with nngsock.stream(dial=url, tls=client) as stream:
                sending = nngsock.send_aio(stream, b"from NNG")
                raw, _ = listening.accept()
                raw.settimeout(patience / 1000)
                with server.ssl_context().wrap_socket(raw, server_side=True) as end:
                    assert end.recv(100) == b"from NNG"
                    end.sendall(b"from Python")
                    assert nngsock.recv(stream, "raw", block=patience) == b"from Python"
                assert sending.result(5) == 0


class TestPythonsSockets:
    def test_bytes_go_as_they_are(self, peer, patience):
        stream, end = peer
        assert nngsock.send(stream, "text") == 0
        assert end.recv(100) == b"text\0"
        end.sendall(b"a\0b\0")
        assert nngsock.recv(stream) == ["a", "b"]
        assert nngsock.send(stream, b"") == 0
        assert nngsock.send_aio(stream, b"").result(5) == 0

    def test_a_peer_that_is_cut_off_gives_an_error(self, peer, patience):
        stream, end = peer
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        waiting = nngsock.recv_aio(stream)
        end.close()
        assert waiting.collect() in GONE

    def test_what_came_before_the_end_is_received(self, peer, patience):
        stream, end = peer
        end.sendall(b"last words")
        end.close()
        assert nngsock.recv(stream, "raw", block=patience) == b"last words"
        assert nngsock.recv(stream, "raw", block=patience) in GONE

    def test_a_send_that_does_not_wait_is_refused_while_another_is_under_way(self, peer):
        stream, _ = peer
        results = [nngsock.send(stream, bytes(5_000_000), block=False) for _ in range(3)]
        assert results[0] == 0
        assert results[-1] == 8

    def test_a_send_that_is_stopped_half_way_ends_the_sends(self, peer, patience):
        stream, end = peer
        assert nngsock.send(stream, bytes(20_000_000), block=20) == 5
        assert nngsock.send(stream, b"x", block=patience) == 7
        end.sendall(b"still here")
        assert nngsock.recv(stream, "raw", block=patience) == b"still here"

    def test_one_that_waits_for_its_turn_can_be_stopped_without_harm(self, peer, patience):
        stream, end = peer
        first = nngsock.send_aio(stream, b"1" * 20_000_000)
        second, third = nngsock.send_aio(stream, b"2"), nngsock.send_aio(stream, b"3")
        nngsock.stop_aio(second)
        received = bytearray()
        while len(received) < 20_000_001:
            received += end.recv(1 << 20)
        assert received[-2:] == b"13"
        assert (first.result(5), second.data, third.result(5)) == (0, 20, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals of POSIX")
@pytest.mark.parametrize("what", ["accept", "recv", "send", "handshake"])
def test_ctrl_c_ends_every_wait_at_once(what, address, peer, client, press_ctrl_c):
    stream, end = peer

    def never_ends():
        if what == "accept":
            nngsock.stream(listen=address("ipc"))
        elif what == "recv":
            nngsock.recv(stream)
        elif what == "send":
            nngsock.send(stream, bytes(50_000_000))
        else:
            with socket.create_server(("127.0.0.1", 0)) as silent:
                url = f"tls+tcp://127.0.0.1:{silent.getsockname()[1]}"
                with nngsock.stream(dial=url, tls=client) as encrypted:
                    nngsock.send(encrypted, b"x")

    press_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        never_ends()
    if what == "recv":
        end.sendall(b"kept")
        assert nngsock.recv(stream, "raw") == b"kept"


def test_a_stream_that_nobody_holds_is_closed(streams, patience):
    a, b = streams("tcp")
    waiting = nngsock.recv_aio(a)
    nngsock.reap(b)
    assert waiting.collect() in GONE


OPENED = """
    import os, sys, threading
    import nngsock
    scheme, url, folder, state = sys.argv[1:]
    tls = scheme in ("wss", "tls+tcp")
    server = nngsock.tls_config(server=folder + "/server.pem") if tls else None
    client = nngsock.tls_config(client=folder + "/server.pem") if tls else None
    ends = []
    accepting = threading.Thread(target=lambda: ends.append(nngsock.stream(listen=url, tls=server)))
    accepting.start()
    while True:
        try:
            dialer = nngsock.stream(dial=url, tls=client)
            break
        except nngsock.NngRefusedError:
            nngsock.msleep(5)
    accepting.join()
    (listener,) = ends
"""

STATES = {
    "idle": "",
    "receiving": "aios = [nngsock.recv_aio(x) for x in (listener, dialer)]",
    "sending": "aios = [nngsock.send_aio(x, bytes(9_000_000)) for x in (listener, dialer) for _ in range(3)]",
    "talking": """
aio = nngsock.send_aio(dialer, b"x"); nngsock.recv(listener)
aios = [nngsock.recv_aio(listener), nngsock.send_aio(listener, bytes(9_000_000))]
""",
    "closed": "aio = nngsock.recv_aio(listener); listener.close(); dialer.close()",
    "one closed": "aio = nngsock.recv_aio(listener); dialer.close()",
}


AFTER_A_RECEIVE = """
    sockets = [nngsock.socket("pair1", listen=state)]
    sockets.append(nngsock.socket("pair1", dial=state, autostart=None))
    receiving = [nngsock.recv_aio(sockets[1], "buffer") for _ in range(4)]
    for _ in receiving:
        nngsock.send(sockets[0], b"y" * 500_000, "raw", block=True)
    views = [aio.collect() for aio in receiving]
    del receiving
    for _ in range(8):
        dialer.send(b"x")
        listener.recv("raw")
    print(all(view == b"y" * 500_000 for view in views))
"""


@pytest.mark.parametrize("scheme", FRAMES)
def test_what_a_socket_has_received_is_left_alone(run_script, address, make_url, certificates, scheme):
    arguments = (scheme, address(scheme), str(certificates.folder), make_url("ipc"))
    done = run_script(OPENED + AFTER_A_RECEIVE, *arguments)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("scheme", ["tcp", "tls+tcp", "ws", "wss"])
def test_the_interpreter_exits_cleanly_with_open_streams(run_script, address, certificates, scheme, state):
    code = OPENED + "    exec(state)\n    raise SystemExit(3)\n"
    done = run_script(code, scheme, address(scheme), str(certificates.folder), STATES[state])
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 3)


FORKED = """
    child = os.fork()
    if child == 0:
        for call in (lambda: dialer.send(b"x"), dialer.recv, dialer.recv_aio, dialer.close,
                     lambda: nngsock.stream(dial=url, tls=client)):
            try:
                call()
            except nngsock.NngsockError as error:
                if "cannot be used after fork" in str(error):
                    continue
            print("did not raise", flush=True)
        del dialer, listener, ends
        sys.exit(5)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sending = dialer.send_aio("still alive")
    print(listener.recv("string"), int(sending.collect()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize("scheme", ["tls+tcp", "wss"])
def test_a_forked_child_leaves_the_streams_of_its_parent_alone(run_script, address, certificates, scheme):
    code = OPENED + FORKED
    done = run_script(code, scheme, address(scheme), str(certificates.folder), "", timeout=30)
    output = done.stdout.splitlines()
    assert (output, done.returncode) == (["5", "still alive 0"], 0), done.stderr
