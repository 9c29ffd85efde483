"""The one callback through which every aio of NNG completes, and the end of it all.

The callback gets an integer key into `pending`, never a pointer to a Python object: a key that is gone
is ignored where a stale handle would crash. An aio works on one operation at a time, and is kept for the
next when neither its callback nor a canceller still uses it. None is ever freed: reaping wakes another
thread for each message. So there are as many as there once were operations under way.
"""

from __future__ import annotations

import atexit
import itertools
import threading
from typing import TYPE_CHECKING, Any

from nngsock._native import end, ffi, lib, life, new
from nngsock.callbacks import log_exception, stop_thread
from nngsock.errors import check

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("at_exit", "keep_aio", "pending", "take_aio")

_AIO_P = ffi.typeof("nng_aio **")
_VOID_P = ffi.typeof("void *")
_UINTPTR = ffi.typeof("uintptr_t")
_cast = ffi.cast
_alloc_aio = lib.nng_aio_alloc
_keys = itertools.count(1)
_idle: list[tuple[int, Any]] = []
_DRAINING_SECONDS = 0.3
_drained = threading.Event()  # at exit: no callback is outstanding

# What NNG works on, by key: each is called, once, when its aio has completed.
pending: dict[int, Callable[[], None]] = {}


def _complete(pointer: Any) -> None:
    done = pending.pop(int(_cast(_UINTPTR, pointer)), None)
    if done is not None:
        done()
    if life.closing and not pending:
        _drained.set()


def _make_callback() -> tuple[Any, dict[Any, Any]]:
    try:
        return ffi.callback("void(void*)", _complete, onerror=log_exception), pending
    except MemoryError:  # a kernel that forbids executable memory: use the function compiled into pynng
        import pynng._aio

        return lib._async_complete, pynng._aio._aio_map  # noqa: SLF001


_callback, pending = _make_callback()


def take_aio() -> tuple[int, Any]:
    """An idle aio with its key, or a new one."""
    try:
        return _idle.pop()
    except IndexError:
        key = next(_keys)
        out = new(_AIO_P)
        check(_alloc_aio(out, _callback, _cast(_VOID_P, key)))
        return key, out[0]


def keep_aio(key: int, aio: Any) -> None:
    """Keep an aio that nobody uses any more for the next operation."""
    _idle.append((key, aio))


_at_exit: list[Callable[[], object]] = []
at_exit = _at_exit.append


def _exit() -> None:
    """End everything under way, and see the last callback: none may come into a dead interpreter."""
    if life.forked:
        return
    life.close()
    stop_thread()
    for end_part in reversed(_at_exit):
        end_part()
    if pending:
        _drained.wait(_DRAINING_SECONDS)
    end()


atexit.register(_exit)
