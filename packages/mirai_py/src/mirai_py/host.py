"""The host's end: a listening socket whose messages and pipe events go to the dispatcher."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

import nngsock
from mirai_py.descriptors import close_connections, port_of
from mirai_py.guard import Guard
from mirai_py.liveness import Pulse

if TYPE_CHECKING:
    from mirai_py.dispatcher import Dispatcher
    from mirai_py.frames import Parts

# A message that was read from a pipe stays readable when the pipe ends only if the socket has room for it.
RECEIVE_BUFFER = 1024
SEND_BUFFER = 64
WOULD_WAIT = 8


class Host:
    """A poly socket: one listener, a pipe for each daemon.

    A daemon's last results may still wait to be read when its pipe ends, so its end is reported behind them.
    """

    def __init__(self, url: str, tls: nngsock.TlsConfig | None = None) -> None:
        self._socket = nngsock.socket("poly")
        self._url = url
        self._tls = tls
        self._closing = False
        self._pulse: Pulse | None = None

    def start(self, dispatcher: Dispatcher) -> str:
        """Listen; returns the URL with the real port.

        Raises:
            nngsock.NngError: it cannot listen there.
        """
        self._dispatcher = dispatcher
        try:
            nngsock.set_opt(self._socket, "recv-buffer", RECEIVE_BUFFER)
            nngsock.set_opt(self._socket, "send-buffer", SEND_BUFFER)
            # Whoever waits for a result may be the one who receives it; Ctrl-C must not cut that in two.
            dispatcher.inbox = self._inbox = nngsock.inbox(self._socket, self._received, Guard())
            nngsock.on_pipe(self._socket, self._on_pipe)
            nngsock.listen(self._socket, self._url, tls=self._tls, fail="error")
        except BaseException:
            self.close()
            raise
        url = self._url = self._socket.listener[0].url
        _listening.add(self)
        if (port := port_of(url)) is not None:
            self._pulse = Pulse(port, dispatcher.beat)
        return url

    def send(self, pipe: int, parts: Parts) -> None:
        """Send to one daemon, without waiting; to one that is gone, nowhere."""
        if nngsock.send(self._socket, parts, mode="parts", pipe=pipe) == WOULD_WAIT:
            nngsock.send_aio(self._socket, parts, mode="parts", pipe=pipe)

    def cut(self, pipe: int) -> None:
        """Close the connection to one daemon."""
        if not self._closing:
            nngsock.close_pipe(self._socket, pipe)

    def close(self) -> None:
        """Stop listening and cut all connections."""
        if not self._closing:
            self._closing = True
            if self._pulse is not None:
                self._pulse.stop()
            _listening.discard(self)
            nngsock.reap(self._socket)  # the exit of the interpreter may have closed it

    def _received(self, frame: memoryview, pipe: int) -> None:
        if not self._closing:
            self._dispatcher.received(pipe, frame)

    def _on_pipe(self, event: str, pipe: int) -> None:
        if event == "add":
            self._dispatcher.joined(pipe)
            if self._pulse is not None:
                self._pulse.joined()
        elif event == "remove" and not self._closing:
            self._inbox.after(lambda: self._dispatcher.lost(pipe))

    def let_go(self) -> None:
        """In a forked child: hold no connection, so that daemons notice when the parent ends."""
        close_connections(self._url)


_listening: weakref.WeakSet[Host] = weakref.WeakSet()


def _after_fork() -> None:
    for host in _listening:
        host.let_go()


os.register_at_fork(after_in_child=_after_fork)
