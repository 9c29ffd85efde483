import os
import queue
import signal

import pytest

import nngsock


@pytest.fixture
def watched(make_socket, make_url):
    """A listening poly socket, its address and the queue of its pipe events."""

    def make(transport="ipc"):
        sock = make_socket("poly")
        events = queue.SimpleQueue()
        nngsock.on_pipe(sock, lambda event, pipe: events.put((event, pipe)))
        nngsock.listen(sock, make_url(transport))
        return sock, sock.listener[0].url, events

    return make


class TestOnPipe:
    @pytest.mark.parametrize("transport", ["inproc", "ipc", "abstract", "tcp"])
    def test_a_connection_comes_and_goes(self, watched, make_socket, transport):
        sock, url, events = watched(transport)
        peer = make_socket("pair1", dial=url)
        found = [events.get(timeout=5) for _ in range(2)]
        pipe = found[0][1]
        assert pipe > 0
        assert found == [("add_pre", pipe), ("add", pipe)]
        nngsock.send(peer, 1, block=5000)
        assert nngsock.recv_aio(sock, timeout=5000).call().pipe == pipe
        nngsock.close(peer)
        assert events.get(timeout=5) == ("remove", pipe)

    def test_false_from_add_pre_refuses(self, make_socket, make_url):
        sock, refused = make_socket("poly"), nngsock.cv()
        allowed = []

        def gate(event, _pipe):
            if event == "add_pre":
                refused.signal()
                return bool(allowed)
            return None

        nngsock.on_pipe(sock, gate)
        nngsock.listen(sock, make_url("ipc"))
        peer = make_socket("pair1")
        nngsock.set_opt(peer, "reconnect-time-min", 10)
        nngsock.dial(peer, sock.listener[0].url)
        assert refused.until(5000)
        nngsock.send(peer, "refused", block=50)  # may look sent: the peer learns of it a moment later
        assert nngsock.recv(sock, block=50) == 5
        assert nngsock.stat(sock, "reject") >= 1
        allowed.append(True)
        deadline = nngsock.mclock() + 5000
        while nngsock.recv(sock, block=20) != "allowed":
            nngsock.send(peer, "allowed", block=20)
            assert nngsock.mclock() < deadline

    def test_all_who_watch_are_told(self, watched, make_socket):
        sock, url, events = watched()
        other = nngsock.cv()
        monitor = nngsock.monitor(sock, other)
        notified = nngsock.cv()
        nngsock.pipe_notify(sock, notified, add=True)
        make_socket("pair1", dial=url)
        assert events.get(timeout=5)[0] == "add_pre"
        assert other.until(5000)
        assert notified.until(5000)
        assert len(nngsock.read_monitor(monitor)) == 1

    def test_the_returned_function_ends_it(self, watched, make_socket):
        sock, url, events = watched()
        told = []
        end = nngsock.on_pipe(sock, lambda *args: told.append(args))
        end()
        end()
        make_socket("pair1", dial=url)
        events.get(timeout=5)
        events.get(timeout=5)
        assert told == []

    def test_what_a_function_raises_does_not_refuse(self, watched, make_socket):
        sock, url, _ = watched()
        nngsock.on_pipe(sock, lambda *_: 1 / 0)
        peer = make_socket("pair1", dial=url)
        assert nngsock.send(peer, 1, block=5000) == 0
        assert nngsock.recv(sock, block=5000) == 1

    def test_it_needs_an_open_socket_and_a_function(self, make_socket):
        with pytest.raises(TypeError, match="`fn` must be a function"):
            nngsock.on_pipe(make_socket("pair"), 1)
        with pytest.raises(TypeError, match="`socket` is not a valid Socket"):
            nngsock.on_pipe("socket", print)
        closed = make_socket("pair")
        nngsock.close(closed)
        with pytest.raises(nngsock.NngError, match="7"):
            nngsock.on_pipe(closed, print)


