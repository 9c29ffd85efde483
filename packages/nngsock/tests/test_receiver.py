import logging
import queue
import subprocess
import sys
import threading

import pytest

import nngsock


@pytest.fixture
def pair(connect):
    return connect("poly", "pair1")


def send(socket, data):
    assert nngsock.send(socket, data, mode="raw", block=True) == 0


def test_messages_come_in_order_with_their_pipe(pair):
    host, peer = pair
    came = queue.SimpleQueue()
    nngsock.on_message(host, lambda view, pipe: came.put((bytes(view), pipe)))
    for i in range(100):
        send(peer, b"%d" % i)
    found = [came.get(timeout=10) for _ in range(100)]
    assert [text for text, _ in found] == [b"%d" % i for i in range(100)]
    assert len({pipe for _, pipe in found}) == 1
    assert found[0][1] > 0


def test_the_function_runs_once_at_a_time_and_misses_nothing(pair):
    host, peer = pair
    go, busy, came = threading.Event(), threading.Event(), queue.SimpleQueue()
    running = []

    def handle(view, _pipe):
        running.append(1)
        busy.set()
        go.wait(10)
        came.put((bytes(view), len(running)))
        running.pop()

    nngsock.on_message(host, handle)
    for i in range(10):
        send(peer, b"%d" % i)
    assert busy.wait(10)
    go.set()
    assert [came.get(timeout=10) for _ in range(10)] == [(b"%d" % i, 1) for i in range(10)]


def test_large_messages_stay_readable(pair):
    host, peer = pair
    came = queue.SimpleQueue()
    nngsock.on_message(host, lambda view, _pipe: came.put(view))
    send(peer, b"x" * 1_000_000)
    view = came.get(timeout=10)
    assert view.readonly
    assert bytes(view) == b"x" * 1_000_000


def test_after_comes_behind_all_that_was_received(pair):
    host, peer = pair
    nngsock.set_opt(host, "recv-buffer", 64)
    came = queue.SimpleQueue()
    receiver = nngsock.on_message(host, lambda view, _pipe: came.put(bytes(view)))
    ended = threading.Event()

    def on_pipe(event, _pipe):
        if event == "remove":
            receiver.after(lambda: came.put("gone"))
            ended.set()

    nngsock.on_pipe(host, on_pipe)
    for i in range(20):
        send(peer, b"%d" % i)
    nngsock.close(peer)
    assert ended.wait(10)
    found = list(iter(lambda: came.get(timeout=10), "gone"))
    assert found == [b"%d" % i for i in range(len(found))]
    assert came.empty()


def test_after_is_called_for_each_of_many(pair):
    host, peer = pair
    came = queue.SimpleQueue()
    receiver = nngsock.on_message(host, lambda view, _pipe: came.put(bytes(view)))
    for i in range(200):
        receiver.after(lambda i=i: came.put(i))
        send(peer, b"x")
    found = [came.get(timeout=10) for _ in range(400)]
    assert [x for x in found if x != b"x"] == list(range(200))
    assert found.count(b"x") == 200


def test_what_the_function_raises_is_logged_and_the_next_message_comes(pair):
    host, peer = pair
    logged, came = queue.SimpleQueue(), queue.SimpleQueue()

    class Handler(logging.Handler):
        def emit(self, record):
            logged.put(str(record.exc_info[1]))

    handler = Handler()
    logging.getLogger("nngsock").addHandler(handler)

    def handle(view, _pipe):
        came.put(bytes(view))
        raise RuntimeError("on purpose")

    nngsock.on_message(host, handle)
    try:
        send(peer, b"1")
        send(peer, b"2")
        assert [came.get(timeout=10), came.get(timeout=10)] == [b"1", b"2"]
        assert logged.get(timeout=10) == "on purpose"
    finally:
        logging.getLogger("nngsock").removeHandler(handler)


def test_it_ends_with_its_socket():
    import weakref

    socket = nngsock.socket("pull", listen="inproc://receiver-end")
    gone = threading.Event()
    receiver = nngsock.on_message(socket, lambda _view, _pipe: None)
    weakref.finalize(receiver, gone.set)
    del receiver
    assert not gone.is_set()
    nngsock.close(socket)
    assert gone.wait(10)


def test_an_interpreter_with_an_open_receiver_exits_at_once():
    code = (
        "import nngsock\n"
        "s = nngsock.socket('pull', listen='inproc://receiver-exit')\n"
        "r = nngsock.on_message(s, print)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_function_must_be_callable(pair):
    with pytest.raises(TypeError, match="`fn` must be a function"):
        nngsock.on_message(pair[0], "no function")
    with pytest.raises(TypeError, match="not a valid Socket"):
        nngsock.on_message("no socket", print)
