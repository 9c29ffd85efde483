"""Receive without end: a function is called with each message, and NNG gets the same aio again and again."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from nngsock._native import NONBLOCK, lib, life, new
from nngsock.callbacks import log_exception
from nngsock.channel import channel_of
from nngsock.completion import keep_aio, take_aio
from nngsock.errors import ECANCELED
from nngsock.gate import too_late
from nngsock.message import MESSAGE_P, take_view
from nngsock.operation import begin

if TYPE_CHECKING:
    from collections.abc import Callable

    from nngsock.sockets import Socket

__all__ = ("Receiver", "on_message")

_result_of = lib.nng_aio_result
_message_of = lib.nng_aio_get_msg
_pipe_of = lib.nng_msg_get_pipe
_recv_aio = lib.nng_recv_aio
_recv_now = lib.nng_recvmsg
_cancel = lib.nng_aio_cancel
_FOR_EVER = -1


class Receiver:
    """Calls a function with each message of a socket. Made by `on_message`; ends with the socket."""

    __slots__ = ("__weakref__", "_aio", "_channel", "_fn", "_inbox", "_key", "_lock", "_marks", "_working")

    def __init__(self, socket: Socket, fn: Callable[[memoryview, int], object]) -> None:
        channel = channel_of(socket)
        self._key, self._aio = take_aio()
        self._channel = channel
        self._fn = fn
        # Messages with their pipes, and what is to be called between them.
        self._inbox: deque[tuple[memoryview, int] | Callable[[], object]] = deque()
        self._marks: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self._working = threading.Lock()
        lib.nng_aio_set_timeout(self._aio, _FOR_EVER)
        self._arm()

    def __repr__(self) -> str:
        return f"< receiver of {getattr(self._fn, '__qualname__', self._fn)!r} >"

    def __del__(self) -> None:
        if hasattr(self, "_aio"):  # while NNG works on it, `pending` holds this receiver
            keep_aio(self._key, self._aio)

    def after(self, fn: Callable[[], object]) -> None:
        """Have a function called once every message that has come up to now has been handled.

        For the end of a connection, say, which must not overtake its last messages.

        Args:
            fn: Called without arguments, as quick as the other; not any more once the socket is closed.
        """
        with self._lock:
            self._marks.append(fn)
        self.interrupt()

    def interrupt(self) -> None:
        """End the receive that is under way; if it ends as cancelled, nothing had come before."""
        if not life.halted:
            _cancel(self._aio)

    def _arm(self) -> None:
        begin(self._channel.gate, _recv_aio, self._channel.handle, self._key, self._aio, self)

    def __call__(self) -> None:
        """Take what has come, have the next come, then handle it; called by NNG."""
        result = _result_of(self._aio)
        if not result:
            self._take(_message_of(self._aio))
        elif result == ECANCELED and not life.closing:
            self._pass_marks()
        else:
            return
        self._arm()
        if self._marks:  # they came when no receive was under way, or a message was faster
            self.interrupt()
        self._work()

    def _take(self, message: Any) -> None:
        pipe = _pipe_of(message).id
        self._inbox.append((take_view(message), pipe))

    def _pass_marks(self) -> None:
        with self._lock:
            marks, self._marks = self._marks, []
        out = new(MESSAGE_P)
        gate, handle = self._channel.gate, self._channel.handle
        while not gate.call(_recv_now, handle, out, NONBLOCK):
            self._take(out[0])
        self._inbox.extend(marks)

    def _work(self) -> None:
        """Handle the inbox, in order; if another thread is at it, it goes on with what this one has added."""
        inbox = self._inbox
        while inbox and self._working.acquire(blocking=False):
            try:
                while inbox and not life.closing:
                    self._handle_next(inbox.popleft())
            finally:
                self._working.release()
            if life.closing:
                return

    def _handle_next(self, item: tuple[memoryview, int] | Callable[[], object]) -> None:
        try:
            if isinstance(item, tuple):
                self._fn(*item)
            else:
                item()
        except Exception:
            log_exception(*sys.exc_info())


def on_message(socket: Socket, fn: Callable[[memoryview, int], object]) -> Receiver:
    """Have a function called with each message that a socket receives, in their order, one at a time.

    The leanest way to receive: nothing is allocated for a message but the message, and the next receive is
    under way before the function is called. Messages that come while it runs wait for its return.

    Args:
        socket: A socket of a protocol that receives without being asked, hence none of req, rep, surveyor
            and respondent. Do not receive from it otherwise.
        fn: Called with the message (a read-only memoryview, of NNG's own memory where that saves a copy) and
            the number of its pipe, on a thread of NNG. So it must be quick and must not wait for anything;
            sending without waiting is fine. What it raises goes to logging.

    Returns:
        The receiver. It lives until the socket is closed.

    Example:
        >>> import queue
        >>> came = queue.SimpleQueue()
        >>> with nngsock.socket("pull", listen="inproc://on_message") as s:
        ...     receiver = nngsock.on_message(s, lambda view, pipe: came.put(bytes(view)))
        ...     with nngsock.socket("push", dial="inproc://on_message") as p:
        ...         nngsock.send(p, b"hello", mode="raw", block=True), came.get()
        (0, b'hello')
    """
    if not callable(fn):
        raise TypeError(f"`fn` must be a function of message and pipe, not {fn!r}")
    if life.halted:
        too_late()
    return Receiver(socket, fn)