class TestClosePipe:
    def test_it_cuts_the_connection_and_the_dialer_comes_back(self, watched, make_socket):
        sock, url, events = watched()
        peer = make_socket("pair1")
        nngsock.set_opt(peer, "reconnect-time-min", 10)
        nngsock.dial(peer, url)
        pipe = [events.get(timeout=5) for _ in range(2)][1][1]
        assert sock.close_pipe(pipe) == 0
        assert events.get(timeout=5) == ("remove", pipe)
        again = [events.get(timeout=5) for _ in range(2)][1]
        assert again[0] == "add"
        assert again[1] != pipe

    def test_a_pipe_that_is_gone_or_anothers_gives_7(self, watched, make_socket):
        sock, url, events = watched()
        make_socket("pair1", dial=url)
        pipe = events.get(timeout=5)[1]
        assert nngsock.close_pipe(make_socket("poly"), pipe) == 7
        assert nngsock.close_pipe(sock, 12345) == 7


class TestPipeInfo:
    @pytest.mark.parametrize("transport", ["ipc", "abstract"])
    def test_a_peer_on_this_host_is_known_by_its_process(self, watched, run_script, transport):
        _sock, url, events = watched(transport)
        infos = queue.SimpleQueue()
        nngsock.on_pipe(
            _sock, lambda e, p: infos.put(nngsock.pipe_info(_sock, p)) if e == "add_pre" else None
        )
        done = run_script("""
            import os, sys, nngsock
            s = nngsock.socket("pair1", dial=sys.argv[1], autostart=None)
            print(os.getpid())
            s.send(1, block=5000)
        """, url)  # fmt: skip
        info = infos.get(timeout=5)
        assert (info.pid, info.uid, info.gid) == (int(done.stdout), os.getuid(), os.getgid())
        assert info.pipe == events.get(timeout=5)[1]
        assert info.tls_verified is None

    def test_a_peer_on_the_network_is_known_by_its_address(self, watched, make_socket):
        sock, url, events = watched("tcp")
        make_socket("pair1", dial=url)
        info = nngsock.pipe_info(sock, [events.get(timeout=5) for _ in range(2)][1][1])
        assert info.address.startswith("127.0.0.1:")
        assert info.pid is None

    def test_a_pipe_that_is_gone_raises(self, make_socket):
        with pytest.raises(nngsock.NngError, match="has no pipe 12345"):
            nngsock.pipe_info(make_socket("poly"), 12345)


class TestPipeNotify:
    def test_it_signals_for_the_chosen_events_alone(self, make_socket, make_url):
        sock, added, removed = make_socket("pair"), nngsock.cv(), nngsock.cv()
        assert nngsock.pipe_notify(sock, added, add=True) == 0
        nngsock.pipe_notify(sock, removed, remove=True, flag=True)
        nngsock.listen(sock, make_url())
        peer = make_socket("pair", dial=sock.listener[0].url)
        assert nngsock.wait(added)
        assert removed.value() == 0
        nngsock.close(peer)
        assert nngsock.wait(removed) is False
        assert added.value() == 0

    def test_none_ends_it(self, make_socket, make_url):
        sock, c, monitored = make_socket("pair"), nngsock.cv(), nngsock.cv()
        nngsock.pipe_notify(sock, c, add=True)
        nngsock.pipe_notify(sock, None, add=True)
        monitor = nngsock.monitor(sock, monitored)
        nngsock.listen(sock, make_url())
        make_socket("pair", dial=sock.listener[0].url)
        assert monitored.until(5000)
        assert c.value() == 0
        assert monitor.read()

    def test_it_needs_a_condition_variable(self, make_socket):
        with pytest.raises(TypeError, match="not a valid Condition Variable"):
            nngsock.pipe_notify(make_socket("pair"), "cv", add=True)

    def test_a_signal_ends_a_process_whose_peer_is_gone(self, run_script, make_url):
        done = run_script("""
            import signal, sys, nngsock
            host = nngsock.socket("pair", listen=sys.argv[1])
            s, c, added = nngsock.socket("pair"), nngsock.cv(), nngsock.cv()
            nngsock.pipe_notify(s, c, remove=True, flag=signal.SIGTERM)
            nngsock.pipe_notify(s, added, add=True)
            nngsock.dial(s, sys.argv[1])
            added.wait()
            nngsock.close(host)
            print(c.wait(), flush=True)
            nngsock.cv().wait()
        """, make_url("ipc"))  # fmt: skip
        assert (done.stdout.strip(), done.returncode) == ("False", -signal.SIGTERM)

    def test_a_process_that_ends_by_itself_before_is_not_signalled(self, run_script, make_url):
        done = run_script("""
            import signal, sys, nngsock
            host = nngsock.socket("pair", listen=sys.argv[1])
            s, c, added = nngsock.socket("pair"), nngsock.cv(), nngsock.cv()
            nngsock.pipe_notify(s, c, remove=True, flag=signal.SIGTERM)
            nngsock.pipe_notify(s, added, add=True)
            nngsock.dial(s, sys.argv[1])
            added.wait()
            nngsock.close(host)
            c.wait()
        """, make_url("ipc"))  # fmt: skip
        assert (done.stderr, done.returncode) == ("", 0)


