"""Operations: one send or receive, from its submission to its outcome.

Rules of NNG's threads, on which `Operation.__call__` runs: never free, stop or wait for an aio there (that
never returns), and never block.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from nngsock._native import lib, life
from nngsock.callbacks import run_inline
from nngsock.completion import at_exit, keep_aio, pending, take_aio
from nngsock.gate import Gate, too_late
from nngsock.message import free
from nngsock.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("DEFAULT", "Operation", "begin", "submit")

DEFAULT = -2  # NNG_DURATION_DEFAULT: the timeout that the socket has as an option

_cancel = lib.nng_aio_cancel
_result_of = lib.nng_aio_result
_message_of = lib.nng_aio_get_msg
_set_message = lib.nng_aio_set_msg
_set_timeout = lib.nng_aio_set_timeout
_new_rlock = threading.RLock


class Operation(Outcome):
    """One send or receive, from its submission to its outcome.

    Attributes:
        aio: NNG's handle; None if the operation ended before one was needed.
        gate: What it was submitted through.
        key: The key of the aio in `pending`.
        message: What is to be sent, or what has been received: ours to free.
        sending: Whether it is a send.
        users: How many (the callback, cancellers) still use the aio.
    """

    __slots__ = ("aio", "gate", "key", "message", "sending", "users")

    def __init__(self, gate: Gate, message: Any, result: int | None, *, sending: bool) -> None:
        self.result = result  # what Outcome sets, without the call: one of these is made for each message
        self.lock = _new_rlock()
        self.wakers = None
        self.tasks = None
        self.aio: Any = None
        self.key = 0
        self.gate = gate
        self.message = message
        self.sending = sending
        self.users = 1

    def __call__(self) -> None:
        """Complete; called by NNG."""
        aio = self.aio
        result = _result_of(aio)
        if self.sending:
            message, self.message = self.message, None
            if result:
                free(message)  # a failed send leaves it to us
        elif not result:
            self.message = _message_of(aio)
        with self.lock:
            self.result = result
            wakers, self.wakers = self.wakers, None
            tasks, self.tasks = self.tasks, None
            self.users -= 1
            last = not self.users
        if wakers:
            for wake in wakers:
                wake()
        if tasks and not life.closing:
            run_inline(tasks)
        if last:
            keep_aio(self.key, aio)

    def __del__(self) -> None:
        if self.message is not None:
            free(self.message)

    def cancel(self) -> None:
        """Ask NNG to end it; the outcome comes through the callback as always."""
        if not life.halted:  # at exit all are ended, and afterwards NNG would abort the process
            self.abort()

    def abort(self) -> None:
        """Cancel, whatever state the library is in."""
        with self.lock:
            if self.result is not None:
                return
            self.users += 1
        _cancel(self.aio)
        with self.lock:
            self.users -= 1
            last = not self.users
        if last:
            self.retire()

    def retire(self) -> None:
        """Keep the aio for the next operation."""
        keep_aio(self.key, self.aio)


def submit(
    gate: Gate, start: Callable[[Any, Any], None], handle: Any, timeout: int, message: Any = None
) -> Operation:
    """Give NNG one operation.

    Args:
        gate: The gate of the socket or context.
        start: The function of NNG that starts it, called with the handle and the aio.
        handle: NNG's socket or context.
        timeout: In milliseconds, -1 for ever, `DEFAULT` for the socket's option.
        message: What to send; None for a receive.
    """
    key, aio = take_aio()
    operation = Operation(gate, message, None, sending=message is not None)
    operation.key = key
    operation.aio = aio
    _set_timeout(aio, timeout)
    if message is not None:
        _set_message(aio, message)
    if not begin(gate, start, handle, key, aio, operation):
        keep_aio(key, aio)
        operation.result = too_late()
    return operation


def begin(
    gate: Gate, start: Callable[[Any, Any], None], handle: Any, key: int, aio: Any, done: Callable[[], None]
) -> bool:
    """Start an aio at whose completion `done` is called; False, and no call, if the gate is closed."""
    if life.halted:
        return False
    with gate.lock:
        if gate.closed:
            return False
        pending[key] = done  # before the start: the callback may run before that returns
        start(handle, aio)
        return True


def _abort_all() -> None:
    """At the interpreter's exit: NNG waits for nothing that is still under way."""
    for done in list(pending.values()):
        if isinstance(done, Operation):
            done.abort()


at_exit(_abort_all)
