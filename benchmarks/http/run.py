"""HTTP requests between two processes: nngsock beside Python's http.client and http.server, and bare aiohttp.

The first table changes the client, against one server of a few lines; the second one the server.
"""

import argparse
import asyncio
import contextlib
import http.client
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

import nngsock

sys.path.insert(0, str(Path(__file__).parents[1]))  # for what all benchmarks have in common

from rounds import measure, report, seconds

BODY = b"x" * 100
# Answers whatever comes, so that the client's own time shows.
LEAN = """
import asyncio

REPLY = b"HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\nContent-Type: text/plain\\r\\n\\r\\n" + b"x" * 100

class Lean(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(REPLY)
        if b"Connection: close" in data:
            self.transport.close()

async def main():
    server = await asyncio.get_running_loop().create_server(Lean, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
NNGSOCK = """
import nngsock, threading
server = nngsock.http_server("http://127.0.0.1:0", nngsock.handler("/", lambda req: b"x" * 100))
server.start()
print(server.url.rpartition(":")[2], flush=True)
threading.Event().wait()
"""
NNGSOCK_ASYNC = (
    NNGSOCK.replace("lambda req: b", "answer")
    .replace('"x" * 100))', "))")
    .replace("server =", "async def answer(req):\n    return b'x' * 100\nserver =", 1)
)
AIOHTTP = """
import asyncio
from aiohttp import web

async def main():
    async def answer(request):
        return web.Response(body=b"x" * 100)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(web.Server(answer, access_log=None), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
STANDARD = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"x" * 100)

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextlib.contextmanager
def running(program):
    """The address of a server in a process of its own."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def kept(url):
    """A function that asks n times over one connection of http.client."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def run(n):
        for _ in range(n):
            connection.request("GET", "/")
            body = connection.getresponse().read()
        return body

    return run


def clients(url, loop):
    session = nngsock.ncurl_session(url, convert=False)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    async def bare_session():
        return aiohttp.ClientSession()

    bare = loop.run_until_complete(bare_session())

    def transact(n):
        for _ in range(n):
            body = session.transact().data
        return body

    def ncurl(n):
        for _ in range(n):
            body = nngsock.ncurl(url, convert=False).data
        return body

    def urllib_open(n):
        for _ in range(n):
            with opener.open(url) as response:
                body = response.read()
        return body

    async def awaited(n):
        for _ in range(n):
            body = (await nngsock.ncurl_aio(url, convert=False)).data
        return body

    async def bare_aiohttp(n):
        for _ in range(n):
            async with bare.get(url) as response:
                body = await response.read()
        return body

    def at_once(n):
        return nngsock.collect_aio([nngsock.ncurl_aio(url, convert=False) for _ in range(n)])[-1]

    variants = {
        "http.client, kept": kept(url),
        "aiohttp, kept": lambda n: loop.run_until_complete(bare_aiohttp(n)),
        "nngsock transact, kept": transact,
        "urllib": urllib_open,
        "nngsock ncurl": ncurl,
        "nngsock await ncurl_aio": lambda n: loop.run_until_complete(awaited(n)),
        "nngsock ncurl_aio, all at once": at_once,
    }
    return variants, lambda: (session.close(), loop.run_until_complete(bare.close()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=100, help="in each round")
    options = parser.parse_args()
    loop = asyncio.new_event_loop()
    with contextlib.ExitStack() as stack:
        variants, close = clients(stack.enter_context(running(LEAN)), loop)
        show("one request, by client", in_turns(variants, options.rounds, options.requests))
        close()
        servers = {
            "http.server": STANDARD,
            "aiohttp": AIOHTTP,
            "nngsock": NNGSOCK,
            "nngsock, async def": NNGSOCK_ASYNC,
        }
        variants = {name: kept(stack.enter_context(running(code))) for name, code in servers.items()}
        show("one request, by server", in_turns(variants, options.rounds, options.requests))
    loop.close()


def show(title, times):
    report(title, "µs", times, next(iter(times)), scale=1e6)


def in_turns(variants, rounds, requests):
    """Seconds a request of each variant in each round."""
    for run in variants.values():  # connect, warm up, and see that the answer is the answer
        if run(10) != BODY:
            raise AssertionError("the answer is another one")
    timed = {
        name: lambda run=run: seconds(lambda: run(requests)) / requests for name, run in variants.items()
    }
    return measure(timed, rounds)


if __name__ == "__main__":
    main()
