"""The host's end: a listening socket whose messages and pipe events go to the dispatcher."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import nngsock
from mirai_py.errors import CANCELED
from mirai_py.timer import timer

if TYPE_CHECKING:
    from mirai_py.dispatcher import Dispatcher
    from mirai_py.frames import Parts

_log = logging.getLogger("mirai_py")

# A message that was read from a pipe stays readable when the pipe ends only if the socket has room for it.
RECEIVE_BUFFER = 1024


class Host:
    """A poly socket: one listener, a pipe for each daemon.

    A daemon's last results may still wait to be read when its pipe ends. So its end is reported only after
    everything that had come before was handled: the receive that is under way is cancelled, and if it really
    ends as cancelled, nothing was left.
    """

    def __init__(self, url: str) -> None:
        self._socket = nngsock.socket("poly")
        self._lock = threading.Lock()
        self._ended: set[int] = set()
        self._receiving: nngsock.RecvAio | None = None
        self._closing = False
        self._url = url

    def start(self, dispatcher: Dispatcher) -> str:
        """Listen; returns the URL with the real port.

        Raises:
            nngsock.NngError: it cannot listen there.
        """
        self._dispatcher = dispatcher
        nngsock.set_opt(self._socket, "recv-buffer", RECEIVE_BUFFER)
        nngsock.on_pipe(self._socket, self._on_pipe)
        try:
            nngsock.listen(self._socket, self._url, fail="error")
        except BaseException:
            nngsock.close(self._socket)
            raise
        self._receive()
        url: str = nngsock.opt(self._socket.listener[0], "url")
        return url

    def send(self, pipe: int, parts: Parts) -> None:
        """Send to one daemon, without waiting; to one that is gone, nowhere."""
        nngsock.send_aio(self._socket, parts, mode="parts", pipe=pipe)

    def cut(self, pipe: int) -> None:
        """Close the connection to one daemon."""
        if not self._closing:
            nngsock.close_pipe(self._socket, pipe)

    def close(self) -> None:
        """Stop listening and cut all connections."""
        self._closing = True
        nngsock.close(self._socket)

    def _receive(self) -> None:
        with self._lock:
            aio = self._receiving = nngsock.recv_aio(self._socket, mode="buffer")
            again = bool(self._ended)
        aio.add_done_callback(self._received, inline=True)
        if again:
            timer.after(0, self._drain)

    def _received(self, aio: nngsock.RecvAio) -> None:
        frame = aio.data
        if self._closing:
            return
        if not nngsock.is_error_value(frame):
            try:
                self._dispatcher.received(aio.pipe, frame)
            except Exception:
                _log.exception("a message of a daemon could not be handled")
        elif frame == CANCELED:
            self._report_ended()
        else:
            return
        self._receive()

    def _on_pipe(self, event: str, pipe: int) -> None:
        if event == "add":
            self._dispatcher.joined(pipe)
        elif event == "remove" and not self._closing:
            with self._lock:
                self._ended.add(pipe)
            timer.after(0, self._drain)

    def _drain(self) -> None:
        with self._lock:
            aio = self._receiving if self._ended and not self._closing else None
        if aio is not None:
            aio.cancel()

    def _report_ended(self) -> None:
        with self._lock:
            ended, self._ended = self._ended, set()
        for pipe in ended:
            self._dispatcher.lost(pipe)
