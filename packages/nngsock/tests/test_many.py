import threading

import pytest

import nngsock
from nngsock import UNRESOLVED


class TestMany:
    def test_call_returns_what_it_got(self, sockets):
        aios = [nngsock.recv_aio(sockets[0], timeout=t) for t in (1, 5)]
        assert nngsock.call_aio(aios) is aios
        assert not nngsock.unresolved(aios)
        assert nngsock.call_aio("anything") == "anything"

    def test_collect_keeps_the_shape(self, sockets):
        a, b = sockets
        for i in range(4):
            nngsock.send(a, i, block=True)
            if i < 1:
                assert nngsock.collect_aio(nngsock.recv_aio(b)) == 0
            elif i < 2:
                assert nngsock.collect_aio([nngsock.recv_aio(b)]) == [1]
            elif i < 3:
                assert nngsock.collect_aio({"k": nngsock.recv_aio(b)}) == {"k": 2}

    @pytest.mark.parametrize("x", [3, [3], {"a": None}])
    def test_collect_refuses_what_is_no_aio(self, x):
        with pytest.raises(TypeError, match="object is not an Aio or list of Aios"):
            nngsock.collect_aio(x)

    def test_stop_takes_a_list_and_ignores_the_rest(self, sockets):
        aios = [nngsock.recv_aio(sockets[0]) for _ in range(5)]
        nngsock.stop_aio([*aios, "else", None])
        assert [aio.data for aio in aios] == [20] * 5
        nngsock.stop_aio("anything")

    def test_stop_request_stops(self, sockets):
        aio = nngsock.recv_aio(sockets[0])
        assert nngsock.stop_request(aio) is False
        assert nngsock.stop_request([aio, aio]) == [False, False]
        assert aio.data == 20

    def test_unresolved_looks_at_all(self, sockets):
        waiting = nngsock.recv_aio(sockets[0])
        done = nngsock.recv_aio(sockets[1], timeout=1).call()
        assert nngsock.unresolved([done, waiting])
        assert nngsock.unresolved({"a": waiting})
        assert nngsock.unresolved(UNRESOLVED)
        assert not nngsock.unresolved(done)
        assert not nngsock.unresolved("foreign")
        assert nngsock.count_unresolved([done, waiting, waiting]) == 2

    def test_is_aio(self, sockets):
        assert nngsock.is_aio(nngsock.recv_aio(sockets[0]))
        assert not nngsock.is_aio(sockets[0])

    def test_pipe_id_refuses_what_is_no_receive(self, sockets):
        with pytest.raises(TypeError, match="not a valid RecvAio"):
            nngsock.pipe_id(nngsock.send_aio(sockets[0], 1))


class TestRace:
    def test_it_waits_for_the_first_and_leaves_the_signals(self, sockets):
        c = nngsock.cv()
        aios = [nngsock.recv_aio(s, timeout=t, cv=c) for s, t in zip(sockets, (20_000, 30), strict=True)]
        assert nngsock.race_aio(aios, c) == 1
        assert c.until(5000)
        assert c.value() == 0

    def test_it_prefers_the_first_in_the_list(self, sockets):
        aios = [nngsock.recv_aio(s, timeout=1).call() for s in sockets]
        assert nngsock.race_aio(aios) == 0
        assert nngsock.race_aio(["no aio", aios[1]]) == 1

    @pytest.mark.parametrize("x", [[], "text", [1, 2], None])
    def test_nothing_to_wait_for_gives_none(self, x):
        assert nngsock.race_aio(x) is None

    def test_a_flag_ends_it(self, sockets):
        c = nngsock.cv()
        timer = threading.Timer(0.05, c.flag)
        timer.start()
        assert nngsock.race_aio([nngsock.recv_aio(sockets[0])], c) is None
        timer.join()

    def test_as_completed_gives_each_once_in_order_of_completion(self, sockets):
        a, b = sockets
        slow, fast = nngsock.recv_aio(a, timeout=100), nngsock.recv_aio(b, timeout=1)
        assert list(nngsock.as_completed([slow, fast, fast])) == [fast, fast, slow]

    def test_as_completed_times_out(self, sockets):
        never = nngsock.recv_aio(sockets[0])
        done = nngsock.recv_aio(sockets[1], timeout=1).call()
        found = nngsock.as_completed([never, done], timeout=0.05)
        assert next(found) is done
        with pytest.raises(TimeoutError, match="1 of 2"):
            next(found)

    def test_as_completed_refuses_what_is_no_aio(self):
        with pytest.raises(TypeError, match="not an Aio"):
            list(nngsock.as_completed([1]))
