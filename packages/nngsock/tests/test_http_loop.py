"""The thread of HTTP in the life and death of the process: import, fork, exit."""

import sys
import threading

import pytest

import nngsock

NEEDS_FORK = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


class TestImport:
    def test_nothing_of_it_is_loaded_before_it_is_used(self, run_script):
        done = run_script("""
            import sys
            import nngsock
            print([name for name in sys.modules if name.startswith(("nngsock.http", "aiohttp", "yarl"))])
            nngsock.ncurl, nngsock.Server
            print([name for name in sys.modules if name.startswith(("aiohttp", "yarl"))])
            assert "ncurl" in dir(nngsock)
            try:
                nngsock.no_such_name
            except AttributeError as error:
                print(error)
        """)
        nothing = "module 'nngsock' has no attribute 'no_such_name'"
        assert (done.stdout.splitlines(), done.stderr) == (["[]", "[]", nothing], "")

    def test_without_the_extra_the_error_names_it(self, run_script):
        done = run_script("""
            import sys
            sys.modules["aiohttp"] = None
            from nngsock import *
            import nngsock
            for call in (ncurl, ncurl_aio, ncurl_session, http_server):
                try:
                    call("http://127.0.0.1:0")
                except nngsock.MissingExtraError as error:
                    print(isinstance(error, ImportError), error)
            print(format_sse("x") == "data: x\\n\\n", handler("/x", print).path)
        """)
        remedy = 'True HTTP needs the package aiohttp: pip install "nngsock[http]"'
        assert done.stdout.splitlines() == [remedy] * 4 + ["True /x"]
        assert done.stderr == ""


FORKED = """
    import os, sys, warnings
    import nngsock

    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about threads and fork

    opened = []
    server = nngsock.http_server("http://127.0.0.1:0", [
        nngsock.handler("/", lambda req: "hello"),
        nngsock.handler_ws("/ws", print, on_open=lambda ws, req: opened.append(ws)),
        nngsock.handler_stream("/s", lambda conn, req: (conn.send("x"), opened.append(conn))),
    ])
    server.start()
    session = nngsock.ncurl_session(server.url)
    assert session.transact().data == "hello"  # so that a connection is kept
    pending = nngsock.ncurl_aio(server.url + "/s")
    while not opened:
        assert session.transact().data == "hello"
    calls = {
        "ncurl": lambda: nngsock.ncurl(server.url),
        "ncurl_aio": lambda: nngsock.ncurl_aio(server.url),
        "ncurl_session": lambda: nngsock.ncurl_session(server.url),
        "transact": session.transact,
        "collect": pending.collect,
        "stop": pending.cancel,
        "http_server": nngsock.http_server("http://127.0.0.1:0").start,
        "send": lambda: opened[0].send("x"),
        "close conn": opened[0].close,
        "close session": session.close,
        "close server": server.close,
    }
    child = os.fork()
    if child == 0:
        expect_refusals(calls)
        del session, server, pending, opened, calls
        sys.exit(5)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    print(session.transact().data, nngsock.ncurl(server.url).data)
    opened[0].close()
    print(pending.collect(), server.close())
"""


@NEEDS_FORK
def test_a_forked_child_gets_an_exception_and_ends_in_peace_and_its_parent_works_on(run_script):
    pytest.importorskip("aiohttp")
    done = run_script(FORKED)
    assert (done.stdout.split(), done.stderr) == (["5", "hello", "hello", "x", "0"], "")
    assert done.returncode == 0


@NEEDS_FORK
def test_a_child_forked_before_the_first_use_may_use_it(run_script):
    pytest.importorskip("aiohttp")
    done = run_script("""
        import os, sys
        import nngsock

        child = os.fork()
        if child == 0:
            with nngsock.http_server("http://127.0.0.1:0", nngsock.handler("/", lambda req: "hi")) as server:
                sys.exit(0 if nngsock.ncurl(server.url).data == "hi" else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    assert (done.stdout.split(), done.stderr) == (["0"], "")


EXITS = {
    "an idle server": "",
    "a kept session": "session = nngsock.ncurl_session(server.url); session.transact()",
    "pending requests": """
aios = [nngsock.ncurl_aio(server.url + "/never") for _ in range(100)]
import socket
silent = socket.create_server(("127.0.0.1", 0))
aios.append(nngsock.ncurl_aio(f"http://127.0.0.1:{silent.getsockname()[1]}"))
held.acquire()
""",
    "requests just begun": "aios = [nngsock.ncurl_aio(server.url + '/never') for _ in range(100)]",
    "a callback that hangs": "aio = nngsock.ncurl_aio(server.url + '/hang'); held.acquire()",
    "open streams": "aios = [nngsock.ncurl_aio(server.url + '/stream') for _ in range(10)]; held.acquire()",
    "daemon threads that wait": """
waits = [lambda: nngsock.ncurl(server.url + "/never"), nngsock.ncurl_aio(server.url + "/never").call]
for wait in waits:
    threading.Thread(target=wait, daemon=True).start()
held.acquire(); held.acquire()
""",
    "callbacks to come": """
aio = nngsock.ncurl_aio(server.url + "/never")
aio.add_done_callback(print); aio.add_done_callback(print, inline=True)
""",
    "a closed server": "nngsock.ncurl(server.url); server.close()",
    "a name server that is asked": "aio = nngsock.ncurl_aio('http://nobody.invalid')",
}  # fmt: skip


@pytest.mark.parametrize("scene", EXITS.values(), ids=EXITS.keys())
@pytest.mark.parametrize("way", ["", "raise SystemExit(3)"], ids=["end", "exit"])
def test_the_interpreter_exits_cleanly_whatever_is_under_way(run_script, scene, way):
    pytest.importorskip("aiohttp")
    done = run_script(f"""
import asyncio, threading
import nngsock

held = threading.Semaphore(0)

async def never(req):
    held.release()
    await asyncio.get_running_loop().create_future()

def hang(req):
    held.release()
    threading.Event().wait()

def stream(conn, req):
    conn.send("x")
    held.release()

server = nngsock.http_server("http://127.0.0.1:0", [
    nngsock.handler("/never", never), nngsock.handler("/hang", hang),
    nngsock.handler_stream("/stream", stream, on_close=print),
])
server.start()
{scene}
{way}
""")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 3 if way else 0)


LATE = """
    import time
    import nngsock

    def never(req):
        time.sleep(60)

    server = nngsock.http_server("http://127.0.0.1:0", nngsock.handler("/", never))
    server.start()
    session = nngsock.ncurl_session(server.url)
    pending = nngsock.ncurl_aio(server.url)
    begin = time.monotonic()
    nngsock.completion._exit()
    print(time.monotonic() - begin < 5)
    for value in (
        pending.collect(), nngsock.ncurl(server.url).data, nngsock.ncurl_aio(server.url).collect(),
        session.transact().data, session.close(), server.close(),
    ):
        print(int(value))
"""


def test_after_the_exit_has_begun_everything_gives_7(run_script):
    pytest.importorskip("aiohttp")
    done = run_script(LATE)
    assert done.stdout.splitlines() == ["True", *"777777"], done.stderr


def test_there_is_one_thread_for_all(serve):
    servers = [serve(nngsock.handler("/", lambda req: "hi")) for _ in range(3)]
    sessions = [nngsock.ncurl_session(server.url) for server in servers]
    assert [session.transact().data for session in sessions] == ["hi"] * 3
    assert [thread.name for thread in threading.enumerate()].count("nngsock-http") == 1
    for session in sessions:
        session.close()
