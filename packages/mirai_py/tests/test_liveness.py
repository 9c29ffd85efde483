import os
import signal
import socket
import sys
import threading

import pytest

import mirai_py
from mirai_py import liveness
from mirai_py.descriptors import port_of
from mirai_py.liveness import keep_alive

linux = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are looked up on Linux only")


def settings(connection):
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    return [
        bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)),
        *(connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names),
    ]


def connections(port):
    """Settings of the connections of this process from or to a port; also runs in a task."""
    import contextlib
    import os
    import socket

    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError, IndexError):
            copy = os.dup(int(name))
            try:
                it = socket.socket(fileno=copy)
            except OSError:
                os.close(copy)
                continue
            with it:
                if port in (it.getsockname()[1], it.getpeername()[1]):
                    tcp = socket.IPPROTO_TCP
                    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                    on = bool(it.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
                    found.append([on, *(it.getsockopt(tcp, option) for option in options)])
    return found


connections.__module__ = "__main__"


@linux
def test_keepalive_is_set_for_the_connections_of_a_port_and_no_others():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        first = socket.create_connection(one.getsockname())
        second = socket.create_connection(two.getsockname())
        accepted, other = one.accept()[0], two.accept()[0]
        with first, second, accepted, other:
            assert keep_alive(one.getsockname()[1]) == 2
            assert settings(first) == settings(accepted) == [True, 20, 10, 4]
            assert settings(second)[0] is settings(other)[0] is False


@linux
def test_both_ends_of_a_daemons_connection_are_looked_after(fresh, monkeypatch):
    looked_up = threading.Event()

    def look_up(port):
        found = keep_alive(port)
        looked_up.set()
        return found

    monkeypatch.setattr(liveness, "keep_alive", look_up)
    mirai_py.daemons(url="tcp://127.0.0.1:0", compute=fresh)
    mirai_py.launch_local(1, compute=fresh)
    port = port_of(mirai_py.nextget("url", fresh))
    there = mirai_py.mirai(connections, port, _compute=fresh).collect()
    assert there == [[True, 20, 10, 4]]
    assert looked_up.wait(30)
    assert [True, 20, 10, 4] in connections(port)


def test_a_silent_idle_daemon_of_a_network_is_cut_off_and_others_stay(fresh, monkeypatch, caplog):
    monkeypatch.setattr(liveness, "PULSE_SECONDS", 1.0)
    mirai_py.daemons(url="tcp://127.0.0.1:0", compute=fresh)
    mirai_py.launch_local(2, compute=fresh)
    pids = mirai_py.everywhere("import os; os.getpid()", _min=2, _compute=fresh).collect()
    profile = mirai_py.profiles.find_profile(fresh)
    gone = threading.Event()
    profile.observers.append(lambda: profile.engine.info().connections < 2 and gone.set())
    os.kill(pids[0], signal.SIGSTOP)
    try:
        assert gone.wait(30)
    finally:
        os.kill(pids[0], signal.SIGCONT)
    assert f"cut off the idle daemon {pids[0]}" in caplog.text
    assert mirai_py.mirai("import os; os.getpid()", _compute=fresh).collect() == pids[1]


def test_a_busy_daemon_may_be_deaf(fresh, monkeypatch, gate):
    monkeypatch.setattr(liveness, "PULSE_SECONDS", 0.05)
    beats = []
    beat = mirai_py.dispatcher.Dispatcher.beat
    enough = threading.Event()

    def counted(self):
        beats.append(1)
        if len(beats) == 10:
            enough.set()
        return beat(self)

    monkeypatch.setattr(mirai_py.dispatcher.Dispatcher, "beat", counted)
    mirai_py.daemons(url="tcp://127.0.0.1:0", compute=fresh)
    mirai_py.launch_local(1, compute=fresh)
    m = mirai_py.mirai(gate.task, gate.argument, 5, _compute=fresh)
    (pid,) = gate.wait()
    os.kill(pid, signal.SIGSTOP)
    beats.clear()
    assert enough.wait(30)
    os.kill(pid, signal.SIGCONT)
    gate.open()
    assert m.collect() == 5
    assert mirai_py.info(fresh)["connections"] == 1


def test_local_daemons_need_no_sign(fresh):
    mirai_py.daemons(1, compute=fresh)
    assert mirai_py.profiles.find_profile(fresh).host._pulse is None