class TestMonitor:
    def test_it_records_what_came_and_went(self, make_socket, make_url):
        sock, c = make_socket("poly"), nngsock.cv()
        monitor = nngsock.monitor(sock, c)
        assert nngsock.read_monitor(monitor) is None
        nngsock.listen(sock, make_url())
        peer = make_socket("pair1", dial=sock.listener[0].url)
        assert c.until(5000)
        (pipe,) = nngsock.read_monitor(monitor)
        assert pipe > 0
        nngsock.close(peer)
        assert c.until(5000)
        assert nngsock.read_monitor(monitor) == [-pipe]
        assert nngsock.read_monitor(monitor) is None

    def test_it_can_be_closed(self, make_socket, make_url):
        sock, c, other = make_socket("poly"), nngsock.cv(), nngsock.cv()
        monitor = nngsock.monitor(sock, c)
        assert nngsock.close(monitor) == 0
        nngsock.pipe_notify(sock, other, add=True)
        nngsock.listen(sock, make_url())
        make_socket("pair1", dial=sock.listener[0].url)
        assert other.until(5000)
        assert monitor.read() is None
        assert repr(monitor) == f"< nanoMonitor >\n - socket: {sock.id}"

    def test_arguments_of_the_wrong_kind_are_named(self, make_socket):
        with pytest.raises(TypeError, match="not a valid Condition Variable"):
            nngsock.monitor(make_socket("pair"), None)
        with pytest.raises(TypeError, match="not a valid Monitor"):
            nngsock.read_monitor("monitor")


def test_poly_sends_to_the_pipe_that_is_named(make_socket, make_url):
    host = make_socket("poly", listen=make_url())
    peers = [make_socket("pair1", dial=host.listener[0].url) for _ in range(3)]
    pipes = []
    for i, peer in enumerate(peers):
        nngsock.send(peer, i, block=5000)
        pipes.append(nngsock.recv_aio(host, timeout=5000).call().pipe)
    assert len(set(pipes)) == 3
    for i in (2, 0, 1):
        assert nngsock.send(host, f"to {i}", block=5000, pipe=pipes[i]) == 0
        assert nngsock.recv(peers[i], block=5000) == f"to {i}"
        assert nngsock.send_aio(host, [b"aio"], "parts", pipe=pipes[i]).collect() == 0
        assert nngsock.recv(peers[i], "raw", block=5000) == b"aio"


def test_poly_drops_what_is_for_a_pipe_that_is_gone(connect):
    host, peer = connect("poly", "pair1")
    assert nngsock.send(host, "nobody", block=5000, pipe=12345) == 0
    assert nngsock.send(host, "peer", block=5000) == 0
    assert nngsock.recv(peer, block=5000) == "peer"
