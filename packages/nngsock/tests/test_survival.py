"""What a library of sockets must survive, done for real: killed peers, garbage, crowds, huge messages."""

import os
import socket
import stat
import struct
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

import nngsock

GIB = 1 << 30
GREETING = struct.pack(">4sHH", b"\0SP\0", 0x11, 0)  # a peer of protocol pair1


def available_memory():
    """Bytes that are free for us; 0 if the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def path_of(url):
    return Path(url.removeprefix("ipc://"))


def raw_connection(url):
    """A plain socket, connected to where a listener of NNG is."""
    parts = nngsock.parse_url(url)
    if parts["scheme"] == "tcp":
        return socket.create_connection((parts["hostname"], int(parts["port"])), timeout=5)
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(5)
    peer.connect(str(path_of(url)))
    return peer


@pytest.fixture
def listening(make_socket, make_url):
    """A function that gives a listening pair1 and the address that others can dial."""

    def make(transport):
        s = make_socket("pair1", listen=make_url(transport))
        return s, s.listener[0].url

    return make


@pytest.fixture
def start_script():
    """A function that starts code in a process of its own, and waits until it has printed a line."""
    started = []

    def start(code, *args):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def close_warned(x):
    with pytest.warns(nngsock.NngWarning, match=r"7 \| Object closed"):
        return nngsock.close(x)


CALLS = {
    "send": lambda x: nngsock.send(x, 1, block=True),
    "send_aio": lambda x: nngsock.send_aio(x, 1).collect(),
    "recv": lambda x: nngsock.recv(x, block=True),
    "recv_aio": lambda x: nngsock.recv_aio(x).collect(),
    "reap": nngsock.reap,
    "close": close_warned,
}
RAISING_CALLS = {
    "opt": lambda x: nngsock.opt(x, "recv-timeout"),
    "set_opt": lambda x: nngsock.set_opt(x, "recv-timeout", 5),
}
RAISING_CALLS_OF_SOCKETS = {
    "context": nngsock.context,
    "on_pipe": lambda x: nngsock.on_pipe(x, print),
    "monitor": lambda x: nngsock.monitor(x, nngsock.cv()),
}


class TestUseAfterClose:
    @pytest.fixture(params=["socket", "context", "context of a closed socket"])
    def closed(self, request, make_socket):
        s = make_socket("req")
        con = nngsock.context(s)
        if request.param == "context":
            nngsock.close(con)
            nngsock.reap(s)
            return con
        nngsock.close(s)
        return s if request.param == "socket" else con

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_operations_give_7(self, closed, call):
        assert call(closed) == 7

    @pytest.mark.parametrize("call", RAISING_CALLS.values(), ids=RAISING_CALLS)
    def test_what_returns_no_error_value_raises_it(self, closed, call):
        with pytest.raises(nngsock.NngError, match=r"7 \| Object closed"):
            call(closed)

    @pytest.mark.parametrize("call", RAISING_CALLS_OF_SOCKETS.values(), ids=RAISING_CALLS_OF_SOCKETS)
    def test_so_does_what_only_sockets_have(self, make_socket, call):
        s = make_socket("req")
        nngsock.close(s)
        with pytest.raises(nngsock.NngError, match=r"7 \| Object closed"):
            call(s)

    def test_looking_at_it_is_harmless(self, closed):
        assert closed.state == "closed"
        assert "closed" in repr(closed)
        assert nngsock.stat(getattr(closed, "socket", closed), "pipes") is None


@pytest.mark.parametrize(
    ("protocol", "wait"),
    [
        ("pair1", lambda s: nngsock.recv(s, block=True)),
        ("pair1", lambda s: nngsock.recv_aio(s).collect()),
        ("pair1", lambda s: nngsock.send(s, 1, block=True)),
        ("pair1", lambda s: nngsock.send_aio(s, 1).collect()),
        ("rep", lambda s: nngsock.recv(nngsock.context(s), block=True)),
    ],
    ids=["recv", "recv_aio", "send", "send_aio", "recv of a context"],
)
def test_closing_wakes_every_wait_of_other_threads(make_socket, protocol, wait):
    s = make_socket(protocol)
    got, started = [], threading.Barrier(5)

    def work():
        started.wait(5)
        got.append(int(wait(s)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait(5)
    nngsock.msleep(20)  # so that most do wait by now; it must not matter
    nngsock.close(s)
    for thread in threads:
        thread.join(10)
    assert got == [7] * 4


INTERRUPTED_AS_MESSAGES_COME = """
    import os, signal, sys, threading
    import nngsock
    from nngsock import semaphores, waiting

    waiting.Semaphore = getattr(semaphores, sys.argv[2])

    a = nngsock.socket("pair1", listen=sys.argv[1])
    b = nngsock.socket("pair1", dial=sys.argv[1], autostart=None)
    interruptions = 0
    the_wait = waiting.Semaphore().wait.__code__

    def interrupt(signum, frame):
        global interruptions
        while frame is not None and frame.f_code is not the_wait:
            frame = frame.f_back
        if frame is not None:  # within the wait; elsewhere the message is the caller's already
            interruptions += 1
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)

    def send():
        for i in range(2_000):
            if i % 2:
                os.kill(os.getpid(), signal.SIGINT)
            nngsock.send(a, i, block=True)
            if not i % 2:
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    got = []
    while len(got) < 2_000:
        try:
            got.append(nngsock.recv(b, block=20_000))
        except KeyboardInterrupt:
            pass
    thread.join()
    print(got == list(range(2_000)), interruptions > 0, nngsock.completion.pending, threading.active_count())
