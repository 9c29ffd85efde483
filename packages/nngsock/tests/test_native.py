"""Life and death of the process: forks, and the interpreter's exit."""

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")

FORKED = """
    import asyncio, os, sys, warnings
    import nngsock

    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about threads and fork

    async def wait_for(aio):
        await aio

    s = nngsock.socket("req", listen="inproc://fork")
    c = nngsock.context(s)
    aio = nngsock.recv_aio(s)
    waiting = nngsock.recv_aio(nngsock.socket("pair"))
    big = nngsock.message.take_view(nngsock.message.from_bytes(bytes(100_000), 100_000))
    calls = {
        "socket": lambda: nngsock.socket("pair"),
        "context": lambda: nngsock.context(s),
        "dial": lambda: nngsock.dial(s),
        "send": lambda: nngsock.send(s, 1),
        "send_aio": lambda: nngsock.send_aio(c, 1),
        "recv": lambda: nngsock.recv(c, block=True),
        "recv_aio": lambda: nngsock.recv_aio(s),
        "collect": waiting.collect,
        "stop": lambda: nngsock.stop_aio(waiting),
        "await": lambda: asyncio.run(wait_for(waiting)),
        "await cv": lambda: asyncio.run(wait_for(nngsock.cv().wait_async())),
        "callback": lambda: waiting.add_done_callback(print),
        "inline callback": lambda: waiting.add_done_callback(print, inline=True),
        "future": waiting.future,
        "race": lambda: nngsock.race_aio([waiting]),
        "as_completed": lambda: list(nngsock.as_completed([waiting])),
        "version": nngsock.nng_version,
        "opt": lambda: nngsock.opt(s, "recv-buffer"),
        "set_opt": lambda: nngsock.set_opt(s, "recv-buffer", 1),
        "stat": lambda: nngsock.stat(s, "pipes"),
        "on_pipe": lambda: nngsock.on_pipe(s, print),
        "on_message": lambda: nngsock.on_message(s, print),
        "wait": lambda: nngsock.cv().wait(),
        "close": lambda: nngsock.close(s),
    }
    child = os.fork()
    if child == 0:
        expect_refusals(calls)
        del s, c, aio, waiting, big, calls
        sys.exit(5)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    print(nngsock.send(nngsock.socket("pub", listen="inproc://parent"), 1))
"""


def test_a_forked_child_gets_an_exception_and_ends_in_peace(run_script):
    done = run_script(FORKED)
    assert (done.stdout.split(), done.stderr, done.returncode) == (["5", "0"], "", 0)


FORKED_OVER_TLS = """
    import os, sys, warnings
    import nngsock

    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about threads and fork

    server, client = nngsock.tls_config(server=sys.argv[1]), nngsock.tls_config(client=sys.argv[1])
    a, b = nngsock.socket("pair1"), nngsock.socket("pair1")
    nngsock.listen(a, sys.argv[2], tls=server, fail="error")
    nngsock.dial(b, a.listener[0].url, tls=client, autostart=None, fail="error")
    nngsock.send(b, "before", block=5000)
    print(nngsock.recv(a, block=5000), flush=True)
    waiting = nngsock.recv_aio(a)
    calls = {
        "send": lambda: nngsock.send(b, 1),
        "recv": lambda: nngsock.recv(a, block=True),
        "collect": waiting.collect,
        "dial": lambda: nngsock.dial(nngsock.socket("pair1"), a.listener[0].url, tls=client),
        "listen": lambda: nngsock.listen(a, sys.argv[2], tls=server),
        "monitor": lambda: nngsock.monitor(a, nngsock.cv()),
        "stream": lambda: nngsock.stream(dial=a.listener[0].url, tls=client),
        "tls_config": lambda: nngsock.tls_config(client=sys.argv[1]),
        "close": lambda: nngsock.close(a),
    }
    child = os.fork()
    if child == 0:
        expect_refusals(calls)
        del a, b, server, client, waiting, calls
        sys.exit(5)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    nngsock.send(b, "after", block=5000)
    print(waiting.result(5))
"""


@pytest.mark.parametrize("transport", ["tls+tcp", "wss"])
def test_so_does_one_with_connections_over_tls_and_its_parent_works_on(
    run_script, make_url, certificates, transport
):
    done = run_script(FORKED_OVER_TLS, str(certificates.folder / "server.pem"), make_url(transport))
    assert (done.stdout.split(), done.stderr, done.returncode) == (["before", "5", "after"], "", 0)


TRIO_FORKED = """
    import os, sys, warnings
    import nngsock, trio

    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about threads and fork

    async def wait_for(aio):
        await aio

    waiting = nngsock.recv_aio(nngsock.socket("pair"))
    child = os.fork()
    if child == 0:
        try:
            trio.run(wait_for, waiting)
        except nngsock.NngsockError as error:
            sys.exit(5 if "cannot be used after fork" in str(error) else 6)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_task_of_trio_gets_it_too(run_script):
    pytest.importorskip("trio")
    done = run_script(TRIO_FORKED)
    assert (done.stdout.split(), done.stderr, done.returncode) == (["5"], "", 0)


FORKED_BEFORE_USE = """
    import os, sys
    import nngsock

    child = os.fork()
    if child == 0:
        with nngsock.socket("pub", listen="inproc://child") as s:
            sys.exit(int(nngsock.send(s, 1)))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_forked_before_the_first_socket_may_use_the_library(run_script):
    done = run_script(FORKED_BEFORE_USE)
    assert (done.stdout.split(), done.stderr) == (["0"], "")


MULTIPROCESSING = """
    import multiprocessing
    import nngsock

    if __name__ == "__main__":
        s = nngsock.socket("pair", listen="inproc://mp")
        aio = nngsock.recv_aio(s)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(abs, [-1, -2]))
"""


