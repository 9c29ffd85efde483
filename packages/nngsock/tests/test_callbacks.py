import gc
import queue
import threading

import pytest

import nngsock


@pytest.mark.parametrize("inline", [False, True])
def test_they_get_the_aio(sockets, inline):
    a, b = sockets
    done, got = threading.Event(), []
    aio = nngsock.recv_aio(b)
    aio.add_done_callback(lambda x: (got.append(x.data), done.set()), inline=inline)
    nngsock.send(a, "hello", block=True)
    assert done.wait(5)
    assert got == ["hello"]


@pytest.mark.parametrize("inline", [False, True])
def test_one_added_after_completion_runs(sockets, inline):
    aio = nngsock.recv_aio(sockets[0], timeout=1).call()
    done = threading.Event()
    aio.add_done_callback(lambda _: done.set(), inline=inline)
    assert done.wait(5)


def test_they_run_on_one_thread_of_the_library(sockets):
    names = []
    done = nngsock.cv()
    for _ in range(3):
        nngsock.recv_aio(sockets[0], timeout=1).add_done_callback(
            lambda _: (names.append(threading.current_thread().name), done.signal())
        )
    for _ in range(3):
        assert done.until(5000)
    assert set(names) == {"nngsock-callbacks"}


@pytest.mark.parametrize("inline", [False, True])
def test_what_they_raise_is_logged_and_the_others_run(sockets, logged, inline):
    aio = nngsock.recv_aio(sockets[0], timeout=20)
    done = threading.Event()

    def fail(_):
        raise ValueError("on purpose")

    aio.add_done_callback(fail, inline=inline)
    aio.add_done_callback(lambda _: done.set(), inline=inline)
    assert done.wait(5)
    assert logged.get(timeout=5) == "on purpose"


def test_a_dropped_aio_with_a_callback_goes_on(sockets):
    a, b = sockets
    done, got = threading.Event(), []
    nngsock.recv_aio(b).add_done_callback(lambda x: (got.append(x.data), done.set()))
    gc.collect()
    nngsock.send(a, 3, block=True)
    assert done.wait(5)
    assert got == [3]


def test_a_receive_resubmitted_by_its_inline_callback_serves_all_and_ends_at_close(sockets):
    a, b = sockets
    n, got, last, ended = 5_000, [], threading.Event(), threading.Event()

    def serve(aio):
        got.append(aio.data)
        if aio.data == "last":
            last.set()
        if nngsock.is_error_value(aio.data):
            ended.set()
        nngsock.recv_aio(b).add_done_callback(serve, inline=True)  # even after an error: it must end

    nngsock.recv_aio(b).add_done_callback(serve, inline=True)
    for i in range(n):
        assert nngsock.send(a, i, block=5000) == 0
    assert nngsock.send(a, "last", block=5000) == 0
    assert last.wait(20)
    nngsock.close(b)
    assert ended.wait(5)
    assert got == [*range(n), "last", 7]


def test_resubmitting_on_the_callback_thread_ends_at_close_too(sockets):
    _, b = sockets
    calls, ended = [], threading.Event()

    def serve(aio):
        calls.append(aio.data)
        nngsock.recv_aio(b).add_done_callback(serve)
        ended.set()

    nngsock.recv_aio(b).add_done_callback(serve)
    nngsock.close(b)
    assert ended.wait(5)
    done = threading.Event()
    nngsock.recv_aio(sockets[0], timeout=1).add_done_callback(lambda _: done.set())
    assert done.wait(5)
    assert calls == [7]


def test_a_callback_for_another_closed_connection_is_still_called(sockets):
    a, b = sockets
    done = threading.Event()

    def on_closed(_):
        nngsock.recv_aio(a).add_done_callback(lambda _: done.set(), inline=True)

    nngsock.close(a)
    aio = nngsock.recv_aio(b)
    aio.add_done_callback(on_closed, inline=True)
    nngsock.close(b)
    assert done.wait(5)


class TestRunEventLoop:
    def test_it_returns_once_a_callback_has_run(self, sockets, patience):
        a, b = sockets
        ran = []
        nngsock.recv_aio(a).add_done_callback(lambda aio: ran.append(aio.data))
        threading.Timer(0.05, b.send, [1], {"block": patience}).start()
        assert nngsock.run_event_loop(patience)
        assert ran == [1]

    def test_nothing_to_run_takes_its_time(self):
        assert nngsock.run_event_loop(5) is False
        assert nngsock.run_event_loop(-1) is False

    def test_all_who_wait_are_told(self, sockets, patience):
        a, b = sockets
        told = queue.SimpleQueue()
        waiting = [
            threading.Thread(target=lambda: told.put(nngsock.run_event_loop(patience))) for _ in range(3)
        ]
        for thread in waiting:
            thread.start()
        while any(thread.is_alive() for thread in waiting):
            b.send(1, block=patience)
            nngsock.recv_aio(a).call().add_done_callback(lambda _: None)
        assert [told.get() for _ in waiting] == [True] * 3

    @pytest.mark.parametrize("timeout", ["1", None, True, float("nan")])
    def test_the_timeout_must_be_a_number(self, timeout):
        with pytest.raises(TypeError, match="`timeout` must be a number of milliseconds"):
            nngsock.run_event_loop(timeout)
