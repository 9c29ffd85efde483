import threading
import time

import pytest

import crew_py
import nngsock


def relay_of(seconds):
    return crew_py.crew_relay(crew_py.crew_throttle(seconds_max=seconds, seconds_min=seconds))


def test_a_signal_wakes_and_is_consumed():
    relay = relay_of(0.01)
    relay.start()
    relay.condition.signal()
    relay.condition.signal()
    assert relay.wait() is True
    assert relay.wait() is False


def test_a_waiter_is_woken_by_the_signal_not_by_the_clock():
    relay = relay_of(1000)
    relay.start()
    thread = threading.Timer(0.05, relay.signal)
    thread.start()
    started = time.monotonic()
    assert relay.wait() is True
    assert time.monotonic() - started < 30
    thread.join()


def test_signals_pass_from_through_to():
    before, after = nngsock.cv(), nngsock.cv()
    relay = relay_of(0.01)
    relay.set_to(after)
    relay.start()
    relay.set_from(before)
    before.signal()
    assert relay.wait() is True
    assert after.until(2000) is True


def test_wait_is_limited_by_its_argument():
    relay = relay_of(1000)
    relay.start()
    assert relay.wait(0.01) is False


def test_waiting_updates_the_throttle():
    relay = crew_py.crew_relay(crew_py.crew_throttle(seconds_max=1, seconds_min=1e-3))
    relay.start()
    relay.wait()
    assert relay.throttle.seconds_interval == 2e-3
    relay.signal()
    relay.wait()
    assert relay.throttle.seconds_interval == 1e-3


def test_start_twice_keeps_the_condition_and_terminate_drops_it():
    relay = relay_of(0.01)
    relay.start()
    condition = relay.condition
    relay.start()
    assert relay.condition is condition
    relay.terminate()
    assert relay.condition is None
    with pytest.raises(crew_py.crew_error, match="not started"):
        relay.wait()


def test_the_throttle_is_checked():
    with pytest.raises(crew_py.crew_error, match="`throttle`"):
        crew_py.crew_relay(throttle=1)