"""


@pytest.mark.parametrize(
    "semaphore",
    [
        "LockSemaphore",
        pytest.param(
            "PosixSemaphore", marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
        ),
    ],
)
def test_ctrl_c_in_the_instant_of_a_message_loses_none(run_script, make_url, semaphore):
    done = run_script(INTERRUPTED_AS_MESSAGES_COME, make_url("inproc"), semaphore)
    assert (done.stdout.strip(), done.stderr) == ("True True {} 1", "")


KILLED = """
import socket, sys
import nngsock

url = sys.argv[1]
parts = nngsock.parse_url(url)
if parts["scheme"] == "ipc":
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(url.removeprefix("ipc://"))
else:
    peer = socket.create_connection((parts["hostname"], int(parts["port"])))
if parts["scheme"] == "tls+tcp":
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    peer = context.wrap_socket(peer)
head = b"\\1" if parts["scheme"] == "ipc" else b""
peer.sendall(bytes.fromhex(sys.argv[2]) + head + (10_000_000).to_bytes(8, "big") + bytes(5_000_000))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("transport", ["tcp", "ipc", "tls+tcp"])
def test_a_peer_killed_in_mid_message_leaves_nothing_of_it(
    make_socket, make_url, start_script, transport, patience, server, client
):
    tls = {"tls": server} if transport == "tls+tcp" else {}
    s = make_socket("pair1", listen=make_url(transport), **tls)
    url = s.listener[0].url
    joined, left = nngsock.cv(), nngsock.cv()
    nngsock.pipe_notify(s, joined, add=True)
    nngsock.pipe_notify(s, left, remove=True)
    aio = nngsock.recv_aio(s)
    peer = start_script(KILLED, url, GREETING.hex())
    assert nngsock.until(joined, patience)
    peer.kill()
    assert nngsock.until(left, 4 * patience)
    assert not aio.done()
    other = make_socket("pair1")
    nngsock.dial(other, url, tls=client if tls else None, fail="error")
    # Until NNG has tidied up, a moment after it told of the loss, it is refused, and what it sent is lost.
    assert nngsock.until(joined, 4 * patience)
    assert nngsock.send(other, "whole", block=patience) == 0
    assert aio.result(5) == "whole"


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(1_000),
        os.urandom(100_000),
        GREETING[:5],
        struct.pack(">4sHH", b"\0SP\0", 0x10, 0),  # a peer of another protocol
        GREETING + b"\xff" * 100,  # a message of 2**64 - 1 bytes
    ],
    ids=["http", "zeros", "random", "torn greeting", "other protocol", "endless message"],
)
def test_garbage_is_cut_off_and_disturbs_nobody(listening, make_socket, transport, garbage, patience):
    s, url = listening(transport)
    nngsock.pipe_notify(s, joined := nngsock.cv(), add=True)
    nngsock.pipe_notify(s, left := nngsock.cv(), remove=True)
    is_greeted = garbage.startswith(GREETING)
    if is_greeted:
        nngsock.set_opt(s, "recv-size-max", 1_000_000)
        nngsock.close(s.listener[0])
        nngsock.listen(s, url, fail="error")
    with raw_connection(url) as peer:
        try:
            peer.sendall(garbage)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(1_000):
                pass  # its greeting; then it hangs up
        except OSError:
            pass  # hung up before all was written
    if is_greeted:  # it was the one peer that the socket takes
        assert nngsock.until(left, patience)
    nngsock.cv_reset(joined)
    assert nngsock.recv(s) == 8
    other = make_socket("pair1", dial=url)
    assert nngsock.until(joined, 4 * patience)  # refused, it comes again: see above
    assert nngsock.send(other, "sound", block=patience) == 0
    assert nngsock.recv(s, block=patience) == "sound"


