import concurrent.futures
import threading

import pytest

import mirai_py
from mirai_py import UNRESOLVED, mirai
from mirai_py.handles import Mirai
from mirai_py.waiting import wait_any


def test_types_and_unresolved(resolved):
    m = Mirai()
    assert mirai_py.is_mirai(m)
    assert not mirai_py.is_mirai(1)
    assert mirai_py.unresolved(m)
    assert mirai_py.unresolved([resolved(1), m])
    assert mirai_py.unresolved({"a": m})
    assert mirai_py.unresolved(UNRESOLVED)
    assert not mirai_py.unresolved(resolved(1))
    assert not mirai_py.unresolved([])
    assert not mirai_py.unresolved("text")


def test_call_mirai_gives_the_same_object(two):
    m = mirai(abs, -1, _compute=two)
    assert mirai_py.call_mirai(m) is m
    listed = [m, mirai(abs, -2, _compute=two)]
    assert mirai_py.call_mirai(listed) is listed
    named = {"a": mirai(abs, -3, _compute=two)}
    assert mirai_py.call_mirai(named) is named
    assert named["a"].data == 3
    with pytest.raises(TypeError, match="`x` must be a mirai"):
        mirai_py.call_mirai(5)


def test_wait_any_gives_the_first_in_list_order():
    a, b = Mirai(), Mirai()
    assert wait_any([a, b], 0) is None
    b._resolve_value(1)
    assert wait_any([a, b]) == 1
    a._resolve_value(1)
    assert wait_any([a, b]) == 0
    assert wait_any([], 0) is None


def test_wait_any_wakes_once_when_two_come_at_the_same_instant():
    for _ in range(200):
        both = [Mirai(), Mirai()]
        threads = [threading.Thread(target=m._resolve_value, args=(1,)) for m in both]
        for thread in threads:
            thread.start()
        assert wait_any(both, 10) in (0, 1)
        for thread in threads:
            thread.join()


def test_as_completed_follows_the_order_of_arrival():
    a, b, c = Mirai(), Mirai(), Mirai()
    found = mirai_py.as_completed([a, b, c], timeout=10)
    for m in (c, a, b):
        m._resolve_value(1)
        assert next(found) is m
    assert list(found) == []


def test_as_completed_raises_after_its_timeout_and_leaves_nothing_behind(resolved):
    a, b = resolved(1), Mirai()
    found = mirai_py.as_completed([a, b], timeout=0.01)
    assert next(found) is a
    with pytest.raises(TimeoutError, match=r"not all mirais were resolved within 0\.01 s"):
        next(found)
    assert not b._wakes


def test_stop_mirai_tells_what_it_stopped(one, gate, resolved):
    running = mirai(gate.task, gate.argument, _compute=one)
    waiting = mirai(abs, 1, _compute=one)
    gate.wait()
    assert mirai_py.stop_mirai([waiting, None, running, resolved(1)]) == [True, False, True, False]
    assert mirai_py.stop_mirai(running) is False
    assert mirai_py.stop_mirai(None) is False
    assert mirai_py.stop_mirai({"a": running}) == [False]
    with pytest.raises(concurrent.futures.CancelledError):
        running.result()
