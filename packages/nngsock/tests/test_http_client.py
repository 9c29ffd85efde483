"""The client, against Python's own HTTP server and against peers that misbehave."""

import asyncio
import contextlib
import gc
import gzip
import json
import pickle
import queue
import re
import socket
import threading
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

import nngsock

pytest.importorskip("aiohttp")


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        parts = urlsplit(self.path)
        wanted = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        seen = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body.hex()}
        self.server.seen.put(seen)
        self.server.clients.add(self.client_address)
        self.send_response(int(wanted.get("status", 200)))
        if "to" in wanted:
            self.send_header("Location", wanted["to"])
        body = bytes.fromhex(wanted["hex"]) if "hex" in wanted else json.dumps(seen).encode()
        if "gzip" in wanted:
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        if "type" in wanted:
            self.send_header("Content-Type", wanted["type"])
        self.send_header("X-Twice", "a")
        self.send_header("X-Twice", "b")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer  # noqa: N815 - http.server looks for them


class Server(ThreadingHTTPServer):
    request_queue_size = 128


@contextlib.contextmanager
def echo_server():
    with Server(("127.0.0.1", 0), Echo) as server:
        server.seen = queue.SimpleQueue()
        server.clients = set()
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def peer():
    with echo_server() as server:
        yield server


@pytest.fixture
def make_peer():
    """A function that gives the address of a peer which answers every connection with the same bytes."""
    ends = contextlib.ExitStack()

    def make(answer, *, read=True):
        listening = ends.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        if read:
                            connection.recv(65536)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        ends.callback(thread.join)
        ends.callback(listening.shutdown, socket.SHUT_RDWR)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    with ends:
        yield make