def test_a_connection_that_never_says_a_word_holds_up_nobody(listening, make_socket, patience):
    s, url = listening("tcp")
    with raw_connection(url):
        other = make_socket("pair1", dial=url)
        assert nngsock.send(other, "sound", block=patience) == 0
        assert nngsock.recv(s, block=patience) == "sound"


class TestAddresses:
    LISTENER = (
        "import sys, nngsock\ns = nngsock.socket('pair', listen=sys.argv[1])\n"
        "print('ready', flush=True)\nsys.stdin.read()"
    )

    def test_the_file_of_a_killed_process_is_reused(self, start_script, make_socket, make_url, patience):
        url = make_url("ipc")
        process = start_script(self.LISTENER, url)
        process.kill()
        process.wait()
        assert stat.S_ISSOCK(path_of(url).stat().st_mode)
        a, b = make_socket("pair", listen=url), make_socket("pair", dial=url)
        assert nngsock.send(b, 1, block=patience) == 0
        assert nngsock.recv(a, block=patience) == 1

    def test_the_file_of_a_living_process_is_in_use(self, start_script, make_socket, make_url, patience):
        url = make_url("ipc")
        start_script(self.LISTENER, url)
        assert nngsock.listen(make_socket("pair"), url, fail="none") == 10
        assert nngsock.dial(make_socket("pair"), url, autostart=None) == 0

    @pytest.mark.parametrize("kind", ["file", "folder", "link to a file"])
    def test_what_is_no_socket_is_left_alone(self, make_socket, make_url, tmp_path, kind):
        url = make_url("ipc")
        path = path_of(url)
        precious = tmp_path / "precious"
        precious.write_text("precious")
        if kind == "file":
            path.write_text("precious")
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(precious)
        before = path.lstat()
        with pytest.raises(nngsock.NngError, match=r"10 \| Address in use"):
            make_socket("pair", listen=url)
        assert path.lstat().st_ino == before.st_ino
        assert precious.read_text() == "precious"
        if kind == "file":
            assert path.read_text() == "precious"

    @pytest.mark.parametrize("verb", [partial(nngsock.dial, autostart=None), nngsock.listen])
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "://",
            "tcp://",
            "tcp://127.0.0.1:x",
            "tcp://127.0.0.1:99999",
            "ipc://",
            "tcp://[::1:80",
            "\x01",
        ],
    )
    def test_a_malformed_url_is_an_error_and_harms_nothing(self, make_socket, verb, url):
        s = make_socket("pair")
        assert verb(s, url, fail="none") in {3, 9, 15}
        assert (s.dialer, s.listener, s.state) == ((), (), "opened")


@pytest.mark.parametrize("transport", ["inproc", "ipc", "abstract", "tcp"])
@pytest.mark.filterwarnings("ignore:received data could not be unserialized")
def test_a_message_without_bytes_is_one_in_every_mode(connect, transport, patience):
    a, b = connect("pair1", transport=transport)
    found = {}
    for mode in ("serial", "character", "complex", "double", "integer", "logical", "raw", "string", "buffer"):
        for data, how in ((b"", "raw"), (None, "raw"), ([], "parts")):
            assert nngsock.send(a, data, how, block=patience) == 0
            found[mode] = nngsock.recv(b, mode, block=patience)
    empty = {"serial": b"", "raw": b"", "string": "", "buffer": b""}
    assert found == {mode: empty.get(mode, []) for mode in found}


