import logging
import os
import queue
import select
import signal
import subprocess
import sys
import threading

import pytest

import nngsock

needs_epoll = pytest.mark.skipif(not hasattr(select, "epoll"), reason="taking over needs epoll")


@pytest.fixture
def pair(connect):
    return connect("poly", "pair1")


def send(socket, data):
    assert nngsock.send(socket, data, mode="raw", block=True) == 0


@pytest.fixture(params=["epoll", "plain"])
def anywhere(request, monkeypatch):
    """On this platform, and on one without epoll."""
    if request.param == "plain":
        monkeypatch.delattr(select, "epoll", raising=False)


@pytest.mark.usefixtures("anywhere")
def test_messages_come_in_order_with_their_pipe(pair):
    host, peer = pair
    came = queue.SimpleQueue()
    nngsock.inbox(host, lambda view, pipe: came.put((bytes(view), pipe)))
    for i in range(100):
        send(peer, b"%d" % i)
    found = [came.get(timeout=10) for _ in range(100)]
    assert [text for text, _ in found] == [b"%d" % i for i in range(100)]
    assert len({pipe for _, pipe in found}) == 1
    assert found[0][1] > 0


@pytest.mark.usefixtures("anywhere")
def test_after_comes_behind_all_that_was_received(pair):
    host, peer = pair
    nngsock.set_opt(host, "recv-buffer", 64)
    came = queue.SimpleQueue()
    inbox = nngsock.inbox(host, lambda view, _pipe: came.put(bytes(view)))
    nngsock.on_pipe(
        host, lambda event, _pipe: inbox.after(lambda: came.put("gone")) if event == "remove" else None
    )
    for i in range(20):
        send(peer, b"%d" % i)
    nngsock.close(peer, linger=5000)
    found = list(iter(lambda: came.get(timeout=10), "gone"))
    assert found == [b"%d" % i for i in range(len(found))]


@pytest.mark.usefixtures("anywhere")
def test_an_exception_is_logged_and_the_next_message_handled(pair, caplog):
    host, peer = pair
    came = threading.Event()

    def handle(view, _pipe):
        if bytes(view) == b"bad":
            raise ValueError("on purpose")
        came.set()

    with caplog.at_level(logging.ERROR, logger="nngsock"):
        nngsock.inbox(host, handle)
        send(peer, b"bad")
        send(peer, b"good")
        assert came.wait(10)
        nngsock.callbacks.later(came.clear)  # logging happens on that thread, before this
        while came.is_set():
            pass
    assert "on purpose" in caplog.text


@needs_epoll
def test_who_has_taken_over_handles_on_its_own_thread_and_the_library_afterwards(pair):
    host, peer = pair
    came, handling = queue.SimpleQueue(), threading.Lock()
    inbox = nngsock.inbox(host, lambda _view, _pipe: came.put(threading.get_ident()), handling)
    for _ in range(50):
        with handling:  # the library's thread has looked for more, and found none
            pass
        assert inbox.take_over()
        send(peer, b"x")
        assert inbox.handle(10)
        assert came.get(timeout=10) == threading.get_ident()
        assert not inbox.handle(0)
        inbox.give_back()
        send(peer, b"x")
        assert came.get(timeout=10) != threading.get_ident()


@needs_epoll
def test_one_thread_at_a_time_may_take_over(pair):
    host, _ = pair
    inbox = nngsock.inbox(host, print)
    answers = queue.SimpleQueue()
    assert inbox.take_over()
    thread = threading.Thread(target=lambda: answers.put(inbox.take_over()))
    thread.start()
    assert answers.get(timeout=10) is False
    thread.join()
    inbox.give_back()
    assert inbox.take_over()
    inbox.give_back()


