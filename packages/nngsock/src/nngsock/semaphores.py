"""Semaphores that a thread of NNG posts to when an aio has completed, if possible without Python.

A callback into Python holds the interpreter's lock just when the thread that it wakes asks for it. So NNG
calls `sem_post` of the C library, and the thread waits in `sem_wait`, which a signal interrupts as it does
`threading.Lock.acquire`: Ctrl-C comes at once. Where that does not exist (macOS, Windows), a lock and a
callback do it.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from nngsock._native import ffi, new
from nngsock.callbacks import log_exception
from nngsock.sync import acquire

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("LockSemaphore", "PosixSemaphore", "Semaphore")

_LONGS: Final = 16  # more than any sem_t needs


class PosixSemaphore:
    """A semaphore of the C library.

    Attributes:
        post: The function that NNG calls when an aio has completed.
        pointer: What it calls it with.
        wait: Waits for a post, and takes it; a signal's handler may raise out of this.
    """

    __slots__ = ("_memory", "pointer", "post", "wait")

    def __init__(self) -> None:
        functions = _posix_functions()
        self._memory = new("long long[]", _LONGS)
        self.pointer = pointer = ffi.cast("void *", self._memory)
        self.post = functions["post"]
        functions["init"](pointer, 0, 0)
        sem_wait = functions["wait"]

        def wait() -> None:
            while sem_wait(pointer):  # a signal has come, and its handler has returned
                pass

        self.wait: Callable[[], None] = wait

    def reset(self) -> None:
        """Take a post that nobody has waited for."""
        _posix_functions()["trywait"](self.pointer)


@functools.cache
def _posix_functions() -> dict[str, Any]:
    libc = ctypes.CDLL(None)
    kinds = {
        "post": "void(*)(void *)",
        "init": "int(*)(void *, int, unsigned)",
        "wait": "int(*)(void *)",
        "trywait": "int(*)(void *)",
    }
    return {
        name: ffi.cast(kind, ctypes.cast(getattr(libc, f"sem_{name}"), ctypes.c_void_p).value)
        for name, kind in kinds.items()
    }


class LockSemaphore:
    """A semaphore made of a lock; its methods and attributes are those of the other."""

    __slots__ = ("_lock", "pointer", "post")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        key = next(_keys)
        _locks[key] = self._lock
        self.pointer = ffi.cast("void *", key)
        self.post = _lock_callback()

    def wait(self) -> None:
        """Wait for a post, and take it."""
        acquire(self._lock)

    def reset(self) -> None:
        """Take a post that nobody has waited for."""
        self._lock.acquire(blocking=False)


_keys = itertools.count(1)
_locks: dict[int, threading.Lock] = {}  # for ever, as are the aios that they belong to


@functools.cache
def _lock_callback() -> Any:
    return ffi.callback("void(void *)", _release, onerror=log_exception)


def _release(pointer: Any) -> None:
    _locks[int(ffi.cast("uintptr_t", pointer))].release()


Semaphore: type[PosixSemaphore | LockSemaphore] = PosixSemaphore if sys.platform == "linux" else LockSemaphore
