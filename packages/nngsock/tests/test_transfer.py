import threading
import time

import pytest

import nngsock


class TestUnconnected:
    @pytest.fixture
    def lonely(self, make_socket):
        return make_socket("pair")

    def test_sending_without_waiting_gives_8(self, lonely):
        assert nngsock.send(lonely, 1) == 8
        assert nngsock.send(lonely, 1, block=False) == 8

    def test_sending_with_a_time_limit_gives_5_after_it(self, lonely):
        start = time.monotonic()
        assert nngsock.send(lonely, 1, block=50) == 5
        assert time.monotonic() - start >= 0.05

    def test_receiving_gives_8_or_5(self, lonely):
        assert nngsock.recv(lonely) == 8
        assert nngsock.recv(lonely, block=20) == 5

    def test_the_timeouts_of_the_socket_apply(self, lonely):
        nngsock.set_opt(nngsock.set_opt(lonely, "recv-timeout", 20), "send-timeout", 20)
        assert nngsock.recv(lonely, block=True) == 5
        assert nngsock.send(lonely, 1, block=True) == 5
        assert nngsock.recv_aio(lonely).collect() == 5


@pytest.mark.parametrize(
    ("protocol", "sends", "receives"),
    [
        ("push", 8, 9),
        ("pull", 9, 8),
        ("pub", 0, 9),
        ("sub", 9, 8),
        ("req", 8, 11),
        ("rep", 11, 8),
        ("respondent", 8, 8),
        ("bus", 0, 8),
    ],
)
def test_what_a_protocol_cannot_do_is_an_error_value(make_socket, protocol, sends, receives):
    assert nngsock.recv(make_socket(protocol)) == receives
    assert nngsock.send(make_socket(protocol), 1) == sends


def test_a_respondent_without_a_survey_is_in_the_wrong_state(make_socket):
    assert nngsock.send(make_socket("respondent"), 1, block=50) == 11


def test_a_closed_socket_gives_7(make_socket):
    s = make_socket("pair")
    nngsock.close(s)
    assert nngsock.send(s, 1) == 7
    assert nngsock.recv(s) == 7
    assert nngsock.send(s, 1, block=True) == 7
    assert nngsock.recv(s, block=True) == 7


def test_closing_wakes_who_receives(make_socket):
    s = make_socket("pair")
    got = []
    thread = threading.Thread(target=lambda: got.append(nngsock.recv(s, block=True)))
    thread.start()
    nngsock.close(s)
    thread.join(5)
    assert got == [7]


@pytest.mark.parametrize("block", ["1", [], 1j])
def test_block_takes_bools_and_numbers_only(make_socket, block):
    with pytest.raises(TypeError, match="`block` must be a number of milliseconds"):
        nngsock.recv(make_socket("pair"), block=block)


def test_a_bool_is_no_timeout(make_socket):
    with pytest.raises(TypeError, match="`timeout` must be a number of milliseconds"):
        nngsock.recv_aio(make_socket("pair"), timeout=True)


@pytest.mark.parametrize("call", [
    lambda x: nngsock.send(x, 1), nngsock.recv, nngsock.recv_aio, lambda x: nngsock.send_aio(x, 1),
])  # fmt: skip
def test_what_is_no_connection_is_refused(call):
    with pytest.raises(TypeError, match="not a valid Socket or Context"):
        call("socket")


def test_a_cv_must_be_one(make_socket):
    with pytest.raises(TypeError, match="not a valid Condition Variable"):
        nngsock.recv_aio(make_socket("pair"), cv=True)


def test_a_cv_gets_one_signal_for_each_outcome(connect):
    a, b = connect()
    c = nngsock.cv()
    nngsock.send(a, 1, block=True)
    nngsock.recv_aio(b, cv=c).call()
    assert c.until(5000)
    nngsock.recv_aio(b, timeout=1, cv=c).call()
    assert c.until(5000)
    assert c.value() == 0


def test_a_failing_serialisation_sends_nothing_and_leaves_the_socket_usable(connect):
    a, b = connect()
    for send in (nngsock.send, nngsock.send_aio):
        with pytest.raises((TypeError, AttributeError)):
            send(a, lambda: None)
        with pytest.raises(TypeError):
            send(a, {"a": 1}, mode="raw")
    nngsock.send(a, "next", block=True)
    assert nngsock.recv(b, block=5000) == "next"
    assert nngsock.recv(b) == 8


def test_the_methods_are_the_functions(connect):
    a, b = connect()
    assert a.send("m", block=True) == 0
    assert b.recv(block=5000) == "m"
    assert a.send_aio("n").collect() == 0
    assert b.recv_aio().collect() == "n"


def test_buffers_of_large_messages_are_views_without_a_copy(connect):
    a, b = connect()
    data = bytes(1 << 20)
    nngsock.send_aio(a, [data, b"end"], mode="parts")
    view = nngsock.recv(b, "buffer", block=5000)
    assert isinstance(view, memoryview)
    assert view.readonly
    assert len(view) == len(data) + 3
    assert bytes(view[-3:]) == b"end"
    nngsock.close(a)
    nngsock.close(b)
    assert bytes(view[-3:]) == b"end"


def test_a_socket_with_a_json_serializer_never_unpickles(connect):
    a, b = connect()
    nngsock.set_opt(b, "serializer", "json")
    nngsock.send(a, print, block=True)
    with pytest.warns(nngsock.NngWarning, match="could not be unserialized"):
        assert nngsock.recv(b, block=5000).startswith(b"\x80\x05")


INTERRUPTED = """
    import os, signal, sys, threading, time
    import nngsock

    s = nngsock.socket("pair1", listen=sys.argv[1])

    def interrupt():
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    def interrupted(wait):
        threading.Thread(target=interrupt).start()
        start = time.monotonic()
        try:
            wait()
        except KeyboardInterrupt:
            return time.monotonic() - start < 3
        return False

    aio = nngsock.recv_aio(s)
    waits = {
        "call": aio.call,
        "race": lambda: nngsock.race_aio([aio]),
        "cv": nngsock.cv().wait,
        "until": lambda: nngsock.cv().until(60_000),
        "dial": lambda: nngsock.dial(nngsock.socket("pair"), sys.argv[2], autostart=None),
    }
    print([name for name, wait in waits.items() if not interrupted(wait)])
    print(aio.done())
    aio.cancel()
    print(interrupted(lambda: nngsock.recv(s, block=True)))
    print(interrupted(lambda: nngsock.send(s, 1, block=True)))
    peer = nngsock.socket("pair1", dial=sys.argv[1])
    nngsock.send(peer, "after", block=True)
    print(nngsock.recv(s, block=5000))
"""


def test_ctrl_c_ends_every_wait_at_once_and_loses_nothing(run_script, make_url):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never says a word
        done = run_script(INTERRUPTED, make_url("ipc"), f"tcp://127.0.0.1:{silent.getsockname()[1]}")
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["[]", "False", "True", "True", "after"]
