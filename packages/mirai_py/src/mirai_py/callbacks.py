"""The thread of this library on which users' callbacks run, and what must not run where it was noticed."""

from __future__ import annotations

import logging
import os
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("mirai_py")


class Callbacks:
    """The library thread that runs the users' callbacks, in the order of completion."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._started = False

    def put(self, call: Callable[[], object]) -> None:
        """Run `call()` on the thread, after those that were put before."""
        self._calls.put(call)
        if self._started:
            return
        with self._starting:
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="mirai_py-callbacks", daemon=True).start()

    def _run(self) -> None:
        while True:
            call = self._calls.get()
            try:
                call()
            except BaseException:  # a SystemExit of a callback must not end the callbacks of all others
                _log.exception("a callback failed")
            del call  # else what it holds lives until the next one

    def forget_thread(self) -> None:
        """After a fork the thread is gone; the child starts anew."""
        self.__init__()  # type: ignore[misc]


callbacks = Callbacks()
os.register_at_fork(after_in_child=callbacks.forget_thread)
