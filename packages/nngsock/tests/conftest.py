"""Addresses of every transport, connected pairs of sockets, and scripts in processes of their own."""

from __future__ import annotations

import itertools
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import nngsock

PATIENCE = 5_000  # milliseconds for what should come at once
TRANSPORTS = ("inproc", "ipc", "abstract", "tcp")

_numbers = itertools.count()


@pytest.fixture
def patience():
    return PATIENCE


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.fixture
def make_url():
    """A function that gives a fresh address of a transport."""
    with tempfile.TemporaryDirectory(prefix="nng") as folder:

        def make(transport="inproc"):
            name = f"{os.getpid()}-{next(_numbers)}"
            if transport == "ipc":
                return f"ipc://{folder}/{name}"
            if transport in {"tcp", "tls+tcp"}:
                return f"{transport}://127.0.0.1:0"
            if transport in {"ws", "wss"}:
                return f"{transport}://127.0.0.1:0/{name}"
            if transport == "tcp6":
                if not has_ipv6():
                    pytest.skip("this machine has no IPv6")
                return "tcp6://[::1]:0"
            if transport == "abstract" and sys.platform != "linux":
                pytest.skip("abstract sockets exist on Linux only")
            return f"{transport}://{name}"

        yield make


@pytest.fixture
def make_socket():
    """A function that opens sockets, which are closed after the test."""
    opened = []

    def make(*args, **kwargs):
        sock = nngsock.socket(*args, **kwargs)
        opened.append(sock)
        return sock

    yield make
    for sock in opened:
        nngsock.reap(sock)


@pytest.fixture
def connect(make_socket, make_url, certificates):
    """A function that gives two connected sockets: the first listens, the second dials."""

    def make(listening="pair", dialing=None, transport="inproc", options=()):
        a, b = make_socket(listening), make_socket(dialing or listening)
        for name, value in options:
            for sock in (a, b):
                nngsock.set_opt(sock, name, value)
        ready = nngsock.cv()
        nngsock.pipe_notify(a, ready, add=True)
        encrypted = transport in {"tls+tcp", "wss"}
        server = nngsock.tls_config(server=certificates.server) if encrypted else None
        client = nngsock.tls_config(client=certificates.ca) if encrypted else None
        nngsock.listen(a, make_url(transport), tls=server, fail="error")
        nngsock.dial(b, a.listener[0].url, tls=client, autostart=None, fail="error")
        assert nngsock.until(ready, PATIENCE)
        return a, b

    return make


# What scripts that fork have at hand.
EXPECT_REFUSALS = """
def expect_refusals(calls):
    import nngsock
    for name, call in calls.items():
        try:
            call()
        except nngsock.NngsockError as error:
            if "cannot be used after fork" in str(error):
                continue
        print(name, "did not raise", flush=True)
"""


@pytest.fixture
def run_script():
    """A function that runs code in a process of its own and returns how it ended.

    There, `expect_refusals(calls)` makes each of these calls, by their names, in a forked child, and prints
    which of them is not refused.
    """

    def run(code, *args, timeout=30):
        source = textwrap.dedent(code)
        if "expect_refusals" in source:
            source = EXPECT_REFUSALS + source
        return subprocess.run(
            [sys.executable, "-c", source, *args],
            check=False, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip

    return run


@pytest.fixture
def press_ctrl_c():
    """A function that starts a thread which presses Ctrl-C once the main thread waits.

    Python forgets a signal, until the next one, that comes when a thread has let others run and does not yet
    wait for its lock. So it must not be sent by a thread that this one has just let run.
    """
    main = threading.main_thread()
    stat = Path(f"/proc/self/task/{main.native_id}/stat")  # Linux tells there whether a thread sleeps
    threads = []

    def sleeps():
        return not stat.exists() or stat.read_text().rpartition(") ")[2].startswith("S")

    def press():
        seen, looks = None, 0
        while looks < 4:
            time.sleep(0.05)
            frame = sys._current_frames()[main.ident]
            looks = looks + 1 if seen == (frame, frame.f_lasti) and sleeps() else 0
            seen = (frame, frame.f_lasti)
        del frame, seen
        os.kill(os.getpid(), signal.SIGINT)

    def start():
        threads.append(threading.Thread(target=press))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


@pytest.fixture
def r_messages():
    """The folder with messages that R's nanonext put on the wire."""
    return Path(__file__).parent / "data" / "r_wire"


@pytest.fixture
def sockets(connect):
    return connect("pair1")


class Certificates:
    """Certificates for 127.0.0.1, localhost and ::1, and one of a client, as `tls_config` takes them."""

    def __init__(self, folder):
        self.folder = folder
        self.server, self.ca = self.read("server")
        self.other, self.other_ca = self.read("other")
        self.worker, self.worker_ca = self.read("worker")

    def read(self, name):
        text = (self.folder / f"{name}.pem").read_text()
        certificate, begin, key = text.partition("-----BEGIN PRIVATE KEY-----")
        return (certificate, begin + key), (certificate, "")


@pytest.fixture
def certificates():
    return Certificates(Path(__file__).parent / "data" / "tls")


@pytest.fixture
def client(certificates):
    """The configuration of a client that trusts `server`."""
    return nngsock.tls_config(client=certificates.ca)


@pytest.fixture
def server(certificates):
    """The configuration of a server for this machine."""
    return nngsock.tls_config(server=certificates.server)


@pytest.fixture
def logged():
    """The texts of exceptions that are logged."""
    texts = queue.SimpleQueue()

    class Handler(logging.Handler):
        def emit(self, record):
            texts.put(str(record.exc_info[1]))

    handler = Handler()
    logging.getLogger("nngsock").addHandler(handler)
    yield texts
    logging.getLogger("nngsock").removeHandler(handler)


@pytest.fixture
def serve():
    """A function that starts an HTTP server with handlers, which is closed after the test."""
    pytest.importorskip("aiohttp")
    servers = []

    def start(*handlers, url="http://127.0.0.1:0", **options):
        server = nngsock.http_server(url, handlers, **options)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.try_close()


@pytest.fixture
def say():
    """A function that sends bytes over a bare connection and returns what comes until the server hangs up."""

    def exchange(server, data):
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=10) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    return exchange
