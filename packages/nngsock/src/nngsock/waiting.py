"""One operation for which a thread waits that has nothing else to do, with as little as that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nngsock._native import ffi, lib, life, new
from nngsock.errors import ECANCELED, check
from nngsock.gate import Gate, too_late
from nngsock.semaphores import LockSemaphore, PosixSemaphore, Semaphore

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("run_and_wait",)

_AIO_P = ffi.typeof("nng_aio **")
_cancel = lib.nng_aio_cancel
_wait_until_over = lib.nng_aio_wait
_result_of = lib.nng_aio_result
_message_of = lib.nng_aio_get_msg
_set_message = lib.nng_aio_set_msg
_set_timeout = lib.nng_aio_set_timeout
# Aios with what their completion posts to: as many as threads once waited at the same time.
_idle: list[tuple[Any, PosixSemaphore | LockSemaphore]] = []


def run_and_wait(
    gate: Gate, start: Callable[[Any, Any], None], handle: Any, timeout: int, message: Any = None
) -> tuple[int, Any, BaseException | None]:
    """Give NNG one operation and wait for its outcome.

    Args:
        gate: The gate of the socket or context.
        start: The function of NNG that starts it, called with the handle and the aio.
        handle: NNG's socket or context.
        timeout: In milliseconds, -1 for ever, -2 for the socket's option.
        message: What to send; None for a receive.

    Returns:
        0 or the error number; the message that has been received, or that could not be sent; what
        interrupted the wait, which has then cancelled the operation (it may have succeeded just before).
    """
    if life.halted:
        return too_late(), message, None
    aio, semaphore = kept = _idle.pop() if _idle else _new_aio()
    _set_timeout(aio, timeout)
    if message is not None:
        _set_message(aio, message)
    interruption = None
    started = False
    try:
        with gate.lock:
            if not gate.closed:
                started = True  # no signal's handler can run between this and the call
                start(handle, aio)
        if started:
            semaphore.wait()
    except BaseException as error:  # raised by a signal's handler
        interruption = error
        if started:
            _end(aio, semaphore)
    if not started:
        _idle.append(kept)
        return too_late() if interruption is None else ECANCELED, message, interruption
    result: int = _result_of(aio)
    if message is None and not result:
        message = _message_of(aio)
    elif not result:
        message = None
    _idle.append(kept)
    return result, message, interruption


def _new_aio() -> tuple[Any, PosixSemaphore | LockSemaphore]:
    semaphore = Semaphore()
    out = new(_AIO_P)
    check(lib.nng_aio_alloc(out, semaphore.post, semaphore.pointer))
    return out[0], semaphore


def _end(aio: Any, semaphore: PosixSemaphore | LockSemaphore) -> None:
    """Cancel an operation and see its end, however often that is interrupted."""
    while True:
        try:
            _cancel(aio)
            _wait_until_over(aio)
            return semaphore.reset()
        except BaseException:  # noqa: S112 - the first interruption is the one that is reported
            continue
