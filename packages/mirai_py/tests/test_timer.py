import queue
import threading

from mirai_py import timer as timing
from mirai_py.timer import timer


def test_calls_come_at_their_time_in_order_of_it():
    came = queue.SimpleQueue()
    timer.after(1.0, lambda: came.put("later"))
    timer.after(0.5, lambda: came.put("sooner"))
    timer.after(0, lambda: came.put("now"))
    assert [came.get(timeout=10) for _ in range(3)] == ["now", "sooner", "later"]


def test_a_cancelled_call_is_not_made():
    came = queue.SimpleQueue()
    alarm = timer.after(0.5, lambda: came.put("cancelled"))
    alarm.cancel()
    alarm.cancel()
    timer.after(0.6, lambda: came.put("after it"))
    assert came.get(timeout=10) == "after it"
    assert came.empty()


def test_a_call_that_fails_is_logged_and_the_next_one_made(caplog):
    came = threading.Event()
    timer.after(0, lambda: 1 / 0)
    timer.after(0.01, came.set)
    assert came.wait(10)
    assert "a timed call failed" in caplog.text


def test_cancelled_alarms_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(timing, "_MAX_FORGOTTEN", 10)
    own = timing.Timer()
    own._running = True  # no thread: nothing is due
    for _ in range(1000):
        own.after(3600, print).cancel()
    assert len(own._alarms) < 30
    kept = own.after(3600, print)
    for _ in range(100):
        own.after(3600, print).cancel()
    assert kept in own._alarms
