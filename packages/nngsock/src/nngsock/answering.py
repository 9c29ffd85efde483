"""The channel of what answers: sockets and contexts of rep and respondent.

Such a one knows whom to answer until it is given the answer. So it is given none that would fail at once. And
it is given none while the one before still waits for a peer that does not read, because NNG aborts the
process then.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

from nngsock.channel import Channel
from nngsock.errors import EAGAIN, ESTATE, ETIMEDOUT, NngWarning
from nngsock.message import free
from nngsock.operation import Operation, submit
from nngsock.outcome import Outcome

if TYPE_CHECKING:
    from nngsock.gate import Gate

__all__ = ("ANSWERING", "AnsweringChannel")

ANSWERING: Final = frozenset({"rep", "respondent"})
SOON: Final = 1  # milliseconds for what needs no waiting


class AnsweringChannel(Channel):
    """What sending and receiving need to know of a socket or context of rep or respondent."""

    __slots__ = ("_answer", "_fails_at_once")

    gate: Gate

    def __init__(self, handle: Any, protocol: str, socket: Channel | None = None) -> None:
        super().__init__(handle, protocol, socket)
        self._answer: Outcome = Outcome(0)  # the last one: under way while it has no result
        self._fails_at_once = protocol == "respondent"  # it takes no answer that may not wait

    def _begin(self, answer: Outcome) -> bool:
        """Take note of an answer that is about to be given; False if the one before is under way."""
        with self.gate.lock:
            if self._answer.result is None:
                return False
            self._answer = answer
            return True

    def _refuse(self, message: Any) -> int:
        try:
            warnings.warn(
                "the answer before this one is still under way: wait for it, or answer each question by a "
                "context of its own",
                NngWarning,
                stacklevel=4,
            )
        except NngWarning:
            free(message)
            raise
        return ESTATE

    def send(self, message: Any, timeout: int) -> Operation:
        """Send as soon as possible; the message is no longer ours from here on."""
        with self.gate.lock:  # no other thread's answer may come between the look and the submission
            if self._answer.result is not None:
                self._answer = operation = submit(self.gate, self.send_aio, self.handle, timeout, message)
                return operation
        code = self._refuse(message)
        free(message)
        return Operation(self.gate, None, code, sending=True)

    def send_waiting(self, message: Any, timeout: int) -> int:
        """Send, and wait until it is on its way: 0, or the error, and the message is still ours."""
        answer = Outcome()
        if not self._begin(answer):
            return self._refuse(message)
        try:
            return self.wait_and_send(message, timeout)
        finally:
            answer.resolve(0)

    def try_send(self, message: Any) -> int:
        """Send if that needs no waiting: 0, or the error, 8 if it does, and the message is still ours."""
        if not self._fails_at_once:
            return super().try_send(message)
        answer = Outcome()
        if not self._begin(answer):
            return EAGAIN
        try:
            result = self.wait_and_send(message, SOON)
        finally:
            answer.resolve(0)
        return EAGAIN if result in {ESTATE, ETIMEDOUT} else result
