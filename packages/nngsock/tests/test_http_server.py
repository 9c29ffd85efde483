"""The server: its life, its requests, and the order in which its callbacks run."""

import asyncio
import contextlib
import gc
import gzip
import http.client
import os
import queue
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
import weakref
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import nngsock

pytest.importorskip("aiohttp")

HELLO = nngsock.handler("/hello", lambda req: "hello")


@pytest.fixture
def curl():
    """A function that runs curl and returns what it wrote."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")

    def run(*arguments, **options):
        done = subprocess.run([program, "-s", "-S", *arguments], check=False, capture_output=True, **options)
        assert done.stderr == b""
        return done.stdout

    return run


def is_served(port):
    with socket.socket() as probe:
        probe.settimeout(10)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class TestLife:
    def test_it_says_where_it_serves_and_in_which_state(self):
        server = nngsock.http_server("http://127.0.0.1:0", HELLO)
        assert server.state == "not started"
        assert server.start() == 0
        port = urlsplit(server.url).port
        assert port
        assert repr(server) == f"< nanoServer >\n - url: http://127.0.0.1:{port}\n - state: started"
        assert server.start() == 0
        assert nngsock.ncurl(server.url + "/hello").data == "hello"
        assert nngsock.close(server) == 0
        assert (server.state, server.url) == ("closed", f"http://127.0.0.1:{port}")
        assert nngsock.ncurl(server.url).status == 6

    def test_closing_twice_gives_7_and_there_is_no_second_start(self, serve):
        server = serve(HELLO)
        server.close()
        with pytest.warns(nngsock.NngWarning, match="7"):
            assert server.close() == 7
        assert nngsock.reap(server) == 7
        with pytest.raises(nngsock.NngsockError, match="not a valid HTTP Server"):
            server.start()

    def test_one_that_was_never_started_can_be_closed(self):
        server = nngsock.http_server("http://127.0.0.1:0")
        assert server.close() == 0
        assert server.state == "closed"

    def test_it_is_a_context_manager(self):
        with nngsock.http_server("http://127.0.0.1:0", [HELLO]) as server:
            assert nngsock.ncurl(server.url + "/hello").status == 200
        assert server.state == "closed"

    def test_dropping_it_closes_it(self, serve):
        server = nngsock.http_server("http://127.0.0.1:0", HELLO)
        server.start()
        url = server.url
        gone = weakref.ref(server)
        del server
        gc.collect()
        assert gone() is None
        port = urlsplit(url).port
        while is_served(port):  # it is free again in a moment
            pass

    def test_an_address_in_use_is_error_10(self, serve):
        with pytest.raises(nngsock.NngError, match="Address in use") as caught:
            serve(HELLO, url=serve(HELLO).url)
        assert caught.value.code == 10

    def test_an_address_of_another_machine_is_error_15(self):
        for host in ("192.0.2.1", "nobody.invalid"):
            with pytest.raises(nngsock.NngError, match=host) as caught:
                nngsock.http_server(f"http://{host}:0").start()
            assert caught.value.code == 15

    @pytest.mark.parametrize(
        "url",
        ["", "127.0.0.1:80", "ftp://x", "http://x:y", "http://x/path", "http://me@x:1", "http://x:99999"],
    )
    def test_what_is_no_address_is_error_3(self, url):
        with pytest.raises(nngsock.NngError, match="`url` must") as caught:
            nngsock.http_server(url)
        assert caught.value.code == 3

    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"url": 1}, TypeError, "`url` must be a str"),
            ({"handlers": [1]}, ValueError, "`handlers` must be handlers"),
            ({"workers": 0}, ValueError, "`workers` must be a number of threads"),
            ({"tls": "x"}, TypeError, "`tls` is not a valid TLS Configuration"),
            ({"url": "https://127.0.0.1:0"}, ValueError, "`tls` belongs to an https:// URL"),
        ],
    )
    def test_what_cannot_be_is_refused_at_the_call(self, arguments, error, text):
        with pytest.raises(error, match=re.escape(text)):
            nngsock.http_server(**({"url": "http://127.0.0.1:0"} | arguments))

    def test_ipv6_and_default_ports_are_written_as_they_should(self, serve):
        assert nngsock.http_server("http://[::1]:80").url == "http://[::1]"
        assert nngsock.http_server("ws://:8080").url == "http://0.0.0.0:8080"
        try:
            server = serve(HELLO, url="http://[::1]:0")
        except nngsock.NngError:
            pytest.skip("there is no IPv6 here")
        assert nngsock.ncurl(server.url + "/hello").data == "hello"

    def test_servers_stand_side_by_side(self, serve):
        urls = [serve(nngsock.handler("/", lambda req, i=i: str(i))).url for i in range(5)]
        assert [nngsock.ncurl(url).data for url in urls] == list("01234")

    def test_it_may_be_closed_in_its_own_callback(self, serve):
        servers = []
        server = serve(nngsock.handler("/", lambda req: str(servers[0].close())))
        servers.append(server)
        assert nngsock.ncurl(server.url).data == "0"
        assert server.state == "closed"

    def test_closing_lets_the_answers_under_way_come(self, serve):
        begun, go_on = threading.Event(), threading.Event()

        def slow(req):
            begun.set()
            go_on.wait(10)
            return "done"

        server = serve(nngsock.handler("/", slow))
        aio = nngsock.ncurl_aio(server.url)
        assert begun.wait(10)
        closing = threading.Thread(target=server.close)
        closing.start()
        go_on.set()
        assert aio.collect() == "done"
        closing.join()

    @pytest.mark.parametrize("kind", ["plain", "async"])
    def test_closing_does_not_wait_for_ever_for_a_callback_that_hangs(self, serve, monkeypatch, kind):
        monkeypatch.setattr("nngsock.http.serving.CLOSE_SECONDS", 0.1)
        begun, release, cancelled = threading.Event(), threading.Event(), threading.Event()

        def hang(req):
            begun.set()
            release.wait(30)

        async def hang_async(req):
            begun.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        server = serve(nngsock.handler("/", hang if kind == "plain" else hang_async, method="POST"))
        aio = nngsock.ncurl_aio(server.url, method="POST")
        assert begun.wait(10)
        server.close()
        assert aio.collect() == 19
        assert kind == "plain" or cancelled.wait(10)
        release.set()


SERVING = """
    import os, signal, sys, threading
    import nngsock

    server = nngsock.http_server("http://127.0.0.1:0", nngsock.handler("/", lambda req: "hi"))

    def look_and_interrupt():
        while server.state == "not started":
            pass
        print(nngsock.ncurl(server.url).data, flush=True)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=look_and_interrupt).start()
    server.serve()
    print(server.state)
