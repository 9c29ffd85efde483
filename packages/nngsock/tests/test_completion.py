import gc
import os
import threading
from pathlib import Path

import pytest

import nngsock
from nngsock.completion import pending


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def settled(count):
    """What a count comes down to: NNG closes descriptors a moment after their socket."""
    found = count()
    for _ in range(20):
        nngsock.msleep(10)
        found = min(found, count())
    return found


def test_operations_leave_nothing_behind(connect):
    a, b = connect("pair1")

    def cycle(n):
        for i in range(n):
            aio = nngsock.recv_aio(b, "buffer")
            if i % 3 == 0:
                aio.cancel()
                assert aio.data == 20
            elif i % 3 == 1:
                nngsock.send_aio(a, b"x" * 100, "raw")
                assert len(aio.collect()) == 100
            del aio
        gc.collect()
        # What passes after all others has seen them off.
        assert nngsock.send_aio(a, "end").collect() == 0
        while nngsock.recv(b, block=5000) != "end":
            pass

    cycle(100)
    before = (descriptors(), threading.active_count(), len(pending))
    cycle(10_000)
    assert (descriptors(), threading.active_count(), len(pending)) == before


def test_memory_stays_where_it_is(run_script):
    done = run_script("""
        import nngsock

        def pages():
            return int(open("/proc/self/statm").read().split()[1])

        a = nngsock.socket("pair1", listen="inproc://memory")
        b = nngsock.socket("pair1", dial="inproc://memory", autostart=None)

        def cycle(n):
            for _ in range(n):
                aio = nngsock.recv_aio(b, "buffer")
                nngsock.send_aio(a, bytes(20_000), "raw")
                aio.collect()
                nngsock.recv_aio(b).cancel()

        cycle(2_000)
        before = pages()
        cycle(8_000)
        print((pages() - before) * 4096 < 8_000_000)
    """)
    assert (done.stdout.strip(), done.stderr) == ("True", "")


def test_sockets_leave_nothing_behind(make_url):
    def cycle():
        url = make_url("ipc")
        with nngsock.socket("pair", listen=url) as a, nngsock.socket("pair", dial=url) as b:
            nngsock.on_pipe(a, lambda *_: None)
            nngsock.send(a, 1, block=5000)
            nngsock.recv(b, block=5000)

    cycle()
    before = settled(descriptors)
    for _ in range(50):
        cycle()
    assert settled(descriptors) <= before


def test_pending_operations_cost_no_threads(make_socket):
    rep = make_socket("rep")
    before = len(os.listdir("/proc/self/task"))
    aios = [nngsock.recv_aio(nngsock.context(rep)) for _ in range(2_000)]
    assert len(os.listdir("/proc/self/task")) <= before  # one of an earlier test may have ended meanwhile
    nngsock.stop_aio(aios)
    assert {int(aio.data) for aio in aios} == {20}


def test_no_user_thread_is_made_of_a_thread_of_nng(connect):
    a, b = connect("pair1")
    done = threading.Event()
    before = {t.name for t in threading.enumerate()}

    def fail(_):
        done.set()
        raise ValueError("logged elsewhere")

    nngsock.recv_aio(b).add_done_callback(fail, inline=True)
    nngsock.send(a, 1, block=5000)
    assert done.wait(5)
    assert {t.name for t in threading.enumerate()} - before <= {"nngsock-callbacks"}


def test_a_kernel_that_forbids_executable_memory_costs_pipe_events_alone(run_script):
    done = run_script("""
        import pynng

        class Hardened:
            def __init__(self, ffi):
                self.ffi = ffi

            def __getattr__(self, name):
                return getattr(self.ffi, name)

            def callback(self, *args, **kwargs):
                raise MemoryError

        pynng.ffi = Hardened(pynng.ffi)
        import nngsock

        a = nngsock.socket("pair1", listen="inproc://hardened")
        b = nngsock.socket("pair1", dial="inproc://hardened", autostart=None)
        aio = nngsock.recv_aio(b)
        nngsock.send_aio(a, "through")
        print(aio.collect(), nngsock.recv(b, block=10))
        try:
            nngsock.on_pipe(a, print)
        except nngsock.NngsockError as error:
            print(error)
    """)
    assert done.stdout.splitlines() == [
        "through errorValue 5 | Timed out",
        "pipe events need executable memory, which this kernel forbids",
    ]
    assert (done.stderr, done.returncode) == ("", 0)


if not Path("/proc/self/fd").exists():
    pytest.skip("needs /proc", allow_module_level=True)
