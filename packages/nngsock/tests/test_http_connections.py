"""Connections that stay: WebSockets and streamed answers."""

import asyncio
import contextlib
import gc
import http.client
import json
import queue
import socket
import struct
import threading
import weakref
from urllib.parse import urlsplit

import pytest

import nngsock

pytest.importorskip("aiohttp")
websockets = pytest.importorskip("websockets")
connect = pytest.importorskip("websockets.sync.client").connect


@pytest.fixture
def opened_and_closed(serve, events):
    """A server whose WebSockets tell when they are opened and closed."""
    return serve(
        nngsock.handler_ws(
            "/ws",
            echo,
            on_open=lambda ws, req: events.put(("opened", ws)),
            on_close=lambda ws: events.put(("closed", ws)),
            textframes=True,
        )
    )


def ws_url(server, path="/ws"):
    return server.url.replace("http", "ws", 1) + path


def echo(ws, data):
    assert ws.send(data) == 0


@pytest.fixture
def events():
    """A queue for what callbacks are called with, read with patience."""

    class Events(queue.SimpleQueue):
        def next(self):
            return self.get(timeout=10)

    return Events()


@pytest.fixture
def client_of():
    """A function that opens a bare connection to a server and sends what it is given."""
    with contextlib.ExitStack() as stack:

        def make(server, data, **options):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", urlsplit(server.url).port)))
            client.settimeout(10)
            for option, value in options.items():
                client.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
            client.sendall(data)
            return client

        yield make