def send_and_check(connect, size, transport):
    """Send a message of many bytes, of which the first, the last, and one in the middle are marked."""
    a, b = connect("pair1", transport=transport)
    data = bytearray(size)
    data[0], data[size // 2], data[-1] = 1, 2, 3
    aio = nngsock.recv_aio(b, "buffer")
    nngsock.send_aio(a, [data], "parts")
    del data
    view = aio.collect()
    assert (len(view), view[0], view[size // 2], view[-1]) == (size, 1, 2, 3)


@pytest.mark.skipif(available_memory() < 6 * GIB, reason="needs 6 GiB of memory")
def test_a_message_of_a_gibibyte(connect):
    send_and_check(connect, GIB, "ipc")


@pytest.mark.slow
@pytest.mark.skipif(available_memory() < 10 * GIB, reason="needs 10 GiB of memory")
@pytest.mark.parametrize("transport", ["inproc", "ipc", "abstract", "tcp"])
def test_a_message_beyond_2_gigabytes(connect, transport):
    send_and_check(connect, 2_200_000_000, transport)


THOUSAND = """
    import resource, sys
    import nngsock

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    n, url = int(sys.argv[1]), sys.argv[2]
    host = nngsock.socket("poly", listen=url)
    joined = nngsock.cv()
    nngsock.pipe_notify(host, joined, add=True)
    url = host.listener[0].url
    peers = [nngsock.socket("pair1", dial=url) for _ in range(n)]
    assert all(nngsock.until(joined, 20_000) for _ in range(n))
    receives = [nngsock.recv_aio(peer, timeout=20_000) for peer in peers]
    sends = [nngsock.send_aio(peer, i) for i, peer in enumerate(peers)]
    answered = []
    for _ in range(n):
        aio = nngsock.recv_aio(host, timeout=20_000).call()
        answered.append(aio.data)
        nngsock.send(host, aio.data, pipe=aio.pipe, block=20_000)
    print(sorted(answered) == list(range(n)), nngsock.collect_aio(receives) == list(range(n)))
    print(nngsock.stat(host, "pipes") == n)
"""


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.parametrize("n", [50, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_thousand_connections_at_once(run_script, make_url, n, transport):
    done = run_script(THOUSAND, str(n), make_url(transport), timeout=300)
    assert (done.stdout.split(), done.stderr, done.returncode) == (["True"] * 3, "", 0)


FLAT = """
    import gc, os, sys, threading
    import nngsock

    def memory():
        gc.collect()
        return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def counts():
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), threading.active_count()

    def least():  # NNG closes descriptors a moment after their socket
        found = [counts()]
        while len(found) < 30:
            nngsock.msleep(10)
            found.append(counts())
        return tuple(map(min, zip(*found)))

    {cycle}

    n = int(sys.argv[1])
    cycle(max(n // 10, 100))
    before, at_first = least(), memory()
    cycle(n)
    grown = memory() - at_first
    after = least()
    stayed = all(now <= then for now, then in zip(after, before))
    print(grown < 2 << 20, stayed)
    if grown >= 2 << 20 or not stayed:
        print("grown by", grown, "from", before, "to", after, file=sys.stderr)
"""

CYCLES = {
    "aios": """
    a = nngsock.socket("pair1", listen="ipc://" + sys.argv[2])
    b = nngsock.socket("pair1", dial="ipc://" + sys.argv[2], autostart=None)

    def cycle(n):
        for i in range(n):
            aio = nngsock.recv_aio(b, "buffer")
            if i % 3 == 0:
                aio.cancel()
            else:
                nngsock.send_aio(a, bytes(20_000 if i % 3 == 1 else 100), "raw")
                aio.collect()
""",
    "sockets": """
    def cycle(n):
        for i in range(n // 100):
            url = "ipc://" + sys.argv[2]
            with nngsock.socket("pair", listen=url) as a, nngsock.socket("pair", dial=url) as b:
                nngsock.on_pipe(a, lambda *_: None)
                nngsock.send(a, 1, block=True)
                nngsock.recv(b, block=True)
""",
    "listeners": """
    s = nngsock.socket("pair")

    def cycle(n):
        for i in range(n // 100):
            nngsock.listen(s, "ipc://" + sys.argv[2], fail="error")
            nngsock.close(s.listener[-1])
""",
    "contexts": """
    s = nngsock.socket("rep", listen="ipc://" + sys.argv[2])

    def cycle(n):
        for i in range(n // 10):
            with nngsock.context(s) as con:
                nngsock.recv_aio(con)
""",
}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("n", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("cycle", CYCLES.values(), ids=CYCLES)
def test_memory_threads_and_descriptors_stay_where_they_are(run_script, tmp_path_factory, make_url, cycle, n):
    done = run_script(FLAT.format(cycle=cycle.strip()), str(n), str(path_of(make_url("ipc"))), timeout=900)
    assert (done.stdout.split(), done.stderr) == (["True", "True"], "")
