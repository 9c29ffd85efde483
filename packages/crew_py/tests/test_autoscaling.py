import asyncio
import gc
import logging
import threading
import weakref

import pytest

from crew_py.autoscaling import AsyncioLoop, ThreadLoop


class Controller:
    def __init__(self, times, error=None):
        self.left, self.error = times, error
        self.done = threading.Event()

    def scale(self, throttle=True):
        self.left -= 1
        if self.left == 0:
            self.done.set()
            if self.error is not None:
                raise self.error
        return False


def test_a_thread_scales_again_and_again_until_it_is_stopped():
    controller = Controller(3)
    loop = ThreadLoop(controller, lambda: 0.001)
    assert controller.done.wait(30)
    loop.stop()
    left = controller.left
    assert left <= 0
    loop.stop()
    assert controller.left == left


def test_an_error_ends_the_loop_and_is_kept(caplog):
    error = RuntimeError("zap")
    controller = Controller(2, error)
    with caplog.at_level(logging.ERROR, logger="crew_py"):
        loop = ThreadLoop(controller, lambda: 0.001)
        assert controller.done.wait(30)
        loop.stop()
    assert loop.error is error
    assert controller.left == 0
    assert "autoscaling has stopped" in caplog.text


def test_a_controller_is_not_kept_alive():
    controller = Controller(1)
    gone = weakref.ref(controller)
    loop = ThreadLoop(controller, lambda: 0.001)
    assert controller.done.wait(30)
    del controller
    loop._thread.join(30)
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("error", [None, RuntimeError("zap")])
def test_an_event_loop_scales_until_it_is_stopped_or_an_error(error):
    controller = Controller(3, error)

    async def run():
        scaling = AsyncioLoop(controller, lambda: 0.001, asyncio.get_running_loop())
        await asyncio.wait_for(asyncio.to_thread(controller.done.wait), 30)
        scaling.stop()
        left = controller.left
        await asyncio.sleep(0.01)
        assert controller.left == left
        return scaling

    assert asyncio.run(run()).error is error