def vanish(client):
    """Be gone without a goodbye."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


class TestWebSocket:
    @pytest.mark.parametrize("message", [b"", b"\0\xff", bytes(10_000_000)], ids=["empty", "bytes", "large"])
    def test_messages_are_bytes(self, serve, message):
        server = serve(nngsock.handler_ws("/ws", echo))
        with connect(ws_url(server), max_size=None) as client:
            client.send(message)
            assert client.recv() == message

    @pytest.mark.parametrize("message", ["", "grün", "x" * 5_000_000], ids=["empty", "text", "large"])
    def test_messages_are_text_with_textframes(self, serve, message):
        server = serve(nngsock.handler_ws("/ws", echo, textframes=True))
        with connect(ws_url(server), max_size=None) as client:
            client.send(message)
            assert client.recv() == message

    def test_what_comes_and_goes_is_of_the_kind_that_was_chosen(self, serve, events):
        def note(ws, data):
            events.put(data)
            ws.send("a")
            ws.send(bytearray(b"b"))

        server = serve(nngsock.handler_ws("/b", note), nngsock.handler_ws("/t", note, textframes=True))
        with connect(ws_url(server, "/b")) as client:
            client.send("grün")
            assert (client.recv(), client.recv()) == (b"a", b"b")
        with connect(ws_url(server, "/t")) as client:
            client.send("grün".encode())
            assert (client.recv(), client.recv()) == ("a", "b")
        assert (events.next(), events.next()) == ("grün".encode(), "grün")

    def test_the_callbacks_of_a_connection_are_called_in_order(self, serve, events):
        server = serve(
            nngsock.handler_ws(
                "/ws",
                lambda ws, data: events.put(int(data)),
                on_open=lambda ws, req: events.put((req.uri, req.headers["x-mine"], req.method)),
                on_close=lambda ws: events.put("closed"),
            )
        )
        with connect(ws_url(server, "/ws?x=1"), additional_headers={"X-Mine": "yes"}) as client:
            for i in range(500):
                client.send(str(i))
        assert events.next() == ("/ws?x=1", "yes", "GET")
        assert [events.next() for _ in range(500)] == list(range(500))
        assert events.next() == "closed"

    def test_ids_are_told_apart_over_all_handlers(self, serve, events):
        def note(ws, req):
            events.put(ws.id)

        server = serve(
            nngsock.handler_ws("/a", echo, on_open=note),
            nngsock.handler_ws("/b", echo, on_open=note),
            nngsock.handler_stream("/c", lambda conn, req: (events.put(conn.id), conn.close())),
        )
        for path in ("/a", "/b", "/a"):
            with connect(ws_url(server, path)):
                pass
        nngsock.ncurl(server.url + "/c")
        assert len({events.next() for _ in range(4)}) == 4

    def test_any_thread_may_send(self, serve, events):
        server = serve(
            nngsock.handler_ws("/ws", echo, on_open=lambda ws, req: events.put(ws), textframes=True)
        )
        with connect(ws_url(server)) as client:
            ws = events.next()
            assert repr(ws) == f"< nanoWsConn >\n - id: {ws.id}"
            threads = [
                threading.Thread(target=lambda i=i: [ws.send(f"{i} {j}") for j in range(50)])
                for i in range(4)
            ]
            for thread in threads:
                thread.start()
            received = [client.recv(timeout=10).split() for _ in range(200)]
            for thread in threads:
                thread.join()
        for i in range(4):
            assert [int(b) for a, b in received if a == str(i)] == list(range(50))

    def test_any_event_loop_may_send(self, serve, events):
        server = serve(nngsock.handler_ws("/ws", echo, on_open=lambda ws, req: events.put(ws)))
        with connect(ws_url(server)) as client:
            ws = events.next()
            assert asyncio.run(ws.send_async(b"x")) == 0
            assert client.recv() == b"x"

    def test_async_callbacks_send_without_waiting_in_order(self, serve, events):
        async def answer(ws, data):
            for i in range(100):
                assert ws.send(str(i)) == 0
            assert await ws.send_async("last") == 0

        async def closed(ws):
            events.put("closed")

        server = serve(nngsock.handler_ws("/ws", answer, on_close=closed, textframes=True))
        with connect(ws_url(server)) as client:
            client.send("go")
            assert [client.recv() for _ in range(101)] == [*map(str, range(100)), "last"]
        assert events.next() == "closed"

    def test_after_the_end_sending_and_closing_give_7(self, opened_and_closed, events):
        with connect(ws_url(opened_and_closed)):
            pass
        _, ws = events.next()
        assert events.next() == ("closed", ws)
        assert (ws.send("x"), ws.close(), asyncio.run(ws.send_async("x"))) == (7, 7, 7)
        assert isinstance(ws.send("x"), nngsock.ErrorValue)

    def test_what_cannot_be_sent_is_refused(self, opened_and_closed, events):
        with connect(ws_url(opened_and_closed)):
            _, ws = events.next()
            with pytest.raises(TypeError, match="`data` must be a str or bytes-like"):
                ws.send(123)
            with pytest.raises(UnicodeDecodeError):
                ws.send(b"\xff")

    def test_the_server_may_end_it(self, serve, events):
        def bye(ws, data):
            events.put((ws.send("bye"), ws.close(), ws.close(), ws.send("more")))

        server = serve(nngsock.handler_ws("/ws", bye, on_close=events.put, textframes=True))
        with connect(ws_url(server)) as client:
            client.send("x")
            assert client.recv() == "bye"
            with pytest.raises(websockets.ConnectionClosedOK):
                client.recv()
        assert events.next() == (0, 0, 7, 7)
        events.next()

    def test_closing_in_on_open_turns_the_client_away(self, serve, events):
        server = serve(
            nngsock.handler_ws(
                "/ws", echo, on_open=lambda ws, req: events.put(ws.close()), on_close=events.put
            )
        )
        with connect(ws_url(server)) as client, pytest.raises(websockets.ConnectionClosed):
            client.recv()
        assert events.next() == 0
        events.next()

    def test_raising_is_logged_and_the_connection_goes_on(self, serve, logged, events):
        def fail(ws, data):
            if data == b"fail":
                raise ValueError("oh")
            ws.send(data)

        def fail_at_the_end(ws):
            raise ValueError("end")

        server = serve(nngsock.handler_ws("/ws", fail, on_close=fail_at_the_end))
        with connect(ws_url(server)) as client:
            client.send(b"fail")
            client.send(b"x")
            assert client.recv() == b"x"
        assert (logged.get(timeout=5), logged.get(timeout=5)) == ("oh", "end")

    def test_raising_in_on_open_ends_it(self, serve, logged, events):
        def fail(ws, req):
            raise ValueError("oh")

        server = serve(nngsock.handler_ws("/ws", echo, on_open=fail, on_close=events.put))
        with connect(ws_url(server)) as client, pytest.raises(websockets.ConnectionClosedError) as caught:
            client.recv()
        assert caught.value.rcvd.code == 1011
        assert logged.get(timeout=5) == "oh"
        events.next()

    def test_a_client_that_vanishes_is_noticed(self, opened_and_closed, events, client_of):
        client = client_of(opened_and_closed, HANDSHAKE)
        _, ws = events.next()
        vanish(client)
        assert events.next() == ("closed", ws)

    def test_on_close_waits_for_the_callback_at_work(self, serve, events, client_of):
        go_on = threading.Event()

        def slow(ws, req):
            events.put("begun")
            go_on.wait(10)
            events.put("done")

        server = serve(nngsock.handler_ws("/ws", echo, on_open=slow, on_close=events.put))
        client = client_of(server, HANDSHAKE)
        assert events.next() == "begun"
        vanish(client)
        with pytest.raises(queue.Empty):
            events.get(timeout=0.1)
        go_on.set()
        assert events.next() == "done"
        events.next()

    def test_closing_the_server_closes_all_and_waits_for_their_callbacks(self, opened_and_closed, events):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(connect(ws_url(opened_and_closed))) for _ in range(20)]
            opened = {events.next()[1] for _ in clients}
            opened_and_closed.close()
            assert {events.get_nowait() for _ in clients} == {("closed", ws) for ws in opened}
            for client in clients:
                with pytest.raises(websockets.ConnectionClosed) as caught:
                    client.recv()
                assert caught.value.rcvd.code == 1001

    def test_it_shares_its_path_with_plain_requests(self, serve):
        server = serve(nngsock.handler_ws("/x", echo), nngsock.handler("/x", lambda req: "plain"))
        assert nngsock.ncurl(server.url + "/x").data == "plain"
        with connect(ws_url(server, "/x")) as client:
            client.send(b"ws")
            assert client.recv() == b"ws"

    def test_a_plain_request_is_told_to_upgrade(self, serve, say):
        server = serve(nngsock.handler_ws("/ws", echo))
        assert nngsock.ncurl(server.url + "/ws", response="upgrade").headers == {"upgrade": "websocket"}
        assert nngsock.ncurl(server.url + "/ws").status == 426
        no_key = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\n\r\n"
        assert say(server, no_key).startswith(b"HTTP/1.1 400")

    def test_where_there_is_none_the_client_is_refused(self, serve):
        server = serve(nngsock.handler("/x", lambda req: "plain"))
        with pytest.raises(websockets.InvalidStatus):
            connect(ws_url(server, "/nowhere"))

    def test_many_are_served_at_once(self, serve):
        server = serve(nngsock.handler_ws("/ws", echo))
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(connect(ws_url(server))) for _ in range(50)]
            for i, client in enumerate(clients):
                client.send(str(i).encode())
            assert [client.recv() for client in clients] == [str(i).encode() for i in range(50)]


HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def get(path="/s", version="1.1", method="GET"):
    return f"{method} {path} HTTP/{version}\r\nHost: x\r\n\r\n".encode()


class TestStream:
    def test_events_arrive_as_they_are_sent(self, serve, events):
        def subscribe(conn, req):
            conn.set_header("Content-Type", "text/event-stream")
            conn.send(nngsock.format_sse("welcome"))
            events.put(conn)

        server = serve(nngsock.handler_stream("/s", subscribe))
        client = http.client.HTTPConnection(*server.url[7:].split(":"), timeout=10)
        client.request("GET", "/s")
        response = client.getresponse()
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert response.read1() == b"data: welcome\n\n"
        conn = events.next()
        for i in range(3):  # each is read before the next one is sent
            assert conn.send(nngsock.format_sse(str(i), event="tick", id=i)) == 0
            assert response.read1() == f"event: tick\nid: {i}\ndata: {i}\n\n".encode()
        assert conn.close() == 0
        assert response.read1() == b""
        client.close()

    def test_it_ends_with_the_last_chunk_and_the_connection_serves_on(self, serve, say, events):
        def count(conn, req):
            for part in ("a", b"bc", bytearray(b"d")):
                assert conn.send(part) == 0
            assert conn.close() == 0
            events.put((conn.send("late"), conn.close()))

        server = serve(nngsock.handler_stream("/s", count, on_close=lambda conn: events.put("closed")))
        answer = say(server, get() + get(version="1.0"))
        chunked, plain = answer.split(b"HTTP/1.0")
        assert chunked.endswith(b"\r\n\r\n1\r\na\r\n2\r\nbc\r\n1\r\nd\r\n0\r\n\r\n")
        assert plain.endswith(b"\r\n\r\nabcd")
        assert [events.next() for _ in range(4)].count((7, 7)) == 2

    def test_status_and_headers_come_before_the_first_piece(self, serve, events):
        def created(conn, req):
            assert conn.set_status(201) == 0
            assert conn.set_header("X-Mine", "yes") == 0
            conn.send(json.dumps({"method": req.method, "body": req.body.decode()}))
            for late in (lambda: conn.set_status(200), lambda: conn.set_header("a", "b")):
                with pytest.raises(nngsock.NngsockError, match="after headers have been sent"):
                    late()
            conn.close()
            events.put(repr(conn) == f"< nanoStreamConn >\n - id: {conn.id}")

        server = serve(nngsock.handler_stream("/s", created))
        result = nngsock.ncurl(server.url + "/s", method="POST", data="x", response=["x-mine"])
        assert result == (201, {"x-mine": "yes"}, '{"method": "POST", "body": "x"}')
        assert events.next()

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (lambda conn: conn.set_status(99), ValueError),
            (lambda conn: conn.set_status("200"), ValueError),
            (lambda conn: conn.set_header("a", 1), TypeError),
            (lambda conn: conn.set_header("a", "b\r\nc: d"), ValueError),
            (lambda conn: conn.send(1), TypeError),
        ],
    )
    def test_what_cannot_be_is_refused_and_nothing_is_sent(self, serve, events, call, error):
        def attempt(conn, req):
            with pytest.raises(error):
                call(conn)
            events.put(True)
            conn.set_status(202)
            conn.close()

        server = serve(nngsock.handler_stream("/s", attempt))
        assert nngsock.ncurl(server.url + "/s").status == 202
        assert events.next()

    def test_closed_without_a_word_it_is_an_empty_answer(self, serve):
        server = serve(nngsock.handler_stream("/s", lambda conn, req: conn.close()))
        assert nngsock.ncurl(server.url + "/s") == (200, None, "")

    def test_head_gets_the_head_only(self, serve, say):
        def speak(conn, req):
            conn.send("body")
            conn.close()

        server = serve(nngsock.handler_stream("/s", speak))
        answer = say(server, get(method="HEAD") + get(version="1.0"))
        assert answer.count(b"body") == 1

    def test_method_and_prefix_choose(self, serve):
        def uri(conn, req):
            conn.send(req.uri)
            conn.close()

        server = serve(
            nngsock.handler_stream("/s", uri, method="POST"), nngsock.handler_stream("/t", uri, prefix=True)
        )
        assert nngsock.ncurl(server.url + "/s").status == 405
        assert nngsock.ncurl(server.url + "/s", method="POST").data == "/s"
        assert nngsock.ncurl(server.url + "/t/u/v").data == "/t/u/v"

    def test_raising_before_the_first_piece_is_a_500(self, serve, logged, events):
        def fail(conn, req):
            raise ValueError("oh")

        server = serve(nngsock.handler_stream("/s", fail, on_close=lambda conn: events.put("closed")))
        assert nngsock.ncurl(server.url + "/s")[::2] == (500, "500 Internal Server Error")
        assert (logged.get(timeout=5), events.next()) == ("oh", "closed")

    def test_raising_later_cuts_the_answer_off_so_that_it_is_not_taken_for_whole(self, serve, logged):
        def fail(conn, req):
            conn.send("part")
            raise ValueError("oh")

        server = serve(nngsock.handler_stream("/s", fail))
        assert nngsock.ncurl(server.url + "/s").status == 19
        assert logged.get(timeout=5) == "oh"

    def test_a_client_that_vanishes_is_noticed_in_mid_stream(self, serve, events, client_of):
        server = serve(
            nngsock.handler_stream(
                "/s",
                lambda conn, req: events.put((conn, conn.send("x"))),
                on_close=events.put,
            )
        )
        client = client_of(server, get())
        conn, sent = events.next()
        assert sent == 0
        vanish(client)
        assert events.next() is conn
        assert (conn.send("y"), conn.close()) == (7, 7)

    def test_closing_the_server_cuts_it_and_calls_on_close_first(self, serve, events, client_of):
        closed = []
        server = serve(
            nngsock.handler_stream("/s", lambda conn, req: events.put(conn.send("x")), on_close=closed.append)
        )
        clients = [client_of(server, get()) for _ in range(5)]
        assert [events.next() for _ in clients] == [0] * 5
        server.close()
        assert len(closed) == 5
        for client in clients:
            assert not b"".join(iter(lambda c=client: c.recv(4096), b"")).endswith(b"0\r\n\r\n")

    def test_a_sender_waits_for_a_client_that_does_not_read(self, serve, events, client_of):
        stop = threading.Event()

        def flood(conn, req):
            piece, sent = bytes(100_000), 0
            while not stop.is_set() and conn.send(piece) == 0:
                sent += 1
                if sent % 100 == 0:
                    events.put(sent)
            events.put("over")

        server = serve(nngsock.handler_stream("/s", flood))
        client = client_of(server, get(), SO_RCVBUF=4096)
        last = None
        with contextlib.suppress(queue.Empty):
            while True:
                last = events.get(timeout=0.5)
        assert last is None or last < 1000  # some fit into buffers, not 100 MB
        vanish(client)
        assert events.next() == "over" or events.next() == "over"

    def test_async_callbacks_stream_at_the_pace_of_the_client(self, serve):
        async def count(conn, req):
            for i in range(200):
                assert await conn.send_async(f"{i}\n") == 0
            conn.close()

        server = serve(nngsock.handler_stream("/s", count))
        assert nngsock.ncurl(server.url + "/s").data.split() == [str(i) for i in range(200)]

    def test_many_listen_at_once(self, serve, events):
        conns = []

        def subscribe(conn, req):
            conn.send("")
            conns.append(conn)
            events.put(None)

        server = serve(nngsock.handler_stream("/s", subscribe))
        aios = [nngsock.ncurl_aio(server.url + "/s") for _ in range(100)]
        for _ in aios:
            events.next()
        for conn in conns:
            conn.send("news")
            conn.close()
        assert nngsock.collect_aio(aios) == ["news"] * 100

    def test_curl_reads_events_live(self, serve, events):
        import shutil
        import subprocess

        program = shutil.which("curl")
        if program is None:
            pytest.skip("curl is not installed")
        server = serve(nngsock.handler_stream("/s", lambda conn, req: (conn.send(""), events.put(conn))))
        with subprocess.Popen([program, "-s", "-N", server.url + "/s"], stdout=subprocess.PIPE) as curl:
            conn = events.next()
            for i in range(3):
                conn.send(nngsock.format_sse(str(i)))
                assert curl.stdout.readline() == b"data: %d\n" % i
                assert curl.stdout.readline() == b"\n"
            conn.close()
            assert curl.wait(10) == 0


def test_connections_that_are_over_are_forgotten(serve, events):
    server = serve(
        nngsock.handler_ws("/ws", echo, on_open=lambda ws, req: events.put(weakref.ref(ws))),
        nngsock.handler_stream("/s", lambda conn, req: (events.put(weakref.ref(conn)), conn.close())),
    )
    with connect(ws_url(server)):
        nngsock.ncurl(server.url + "/s")
    references = [events.next(), events.next()]
    server.close()
    gc.collect()
    assert [reference() for reference in references] == [None, None]