"""


class TestServe:
    def test_it_serves_until_ctrl_c(self, run_script):
        done = run_script(SERVING)
        assert (done.stdout.split(), done.returncode) == (["hi", "closed"], 0)
        assert re.fullmatch(r"Serving at http://127.0.0.1:\d+ - press Ctrl\+C to stop\n", done.stderr)

    def test_it_serves_until_it_is_closed_elsewhere(self, capsys):
        server = nngsock.http_server("http://127.0.0.1:0", HELLO)
        serving = threading.Thread(target=server.serve)
        serving.start()
        while server.state == "not started":
            pass
        server.close()
        serving.join(10)
        assert not serving.is_alive()
        assert "Serving at" in capsys.readouterr().err


class TestRequest:
    def test_the_callback_sees_all_of_it(self, serve):
        seen = queue.SimpleQueue()
        server = serve(nngsock.handler("/a", seen.put, method="POST"))
        request = urllib.request.Request(
            server.url + "/a/?x=%20y", data=b"\0body", headers={"X-Mine": "1", "content-type": "a/b"}
        )
        assert urllib.request.urlopen(request).read() == b""
        req = seen.get()
        assert (req.method, req.uri, req.body) == ("POST", "/a/?x=%20y", b"\0body")
        assert (req.headers["x-MINE"], req.headers["Content-Type"]) == ("1", "a/b")
        assert (req["method"], req["uri"], req["body"]) == (req.method, req.uri, req.body)
        with pytest.raises(KeyError):
            req["other"]

    def test_a_path_is_matched_as_it_reads(self, serve):
        server = serve(nngsock.handler("/ä b", lambda req: "found"))
        assert nngsock.ncurl(server.url + "/%C3%A4%20b").data == "found"

    @pytest.mark.parametrize(
        ("value", "status", "kind", "body"),
        [
            ("grün", 200, "text/plain; charset=utf-8", "grün".encode()),
            (b"\0\1", 200, "application/octet-stream", b"\0\1"),
            (bytearray(b"x"), 200, "application/octet-stream", b"x"),
            (None, 200, None, b""),
            ({}, 200, None, b""),
            ({"status": 201}, 201, None, b""),
            ({"body": "x", "headers": {"content-type": "a/b"}}, 200, "a/b", b"x"),
            ({"body": "x", "headers": {"Content-Length": "7"}}, 200, "text/plain; charset=utf-8", b"x"),
            ((418, "teapot"), 418, "text/plain; charset=utf-8", b"teapot"),
            ({"status": 204, "body": None}, 204, None, b""),
        ],
    )
    def test_what_it_returns_is_the_answer(self, serve, value, status, kind, body):
        server = serve(nngsock.handler("/", lambda req: value))
        result = nngsock.ncurl(server.url, response=["content-type"], convert=False)
        assert (result.status, result.data) == (status, body)
        if kind is not None:
            assert result.headers == {"content-type": kind}

    @pytest.mark.parametrize(
        "value",
        [
            1, [1], ..., (200,), (200, "a", "b"), ("200", "a"), {"status": "200"}, {"status": 99},
            {"status": True}, {"status": 600}, {"body": 1}, {"headers": 1}, {"headers": {"a": 1}},
            {"boddy": "x"},
        ],
        ids=repr,
    )  # fmt: skip
    def test_what_is_no_answer_is_a_500(self, serve, logged, value):
        server = serve(nngsock.handler("/", lambda req: value))
        assert nngsock.ncurl(server.url)[::2] == (500, "500 Internal Server Error")
        assert "a handler's callback returned" in logged.get(timeout=5)

    def test_a_header_cannot_smuggle_in_another(self, serve, logged):
        server = serve(nngsock.handler("/", lambda req: {"headers": {"a": "b\r\nc: d"}}))
        assert nngsock.ncurl(server.url).status == 500
        assert "a header must be one line" in logged.get(timeout=5)

    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, StopIteration])
    def test_raising_is_a_500_that_tells_nothing_and_a_line_in_the_log(self, serve, logged, error):
        def fail(req):
            raise error("a secret")

        async def fail_async(req):
            raise ValueError("a secret")

        server = serve(nngsock.handler("/", fail), nngsock.handler("/async", fail_async))
        for path in ("/", "/async"):
            assert nngsock.ncurl(server.url + path)[::2] == (500, "500 Internal Server Error")
            assert logged.get(timeout=5) == "a secret"

    def test_no_path_is_404_no_method_405(self, serve):
        server = serve(HELLO, nngsock.handler("/post", lambda req: "", method="POST"))
        assert nngsock.ncurl(server.url + "/nowhere")[::2] == (404, "404 Not Found")
        result = nngsock.ncurl(server.url + "/hello", method="PUT", response=["allow"])
        assert result == (405, {"allow": "GET, HEAD"}, "405 Method Not Allowed")

    def test_head_is_the_answer_to_get_without_its_body(self, serve):
        server = serve(HELLO)
        connection = http.client.HTTPConnection(*server.url[7:].split(":"))
        for _ in range(2):  # the second shows that nothing was left in the connection
            connection.request("HEAD", "/hello")
            response = connection.getresponse()
            assert (response.status, response.read(), response.headers["Content-Length"]) == (200, b"", "5")
        connection.close()

    @pytest.mark.parametrize(
        "garbage",
        [
            b"\x16\x03\x01 no http at all\r\n\r\n",
            b"GET /hello HTTP/1.1\r\nno header\r\n\r\n",
            b"POST /post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        ],
        ids=["noise", "header", "chunk", "long"],
    )
    def test_garbage_is_a_400_and_harms_and_bothers_nobody(self, serve, say, logged, garbage):
        server = serve(HELLO, nngsock.handler("/post", lambda req: req.body, method="POST"))
        assert re.match(rb"HTTP/1.. 400 ", say(server, garbage))
        assert nngsock.ncurl(server.url + "/hello").data == "hello"
        assert logged.empty()

    def test_a_client_that_waits_to_be_asked_for_the_body_is_asked(self, serve):
        server = serve(nngsock.handler("/", lambda req: req.body, method="POST"))
        head = b"POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=10) as client:
            client.sendall(head % b"/")
            assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"hi")
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=10) as client:
            client.sendall(head % b"/nowhere")
            assert client.recv(100).startswith(b"HTTP/1.1 404 ")

    def test_a_compressed_body_comes_as_it_was_sent(self, serve):
        server = serve(nngsock.handler("/", lambda req: req.body, method="POST"))
        bomb = gzip.compress(bytes(1_000_000))
        headers = {"Content-Encoding": "gzip"}
        assert nngsock.ncurl(server.url, False, method="POST", data=bomb, headers=headers).data == bomb

    def test_a_client_that_leaves_within_its_request_harms_nobody(self, serve, logged):
        server = serve(nngsock.handler("/", lambda req: req.body, method="POST"))
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", urlsplit(server.url).port)) as client:
                client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this")
        assert nngsock.ncurl(server.url, method="POST", data="x").data == "x"
        assert logged.empty()


class TestCallbacks:
    def test_a_connection_is_answered_in_order_also_if_it_asks_ahead(self, serve, say):
        server = serve(nngsock.handler("/", lambda req: req.uri, prefix=True))
        ahead = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(19))
        ahead += b"GET /19 HTTP/1.0\r\n\r\n"
        numbers = re.findall(rb"\r\n\r\n/(\d+)", say(server, ahead))
        assert numbers == [b"%d" % i for i in range(20)]

    def test_connections_run_side_by_side_up_to_the_number_of_workers(self, serve):
        meeting = threading.Barrier(3)
        running, most = 0, 0
        lock = threading.Lock()

        def meet(req):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            meeting.wait(10)
            with lock:
                running -= 1
            return threading.current_thread().name

        server = serve(nngsock.handler("/", meet), workers=3)
        names = nngsock.collect_aio([nngsock.ncurl_aio(server.url) for _ in range(9)])
        assert len(set(names)) == 3
        assert most <= 3

    def test_an_async_function_runs_on_the_loop_and_holds_nobody_up(self, serve):
        release = []

        async def wait(req):
            future = asyncio.get_running_loop().create_future()
            release.append(future)
            return await future

        async def let_go(req):
            for i, future in enumerate(release):
                future.set_result(str(i))
            return str(len(release))

        server = serve(nngsock.handler("/wait", wait), nngsock.handler("/go", let_go), workers=1)
        waiting = [nngsock.ncurl_aio(server.url + "/wait") for _ in range(50)]
        while len(release) < 50:
            assert nngsock.ncurl(server.url).status == 404
        assert nngsock.ncurl(server.url + "/go").data == "50"
        assert sorted(map(int, nngsock.collect_aio(waiting))) == list(range(50))

    def test_an_async_function_may_ask_others_but_not_wait_for_the_thread_it_runs_on(self, serve, logged):
        inner = serve(HELLO)

        async def ask(req):
            return (await nngsock.ncurl_aio(inner.url + "/hello")).data

        async def wait(req):
            return nngsock.ncurl(inner.url + "/hello").data

        def call(function, req):
            return function(req)

        class Asker:
            async def __call__(self, req):
                return await ask(req)

        server = serve(
            nngsock.handler("/", ask), nngsock.handler("/wait", wait), nngsock.handler("/object", Asker()),
            nngsock.handler("/plain", partial(call, ask)),
        )  # fmt: skip
        for path in ("/", "/object", "/plain"):
            assert nngsock.ncurl(server.url + path).data == "hello"
        assert nngsock.ncurl(server.url + "/wait").status == 500
        assert "await ncurl_aio instead" in logged.get(timeout=5)

    @pytest.mark.parametrize("answer", ["plain", "async"])
    def test_run_event_loop_waits_for_one_to_run(self, serve, answer):
        async def answer_async(req):
            return "async"

        server = serve(
            nngsock.handler("/plain", lambda req: "plain"), nngsock.handler("/async", answer_async)
        )
        assert not nngsock.run_event_loop(0)
        over = threading.Event()

        def ask():
            while not over.is_set():
                nngsock.ncurl(f"{server.url}/{answer}")

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            assert nngsock.run_event_loop(10_000)
        finally:
            over.set()
            asking.join()

    def test_a_plain_function_may_ask_others(self, serve):
        inner = serve(HELLO)
        server = serve(nngsock.handler("/", lambda req: nngsock.ncurl(inner.url + "/hello").data))
        assert nngsock.ncurl(server.url).data == "hello"

    def test_many_connections_at_once_are_all_answered(self, serve):
        server = serve(HELLO)
        with contextlib.ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(("127.0.0.1", urlsplit(server.url).port)))
                for _ in range(300)
            ]
            for client in clients:
                client.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
            for client in clients:
                assert b"".join(iter(lambda c=client: c.recv(4096), b"")).endswith(b"\r\n\r\nhello")


class TestCurl:
    def test_it_gets_posts_and_asks_for_the_head(self, serve, curl):
        server = serve(HELLO, nngsock.handler("/up", lambda req: req.body.upper(), method="POST"))
        assert curl(server.url + "/hello") == b"hello"
        assert curl("--http1.0", server.url + "/hello") == b"hello"
        assert curl("-d", "x=1", server.url + "/up") == b"X=1"
        assert curl("-I", server.url + "/hello").startswith(b"HTTP/1.1 200 OK\r\n")
        assert curl("-o", os.devnull, "-w", "%{http_code}", server.url + "/up") == b"405"

    def test_it_keeps_its_connection(self, serve, curl):
        server = serve(HELLO)
        url = server.url + "/hello"
        assert curl("-w", "%{num_connects}", url, url, url) == b"hello1hello0hello0"

    def test_a_large_file_goes_there_and_back(self, serve, curl, tmp_path):
        server = serve(nngsock.handler("/", lambda req: req.body, method="*"))
        sent, received = tmp_path / "sent", tmp_path / "received"
        sent.write_bytes(os.urandom(1024) * (100 * 1024))  # 100 MiB
        curl("-H", "Expect:", "--data-binary", f"@{sent}", "-o", str(received), server.url)
        assert received.read_bytes() == sent.read_bytes()

    def test_a_body_in_chunks_of_unknown_number_is_read(self, serve, curl):
        server = serve(nngsock.handler("/", lambda req: req.body, method="PUT"))
        assert curl("-T", "-", server.url + "/", input=b"x" * 1000) == b"x" * 1000


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("rounds", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_starts_and_stops_leave_threads_descriptors_and_memory_where_they_were(run_script, rounds):
    done = run_script(
        f"""
        import gc, os, sys, threading
        from pathlib import Path
        import nngsock

        def once():
            handlers = [
                nngsock.handler("/", lambda req: "hello"),
                nngsock.handler_ws("/ws", lambda ws, data: ws.send(data)),
                nngsock.handler_stream("/s", lambda conn, req: conn.close()),
            ]
            with nngsock.http_server("http://127.0.0.1:0", handlers) as server:
                assert nngsock.ncurl(server.url).data == "hello"
                assert nngsock.ncurl(server.url + "/s").status == 200

        def state():
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            files = len(os.listdir("/proc/self/fd"))
            return pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), files

        for _ in range(100):
            once()
        memory, threads, files = state()
        for _ in range({rounds}):
            once()
        more, threads_now, files_now = state()
        print(more - memory, "bytes more", file=sys.stderr)
        print(threads_now - threads, files_now - files, more - memory < 2 * 2**20)
        """,
        timeout=600,
    )
    assert done.stdout.split() == ["0", "0", "True"], done.stderr
