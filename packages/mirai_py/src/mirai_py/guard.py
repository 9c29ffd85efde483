"""A lock for sections that Ctrl-C must not cut in two."""

from __future__ import annotations

# `signal` wraps numbers and handlers in enums, which costs more than what is guarded here.
import _signal  # type: ignore[import-not-found]
import threading
from signal import SIGINT
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

handler_of = _signal.getsignal
_set_handler = _signal.signal
_get_ident = threading.get_ident
_main_ident = threading.main_thread().ident


class Guard:
    """A lock; while the main thread holds it, a SIGINT is noted, and handled right after the release.

    A KeyboardInterrupt may otherwise rise between any two lines of Python: a daemon that was taken from the
    idle ones would never be handed its task.
    """

    __slots__ = ("_lock", "_noted", "_previous")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Both belong to the main thread alone.
        self._previous: Callable[[int, Any], Any] | None = None
        self._noted = False

    def __enter__(self) -> None:
        if _get_ident() == _main_ident:
            previous = handler_of(SIGINT)
            if callable(previous):
                _set_handler(SIGINT, self._note)
                self._lock.acquire()
                self._previous = previous
                return
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._previous is None or _get_ident() != _main_ident:
            return
        previous, self._previous = self._previous, None
        _set_handler(SIGINT, previous)
        if self._noted:
            self._noted = False
            previous(SIGINT, None)

    def _note(self, _number: int, _frame: object) -> None:
        self._noted = True
