import threading

import pytest

import nngsock
from nngsock.gate import Gate


@pytest.mark.parametrize("protocol", ["pair1", "poly", "pull", "rep"])
def test_closing_while_others_submit_forgets_no_operation(protocol):
    for _ in range(100):
        s = nngsock.socket(protocol)
        con = nngsock.context(s) if protocol == "rep" else s
        aios, started = [], threading.Event()

        def submit(con=con, aios=aios, started=started):
            while not aios or aios[-1].data != 7:
                aios.append(nngsock.recv_aio(con))
                started.set()

        thread = threading.Thread(target=submit)
        thread.start()
        assert started.wait(5)
        nngsock.close(s)
        thread.join(5)
        others = {11} if protocol == "rep" else set()  # a second receive on one context
        assert {int(aio.collect()) for aio in aios} <= {7} | others


def test_a_closed_gate_lets_nothing_pass():
    gate = Gate()
    calls = []
    assert gate.call(lambda: calls.append("open") or 0) == 0
    gate.close()
    assert gate.call(lambda: calls.append("closed") or 0) == 7
    assert calls == ["open"]


def test_contexts_close_with_their_socket_and_not_the_other_way_round():
    gate = Gate()
    one, other = Gate(gate), Gate(gate)
    one.close()
    assert [g.closed for g in (gate, one, other)] == [False, True, False]
    gate.close()
    assert other.closed
    assert Gate(gate).closed
    assert other.belongs_to(gate)
    assert not gate.belongs_to(other)
