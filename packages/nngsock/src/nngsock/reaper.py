"""What keeps NNG 1.11 from aborting the process when a WebSocket is closed.

NNG frees connections, dialers and listeners on a thread of its own, the reaper. For those of ws:// and
wss:// it does not wait until its other threads are done with them (`nni_aio_close` followed by
`nni_aio_stop` does not wait): one closed in 100 was used after it had been freed. The others are done
within microseconds, so it is enough that the reaper takes its time.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from nngsock._native import lib
from nngsock.completion import pending, take_aio

__all__ = ("hold_up", "pause")

PAUSE_SECONDS: Final = 0.05
PATIENCE_SECONDS: Final = 1.0  # the reaper may be waiting for the very thread that calls
_LONG: Final = 600_000
_FOR_EVER: Final = -1


def pause() -> None:
    """Pause, on the reaper itself: a connection has been closed and is about to be freed."""
    time.sleep(PAUSE_SECONDS)


def hold_up() -> None:
    """Have the reaper pause, before something is closed; returns when it has begun to."""
    begun = threading.Lock()
    begun.acquire()

    def stall() -> None:
        begun.release()
        pause()

    key, aio = take_aio()
    pending[key] = stall
    lib.nng_aio_set_timeout(aio, _FOR_EVER)
    lib.nng_sleep_aio(_LONG, aio)
    lib.nng_aio_reap(aio)  # the reaper cancels it, and waits for its callback
    begun.acquire(timeout=PATIENCE_SECONDS)