@needs_epoll
def test_a_knock_ends_the_wait_whoever_handled_what_it_is_about(pair):
    """The library's thread, still at it when another takes over, must not swallow the knock."""
    host, peer = pair
    done = []

    def handle(_view, _pipe):
        done.append(1)
        inbox.knock()

    inbox = nngsock.inbox(host, handle)
    for i in range(1, 2001):
        send(peer, b"x")
        if inbox.take_over():
            while len(done) < i:
                assert inbox.handle(20)
            inbox.give_back()
    assert len(done) == 2000


@needs_epoll
def test_a_signal_handler_that_waits_itself_lets_the_library_handle(pair):
    host, peer = pair
    came = queue.SimpleQueue()
    inbox = nngsock.inbox(host, lambda view, _pipe: came.put(bytes(view)))
    found = []

    def on_signal(_number, _frame):
        assert not inbox.take_over()
        send(peer, b"for the handler")
        found.append(came.get(timeout=10))

    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        assert inbox.take_over()
        killer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        killer.start()
        while not found:
            inbox.handle(10)
        inbox.give_back()
        killer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert found == [b"for the handler"]


@needs_epoll
@pytest.mark.parametrize("leading", [False, True])
def test_other_descriptors_are_handled_in_turn(pair, leading):
    host, _ = pair
    reader, writer = os.pipe()
    came = queue.SimpleQueue()
    inbox = nngsock.inbox(host, print)
    assert inbox.watch(reader, print)
    assert inbox.watch(reader, lambda: came.put((os.read(reader, 1), threading.get_ident())))
    if leading:
        assert inbox.take_over()
    for _ in range(20):
        os.write(writer, b"y")
        if leading:
            assert inbox.handle(10)
        byte, thread = came.get(timeout=10)
        assert byte == b"y"
        assert (thread == threading.get_ident()) is leading
    inbox.unwatch(reader)
    inbox.unwatch(reader)
    os.write(writer, b"z")
    if leading:
        assert not inbox.handle(0)
        inbox.give_back()
    assert os.read(reader, 1) == b"z"
    os.close(reader)
    os.close(writer)


@needs_epoll
def test_the_end_of_the_socket_is_the_end(pair):
    host, _ = pair
    inbox = nngsock.inbox(host, print)
    threads = {t for t in threading.enumerate() if t.name == "nngsock-inbox"}
    assert inbox.take_over()
    closer = threading.Timer(0.05, nngsock.close, (host,))
    closer.start()
    while inbox.handle():
        pass
    inbox.give_back()
    closer.join()
    assert not inbox.take_over()
    assert not inbox.watch(0, print)
    inbox.unwatch(0)
    inbox.knock()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@needs_epoll
def test_a_closed_socket_has_no_inbox(pair):
    host, _ = pair
    nngsock.close(host)
    with pytest.raises(nngsock.NngError, match="7"):
        nngsock.inbox(host, print)


def test_what_is_no_function_is_refused(pair):
    with pytest.raises(TypeError, match="`fn` must be a function of message and pipe"):
        nngsock.inbox(pair[0], 5)


def test_where_there_is_no_epoll_nobody_can_take_over(pair, monkeypatch):
    monkeypatch.delattr(select, "epoll", raising=False)
    host, _ = pair
    inbox = nngsock.inbox(host, print)
    assert not inbox.take_over()
    assert not inbox.watch(0, print)
    inbox.unwatch(0)
    inbox.knock()
    for call in (inbox.give_back, inbox.handle):
        with pytest.raises(nngsock.NngsockError, match="nothing has been taken over"):
            call()


def test_ctrl_c_reaches_who_has_taken_over():
    source = """
import nngsock
with nngsock.socket("pull", listen="inproc://x") as s:
    inbox = nngsock.inbox(s, print)
    try:
        print(inbox.take_over(), flush=True)
        inbox.handle()
    except KeyboardInterrupt:
        inbox.give_back()
        print("interrupted")
"""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as process:
        if process.stdout.readline() == "True\n":
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=30)[0] == "interrupted\n"
            assert process.returncode == 0
        process.kill()
