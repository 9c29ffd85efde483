import concurrent.futures
import threading

import pytest

from mirai_py import mirai


def test_a_future_ends_as_its_mirai_does(two, resolved):
    assert mirai(abs, -4, _compute=two).future().result(10) == 4
    assert isinstance(mirai("1/0", _compute=two).future().exception(10), ZeroDivisionError)
    assert resolved(5).future().result(10) == 5


def test_cancelling_a_future_stops_its_task(one, gate, resolved):
    m = mirai(gate.task, gate.argument, _compute=one)
    gate.wait()
    future = m.future()
    assert future.cancel()
    assert m.data == 20
    assert future.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(10)
    assert not resolved(1).future().cancel()


def test_a_stopped_mirai_cancels_its_future(one, gate):
    m = mirai(gate.task, gate.argument, _compute=one)
    future = m.future()
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    m.cancel()
    assert done.wait(10)
    assert future.cancelled()
