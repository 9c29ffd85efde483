import asyncio
import threading

import pytest

import nngsock
from nngsock import cv, forward


def test_a_signal_counts_and_a_wait_takes_one():
    c = cv()
    assert c.signal() == 0
    c.signal()
    assert nngsock.cv_value(c) == 2
    assert nngsock.wait(c)
    assert c.value() == 1


def test_reset_clears_counter_and_flag():
    c = cv()
    c.flag()
    assert nngsock.cv_reset(c) == 0
    assert (c.value(), c.flagged) == (0, False)


def test_a_flag_makes_wait_false_but_not_until():
    c = cv()
    c.flag()
    c.flag()
    assert c.wait() is False
    assert c.until(10) is True
    assert c.value() == 0
    c.reset()
    c.signal()
    assert c.wait() is True


def test_until_is_false_when_the_time_is_over():
    c = cv()
    assert nngsock.until(c, 20.9) is False
    assert c.until(0) is False
    assert c.until(-5) is False


@pytest.mark.parametrize("msec", ["1", None, True])
def test_until_takes_numbers_only(msec):
    with pytest.raises(TypeError, match="milliseconds"):
        cv().until(msec)


@pytest.mark.parametrize(
    "call", [nngsock.wait, nngsock.cv_value, nngsock.cv_reset, nngsock.cv_signal, lambda c: forward(cv(), c)]
)
def test_functions_refuse_what_is_no_condition_variable(call):
    with pytest.raises(TypeError, match="not a valid Condition Variable"):
        call(object())


def test_each_signal_wakes_one_waiter():
    c, woken = cv(), cv()

    def waiter():
        c.wait()
        woken.signal()

    threads = [threading.Thread(target=waiter) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(3):
        c.signal()
        assert woken.until(5000)
        assert woken.value() == 0 or n < 2
    for thread in threads:
        thread.join()
    assert c.value() == 0


def test_no_signal_is_lost_between_waits_that_time_out():
    c = cv()
    total, taken = 300, []

    def waiter():
        while len(taken) < total and not stop.is_set():
            if c.until(1):
                taken.append(1)

    stop = threading.Event()
    threads = [threading.Thread(target=waiter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(total):
        c.signal()
    done = threading.Event()

    def watch():
        for thread in threads:
            thread.join()
        done.set()

    threading.Thread(target=watch).start()
    finished = done.wait(20)
    stop.set()
    assert done.wait(5)
    assert finished
    assert len(taken) + c.value() == total


class TestForward:
    def test_every_signal_reaches_the_target_once(self):
        a, b = cv(), cv()
        assert forward(a, b) is b
        a.signal()
        a.signal()
        assert a.wait()
        a.signal()
        assert (a.value(), b.value()) == (2, 3)

    def test_it_resets_the_source(self):
        a, b = cv(), cv()
        a.signal()
        assert a >> b is b
        assert (a.value(), b.value()) == (0, 0)

    def test_chains_work_and_the_newest_target_counts(self):
        a, b, c, d = cv(), cv(), cv(), cv()
        a >> b >> c
        a.signal()
        assert [x.value() for x in (a, b, c)] == [1, 1, 1]
        forward(b, d)
        a.signal()
        assert (c.value(), d.value()) == (1, 1)

    def test_a_flag_goes_along(self):
        a, b = cv(), cv()
        forward(a, b)
        a.flag()
        assert b.wait() is False

    def test_a_circle_is_refused(self):
        a, b = cv(), cv()
        a >> b
        with pytest.raises(ValueError, match="circle"):
            b >> a
        with pytest.raises(ValueError, match="circle"):
            a >> a


class TestAsync:
    def test_it_waits_for_a_signal_from_another_thread(self):
        c = cv()

        async def main():
            waiting = asyncio.create_task(c.wait_async())
            await asyncio.sleep(0)
            thread = threading.Thread(target=c.signal)
            thread.start()
            result = await asyncio.wait_for(waiting, 5)
            thread.join()
            return result

        assert asyncio.run(main()) is True
        assert c.value() == 0

    def test_it_takes_a_signal_that_is_there(self):
        c = cv()
        c.flag()
        assert asyncio.run(c.wait_async()) is False
        assert c.value() == 0

    def test_a_cancelled_wait_takes_nothing(self):
        c = cv()

        async def main():
            waiting = asyncio.create_task(c.wait_async())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        asyncio.run(main())
        c.signal()
        assert c.value() == 1

    def test_a_signal_that_meets_a_cancellation_is_given_back(self):
        c = cv()

        async def main():
            waiting = asyncio.create_task(c.wait_async())
            await asyncio.sleep(0)
            c.signal()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        asyncio.run(main())
        assert c.value() == 1

    def test_a_closed_loop_takes_no_signal(self):
        c = cv()
        loop = asyncio.new_event_loop()
        task = loop.create_task(c.wait_async())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        c.signal()
        assert c.value() == 1
        task.get_coro().close()
        task._log_destroy_pending = False


def test_it_prints_its_state():
    c = cv()
    c.flag()
    assert repr(c) == "< conditionVariable | value: 1 | flagged >"
