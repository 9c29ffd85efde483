"""What NNG works on for a stream, and the time that something may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nngsock._native import ffi, lib, new
from nngsock.completion import take_aio
from nngsock.errors import ECANCELED, ECLOSED, ECONNSHUT
from nngsock.gate import Gate, too_late
from nngsock.operation import Operation, begin

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("StreamOperation", "Timer")

FOR_EVER: Final = -1
_IOV = ffi.typeof("nng_iov[1]")
_result_of = lib.nng_aio_result
_sleep = lib.nng_sleep_aio


class StreamOperation(Operation):
    """What NNG works on for a stream: it knows no message here, only memory and a count."""

    __slots__ = ()

    def __init__(
        self, gate: Gate, timeout: int = FOR_EVER, take: Callable[[], tuple[int, Any]] = take_aio
    ) -> None:
        super().__init__(gate, None, None, sending=False)
        self.key, self.aio = take()
        # A receive of a socket leaves its message in the aio, and NNG frees what it finds in that of a write
        # over ws:// or wss://.
        lib.nng_aio_set_msg(self.aio, ffi.NULL)
        lib.nng_aio_set_timeout(self.aio, timeout)

    def begin(self, start: Callable[[Any, Any], None], handle: Any) -> bool:
        """Start it; if that is not possible any more, end it and say False."""
        if begin(self.gate, start, handle, self.key, self.aio, self):
            return True
        self.end(too_late())
        return False

    def point_to(self, memory: Any, size: int) -> None:
        """Have NNG read from or write to this memory."""
        lib.nng_aio_set_iov(self.aio, 1, new(_IOV, [(memory, size)]))

    def end(self, result: int) -> None:
        """Have the result; nothing of NNG works on it any more."""
        if result == ECANCELED and self.gate.closed:
            result = ECLOSED
        elif result == ECLOSED and not self.gate.closed:
            result = ECONNSHUT
        self.resolve(result)
        with self.lock:
            self.users -= 1
            last = not self.users
        if last:
            self.retire()

    def wait_or_abort(self) -> BaseException | None:
        """Wait for its end, which an interruption brings about; the interruption is returned."""
        interruption = None
        while True:
            try:
                self.wait()
            except BaseException as error:
                interruption = interruption or error
                self.abort()
            else:
                return interruption


# A sleep that was cut short leaves a mark in the aio, which has the next timeout pass for a success.
_idle_timers: list[tuple[int, Any]] = []


def _take_timer() -> tuple[int, Any]:
    try:
        return _idle_timers.pop()
    except IndexError:
        return take_aio()


class Timer(StreamOperation):
    """Calls a function, on a thread of NNG, when a time is over, unless it is aborted or the gate closed."""

    __slots__ = ("_call",)

    def __init__(self, gate: Gate, milliseconds: int, call: Callable[[], object]) -> None:
        super().__init__(gate, take=_take_timer)
        self._call = call
        self.begin(_sleep, milliseconds)

    def retire(self) -> None:
        """Keep the aio for the next timer."""
        _idle_timers.append((self.key, self.aio))

    def __call__(self) -> None:
        """Complete; called by NNG."""
        result = _result_of(self.aio)
        self.end(result)
        if not result:
            self._call()