@pytest.fixture
def silent():
    """The address of a peer that never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def nobody():
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    return f"http://127.0.0.1:{port}"


class TestRequest:
    @pytest.mark.parametrize("method", [None, "GET", "POST", "PUT", "DELETE", "PATCH", "post"])
    def test_the_peer_sees_method_path_headers_and_body(self, peer, method):
        result = nngsock.ncurl(
            f"{peer.url}/a%20b?x=1", method=method, headers={"X-Mine": "yes", "Content-Type": "a/b"}, data="ü"
        )
        seen = json.loads(result.data)
        assert seen["method"] == (method or "GET").upper()
        assert seen["path"] == "/a%20b?x=1"
        assert (seen["headers"]["X-Mine"], seen["headers"]["Content-Type"]) == ("yes", "a/b")
        assert bytes.fromhex(seen["body"]) == "ü".encode()

    @pytest.mark.parametrize("data", [b"\0\xff", bytearray(b"\0\xff"), memoryview(b"\0\xff")])
    def test_a_body_may_be_any_bytes(self, peer, data):
        assert json.loads(nngsock.ncurl(peer.url, method="POST", data=data).data)["body"] == "00ff"

    def test_no_body_is_sent_unless_given(self, peer):
        assert "Content-Length" not in json.loads(nngsock.ncurl(peer.url).data)["headers"]

    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"url": 1}, TypeError, "`url` must be a str"),
            ({"data": 1}, TypeError, "`data` must be a str or bytes-like"),
            ({"headers": ["a"]}, TypeError, "`headers` must be a mapping"),
            ({"headers": {"a": 1}}, TypeError, "`headers`: a header's name and value must be str"),
            ({"headers": {"a": "b\r\nc: d"}}, ValueError, "`headers`: a header must be one line"),
            ({"headers": {"a b": "c"}}, ValueError, "`headers`: a header must be one line"),
            ({"method": "GET / HTTP"}, ValueError, "`method` must be a method"),
            ({"response": 1}, TypeError, "`response` must be True, a list"),
            ({"timeout": "soon"}, TypeError, "`timeout` must be a number of milliseconds"),
            ({"tls": "x"}, TypeError, "`tls` is not a valid TLS Configuration"),
        ],
    )
    @pytest.mark.parametrize("function", ["ncurl", "ncurl_aio", "ncurl_session"])
    def test_what_cannot_be_asked_is_refused_at_the_call(self, function, arguments, error, text):
        with pytest.raises(error, match=re.escape(text)):
            getattr(nngsock, function)(**({"url": "http://127.0.0.1:1"} | arguments))


class TestResult:
    def test_fields_are_found_by_name_by_position_and_by_key(self, peer):
        result = nngsock.ncurl(f"{peer.url}/?status=404&hex=6869", response="content-length")
        status, headers, data = result
        assert (result.status, result.headers, result.data) == (status, headers, data)
        assert (result["status"], result["headers"], result["data"]) == (404, {"content-length": "2"}, "hi")
        assert (result[0], result[-1]) == (404, "hi")
        with pytest.raises(KeyError):
            result["body"]
        assert pickle.loads(pickle.dumps(result)) == result

    def test_the_headers_asked_for_come_in_that_order_whatever_their_case(self, peer):
        names = ["x-TWICE", "date", "not-there", "Content-Length"]
        headers = nngsock.ncurl(f"{peer.url}/?hex=00", response=names, convert=False).headers
        assert list(headers) == names
        assert (headers["x-TWICE"], headers["not-there"], headers["Content-Length"]) == ("a, b", None, "1")

    def test_true_gives_all_headers_and_none_gives_none(self, peer):
        assert nngsock.ncurl(peer.url, response=True).headers["X-Twice"] == "a, b"
        assert nngsock.ncurl(peer.url).headers is None

    @pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "cp1252"])
    def test_text_is_read_in_the_encoding_that_the_peer_names(self, peer, encoding):
        url = f"{peer.url}/?type=text/plain;charset={encoding}&hex={'grün'.encode(encoding).hex()}"
        assert nngsock.ncurl(url).data == "grün"

    def test_text_is_utf_8_otherwise(self, peer):
        assert nngsock.ncurl(f"{peer.url}/?hex={'grün'.encode().hex()}").data == "grün"

    @pytest.mark.parametrize("body", [b"\xff\xfe\xfd", b"a\0b"], ids=["no text", "NUL"])
    def test_what_is_no_text_comes_as_bytes_with_a_warning(self, peer, body):
        with pytest.warns(nngsock.NngWarning, match="not text"):
            assert nngsock.ncurl(f"{peer.url}/?hex={body.hex()}").data == body

    def test_an_encoding_that_nobody_knows_leaves_bytes(self, peer):
        with pytest.warns(nngsock.NngWarning, match="not text"):
            assert nngsock.ncurl(f"{peer.url}/?type=text/plain;charset=klingon&hex=61").data == b"a"

    def test_convert_false_gives_bytes(self, peer):
        assert nngsock.ncurl(f"{peer.url}/?hex=61", convert=False).data == b"a"

    def test_an_empty_body_is_an_empty_text(self, peer):
        assert nngsock.ncurl(peer.url, method="HEAD").data == ""

    def test_a_compressed_body_is_unpacked(self, peer):
        assert nngsock.ncurl(f"{peer.url}/?gzip=1&hex=6869").data == "hi"


class TestRedirects:
    @pytest.mark.parametrize("response", [None, True, ["location"], ["date"]])
    def test_the_place_is_told_when_it_is_not_gone_to(self, peer, response):
        result = nngsock.ncurl(f"{peer.url}/?status=302&to=/new", response=response)
        places = [value for name, value in result.headers.items() if name.lower() == "location"]
        assert (result.status, places) == (302, ["/new"])

    def test_a_3xx_without_a_place_says_so(self, make_peer):
        url = make_peer(b"HTTP/1.1 304 Not Modified\r\n\r\n")
        assert nngsock.ncurl(url).headers == {"Location": None}

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_it_is_gone_to_with_the_same_method_and_body(self, peer, status):
        url = f"{peer.url}/?status={status}&to=/new"
        result = nngsock.ncurl(url, follow=True, method="POST", data="x", headers={"Authorization": "me"})
        seen = json.loads(result.data)
        assert (result.status, seen["method"], seen["path"], seen["body"]) == (200, "POST", "/new", "78")
        assert seen["headers"]["Authorization"] == "me"
        assert result.headers is None

    def test_who_the_user_is_is_told_to_the_host_that_they_named_only(self, peer):
        with echo_server() as other:
            url = f"{peer.url}/?status=302&to={other.url}/new"
            mine = {"authorization": "me", "Cookie": "c", "X-Other": "y"}
            headers = json.loads(nngsock.ncurl(url, follow=True, headers=mine).data)["headers"]
            assert headers["X-Other"] == "y"
            assert not {"authorization", "Authorization", "Cookie"} & set(headers)

    def test_a_circle_is_left_after_ten_rounds(self, serve):
        seen = []
        server = serve(
            nngsock.handler(
                "/", lambda req: seen.append(req) or {"status": 302, "headers": {"Location": "/"}}
            )
        )
        assert nngsock.ncurl(server.url, follow=True) == (302, {"Location": "/"}, "")
        assert len(seen) == 11

    @pytest.mark.parametrize("place", ["ftp://x/y", "file:///etc/passwd", "http://"])
    def test_a_place_that_is_no_http_is_not_gone_to(self, peer, place):
        result = nngsock.ncurl(f"{peer.url}/?status=302&to={place}", follow=True)
        assert (result.status, result.headers) == (302, {"Location": place})


class TestFailures:
    def test_nobody_listens(self, nobody):
        result = nngsock.ncurl(nobody)
        assert result == (6, 6, 6)
        assert all(isinstance(value, nngsock.ErrorValue) for value in result)

    def test_time_is_over(self, silent):
        assert nngsock.ncurl(silent, timeout=50) == (5, 5, 5)
        assert nngsock.ncurl(silent, timeout=0) == (5, 5, 5)

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("http", 3), ("", 3), ("http://", 3), ("http://[", 3), ("http://x:y", 3), ("/path", 3),
            ("ftp://127.0.0.1", 15), ("tcp://127.0.0.1:1", 15), ("http://nobody.invalid", 15),
        ],
    )  # fmt: skip
    def test_the_address_is_none(self, url, code):
        assert nngsock.ncurl(url).status == code
        assert nngsock.ncurl_aio(url).collect() == code
        with pytest.warns(nngsock.NngWarning):
            assert nngsock.ncurl_session(url) == code

    def test_the_peer_hangs_up(self, make_peer):
        assert nngsock.ncurl(make_peer(b"")).data == 19

    def test_the_peer_hangs_up_within_its_answer(self, make_peer):
        assert nngsock.ncurl(make_peer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")).data == 19

    def test_the_peer_resets(self, make_peer):
        url = make_peer(b"", read=False)
        assert nngsock.ncurl(url, method="POST", data=bytes(1_000_000)).data == 19

    @pytest.mark.parametrize("answer", [b"garbage\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n"])
    def test_the_peer_speaks_another_language(self, make_peer, answer):
        assert nngsock.ncurl(make_peer(answer)).data == 13


class TestAio:
    def test_it_is_unresolved_then_resolved_once(self, peer):
        aio = nngsock.ncurl_aio(f"{peer.url}/?hex=6869", response=["content-length"])
        assert repr(aio) == "< ncurlAio | .status .headers .data >"
        assert aio.call() is aio
        assert (aio.status, aio.headers, aio.data) == (200, {"content-length": "2"}, "hi")
        assert aio.data is aio.data
        assert not nngsock.unresolved(aio)
        assert nngsock.collect_aio({"x": aio}) == {"x": "hi"}
        assert nngsock.is_aio(aio)

    def test_before_that_all_is_unresolved_and_a_stop_ends_it_with_20(self, silent):
        aio = nngsock.ncurl_aio(silent)
        assert aio.status is aio.headers is aio.data is nngsock.UNRESOLVED
        assert nngsock.unresolved(aio)
        with pytest.raises(TimeoutError):
            aio.result(0.01)
        nngsock.stop_aio(aio)
        assert (aio.status, aio.headers, aio.data) == (20, 20, 20)

    def test_time_is_over(self, silent):
        aio = nngsock.ncurl_aio(silent, timeout=20)
        assert aio.collect() == 5
        assert isinstance(aio.exception(), TimeoutError)

    def test_result_and_future_give_all_or_raise(self, peer, nobody):
        url = f"{peer.url}/?status=500&hex=6869"
        assert nngsock.ncurl_aio(url).result(5) == (500, None, "hi")
        assert nngsock.ncurl_aio(url).future().result(5).status == 500
        with pytest.raises(ConnectionRefusedError):
            nngsock.ncurl_aio(nobody).result(5)

    def test_it_can_be_awaited(self, peer, nobody):
        async def main():
            good = await asyncio.gather(*(nngsock.ncurl_aio(f"{peer.url}/?hex=6869") for _ in range(20)))
            with pytest.raises(nngsock.NngRefusedError):
                await nngsock.ncurl_aio(nobody)
            return {result.data for result in good}

        assert asyncio.run(main()) == {"hi"}

    def test_cancelling_the_task_stops_it(self, silent):
        aio = nngsock.ncurl_aio(silent)

        async def main():
            task = asyncio.ensure_future(_await(aio))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert aio.collect() == 20

    def test_it_races_with_others(self, peer, silent):
        slow, fast = nngsock.ncurl_aio(silent), nngsock.ncurl_aio(peer.url)
        assert nngsock.race_aio([slow, fast]) == 1
        assert next(nngsock.as_completed([slow, fast], timeout=5)) is fast
        nngsock.stop_aio([slow, fast])
        assert fast.status == 200

    @pytest.mark.parametrize("inline", [False, True])
    def test_callbacks_are_called_with_it(self, peer, inline):
        signalled = nngsock.cv()
        aio = nngsock.ncurl_aio(peer.url)
        aio.add_done_callback(lambda done: done is aio and signalled.signal(), inline=inline)
        assert signalled.until(5000)

    def test_dropping_it_does_not_stop_it(self, peer):
        nngsock.ncurl_aio(f"{peer.url}/dropped", method="POST", data="x")
        gc.collect()
        assert peer.seen.get(timeout=5)["path"] == "/dropped"

    def test_what_is_no_text_is_warned_of_where_it_is_read(self, peer):
        aio = nngsock.ncurl_aio(f"{peer.url}/?hex=ff").call()
        with pytest.warns(nngsock.NngWarning, match="not text"):
            assert aio.data == b"\xff"
        assert aio.data == b"\xff"  # once only

    def test_many_at_once_all_resolve(self, serve):
        server = serve(nngsock.handler("/", lambda req: req.uri))
        aios = [nngsock.ncurl_aio(f"{server.url}/?{i}") for i in range(1000)]
        assert nngsock.collect_aio(aios) == [f"/?{i}" for i in range(1000)]


async def _await(aio):
    return await aio


class TestSession:
    def test_it_asks_again_and_again_over_one_connection(self, peer):
        with nngsock.ncurl_session(f"{peer.url}/?hex=6869", response=["content-length"]) as session:
            assert nngsock.is_ncurl_session(session)
            assert session.state == "opened"
            assert peer.url in repr(session)
            for _ in range(5):
                assert nngsock.transact(session) == (200, {"content-length": "2"}, "hi")
        assert len(peer.clients) == 1

    def test_a_single_request_has_a_connection_of_its_own(self, peer):
        for _ in range(3):
            nngsock.ncurl(peer.url)
        assert len(peer.clients) == 3

    def test_after_close_everything_is_7(self, peer):
        session = nngsock.ncurl_session(peer.url)
        assert nngsock.close(session) == 0
        assert session.state == "closed"
        assert nngsock.transact(session) == (7, 7, 7)
        with pytest.warns(nngsock.NngWarning, match="7"):
            assert nngsock.close(session) == 7
        assert nngsock.reap(session) == 7

    def test_close_ends_what_is_under_way(self, silent):
        session = nngsock.ncurl_session(silent)
        results = queue.SimpleQueue()
        thread = threading.Thread(target=lambda: results.put(session.transact()))
        with socket.create_connection(("127.0.0.1", int(silent.rpartition(":")[2]))):
            thread.start()
            with pytest.raises(queue.Empty):
                results.get(timeout=0.05)
            session.close()
        assert results.get(timeout=5) == (7, 7, 7)
        thread.join()

    def test_where_nobody_listens_there_is_none(self, nobody):
        with pytest.warns(nngsock.NngWarning, match="6"):
            session = nngsock.ncurl_session(nobody)
        assert session == 6
        assert not nngsock.is_ncurl_session(session)
        with pytest.raises(TypeError, match="not a valid ncurlSession"):
            nngsock.transact(session)

    def test_it_outlives_the_peer(self, serve):
        hello = nngsock.handler("/", lambda req: "hello", method="*")
        server = serve(hello)
        session = nngsock.ncurl_session(server.url, method="POST", timeout=5000)
        assert session.transact().data == "hello"
        server.close()
        assert session.transact().status in {6, 19}
        serve(hello, url=server.url)
        assert session.transact().data == "hello"
        session.close()

    def test_several_threads_may_use_it(self, peer):
        results = queue.SimpleQueue()
        with nngsock.ncurl_session(f"{peer.url}/?hex=6869") as session:
            threads = [
                threading.Thread(target=lambda: [results.put(session.transact().data) for _ in range(10)])
                for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert {results.get() for _ in range(80)} == {"hi"}

    def test_dropping_it_closes_its_connections(self):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            session = nngsock.ncurl_session(f"http://127.0.0.1:{listening.getsockname()[1]}")
            listening.accept()[0].close()  # the one that it tried
            answers = queue.SimpleQueue()
            thread = threading.Thread(target=lambda ask: answers.put(ask().data), args=[session.transact])
            thread.start()
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                assert answers.get(timeout=5) == "hi"
                thread.join()
                gone = weakref.ref(session)
                del session, thread
                gc.collect()
                assert gone() is None
                connection.settimeout(10)
                assert connection.recv(1) == b""


INTERRUPTED = """
    import os, signal, sys, threading
    import nngsock

    url = sys.argv[1]
    session = nngsock.ncurl_session(url)
    for wait in (lambda: nngsock.ncurl(url), session.transact, nngsock.ncurl_aio(url).collect):
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
        try:
            wait()
        except KeyboardInterrupt:
            print("interrupted")
"""


def test_ctrl_c_ends_every_wait_at_once(run_script, silent):
    done = run_script(INTERRUPTED, silent)
    assert (done.stdout.split(), done.stderr, done.returncode) == (["interrupted"] * 3, "", 0)


def test_a_large_body_goes_there_and_back(serve):
    server = serve(nngsock.handler("/", lambda req: req.body, method="POST"))
    body = bytes(range(256)) * (100 * 4096)  # 100 MiB
    assert nngsock.ncurl(server.url, method="POST", data=body, convert=False).data == body