def test_multiprocessing_works_beside_open_sockets(run_script):
    done = run_script(MULTIPROCESSING)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("[1, 2]", "", 0)


EXITS = {
    "idle": "s = nngsock.socket('pair', listen=url)",
    "pending aios": """
s = nngsock.socket('pair', listen=url)
aios = [nngsock.recv_aio(s) for _ in range(2000)] + [nngsock.send_aio(s, 1)]
""",
    "aios closed just before": """
s = nngsock.socket('pair', listen=url)
aios = [nngsock.recv_aio(s) for _ in range(2000)]
nngsock.close(s)
""",
    "pending contexts": """
s = nngsock.socket('rep', listen=url)
contexts = [nngsock.context(s) for _ in range(1000)]
aios = [nngsock.recv_aio(c) for c in contexts]
""",
    "callbacks that resubmit": """
s = nngsock.socket('pair', listen=url)
def again(aio):
    nngsock.recv_aio(s).add_done_callback(again, inline=True)
for _ in range(10):
    nngsock.recv_aio(s).add_done_callback(again, inline=True)
    nngsock.recv_aio(s).add_done_callback(again)
""",
    "messages that keep coming": """
s, t = nngsock.socket('pair1', listen=url), nngsock.socket('pair1', dial=url)
def echo(con):
    def again(aio):
        nngsock.send_aio(con, 1)
        nngsock.recv_aio(con).add_done_callback(again, inline=True)
    nngsock.recv_aio(con).add_done_callback(again, inline=True)
echo(s); echo(t)
for _ in range(8):
    nngsock.send_aio(s, 1)
""",
    "a receiver": "s = nngsock.socket('pair', listen=url); nngsock.on_message(s, print)",
    "daemon threads that wait": """
import threading
s = nngsock.socket('pair', listen=url)
for wait in (lambda: nngsock.recv(s, block=True), nngsock.recv_aio(s).call, nngsock.cv().wait):
    threading.Thread(target=wait, daemon=True).start()
""",
    "pipe events": """
s, t = nngsock.socket('pair', listen=url), nngsock.socket('pair', dial=url)
nngsock.on_pipe(s, print); m = nngsock.monitor(t, nngsock.cv())
""",
    "connections in the making": """
import socket
s = nngsock.socket('poly', listen=url)
silent = [socket.socket(socket.AF_UNIX) for _ in range(200)]
for peer in silent:
    peer.connect(url.removeprefix('ipc://'))
dialers = [nngsock.socket('poly', dial=url) for _ in range(20)]
""",
    "raw sockets of pynng beside ours": """
import pynng
p, s = pynng.Pair1(listen=url), nngsock.socket('pair1', dial=url)
p.add_post_pipe_connect_cb(lambda pipe: None)
p.add_post_pipe_remove_cb(lambda pipe: None)
""",
    "a waiting event loop": """
import asyncio
s = nngsock.socket('pair', listen=url)
loop = asyncio.new_event_loop()
async def wait():
    await nngsock.recv_aio(s)
task = loop.create_task(wait())
loop.run_until_complete(asyncio.sleep(0.01))
task._log_destroy_pending = False
""",
}  # fmt: skip


@pytest.mark.parametrize("scene", EXITS.values(), ids=EXITS.keys())
@pytest.mark.parametrize("way", ["", "raise SystemExit(3)"], ids=["end", "exit"])
def test_the_interpreter_exits_cleanly_whatever_is_under_way(run_script, make_url, scene, way):
    done = run_script(f"import sys, nngsock\nurl = sys.argv[1]\n{scene}\n{way}", make_url("ipc"))
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 3 if way else 0)


def test_an_exception_keeps_its_exit_code(run_script):
    done = run_script("import nngsock; s = nngsock.socket('pair'); a = nngsock.recv_aio(s); 1 / 0")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ZeroDivisionError: division by zero")


LATE = """
    import atexit
    import nngsock

    s = nngsock.socket("pair", listen="inproc://late")

    def late():
        print(int(nngsock.recv(s, block=True)), int(nngsock.send(s, 1)), int(nngsock.recv_aio(s).collect()))

    nngsock.completion._exit()
    late()
"""


def test_operations_after_the_exit_has_begun_give_7(run_script):
    done = run_script(LATE)
    assert (done.stdout.split(), done.stderr, done.returncode) == (["7", "7", "7"], "", 0)


def test_an_open_ipc_listener_takes_its_file_along(run_script, make_url):
    from pathlib import Path

    url = make_url("ipc")
    done = run_script("import sys, nngsock; s = nngsock.socket('pair', listen=sys.argv[1])", url)
    assert done.returncode == 0
    assert not Path(url.removeprefix("ipc://")).exists()


def test_importing_loads_no_heavy_package(run_script):
    done = run_script("""
        import sys
        import nngsock
        heavy = {"numpy", "pandas", "polars", "aiohttp", "cryptography", "rdata", "msgpack", "cloudpickle"}
        print(sorted(heavy & set(sys.modules)))
    """)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux does")
def test_small_keeps_the_threads_few(run_script, monkeypatch):
    code = """
        import os, nngsock
        a, b = nngsock.socket("pair", listen="inproc://small"), nngsock.socket("pair", dial="inproc://small")
        a.send(1, block=True)
        print(b.recv(block=True), len(os.listdir("/proc/self/task")))
    """
    assert int(run_script(code).stdout.split()[1]) > 7
    monkeypatch.setenv("NNGSOCK_THREADS", "small")
    assert run_script(code).stdout.split() == ["1", "7"]
