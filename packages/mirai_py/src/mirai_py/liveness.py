"""The other end of a network connection may vanish without a word: have the kernel look after it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from mirai_py.descriptors import connections
from mirai_py.timer import timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirai_py.timer import Alarm

# A connection on which nothing is acknowledged for this long is at an end, whatever its processes do.
IDLE_SECONDS = 20
INTERVAL_SECONDS = 10
PROBES = 4
# An idle daemon that is silent for as long is asked for a sign of life; after three times that it is cut off.
PULSE_SECONDS = 20.0
MAX_MISSED = 3
SETTLE_SECONDS = 0.5


def keep_alive(port: int) -> int:
    """Turn keepalive on for the TCP connections of this process from or to a port.

    NNG only turns it on, with the two hours of the system.

    Returns:
        How many there are.
    """
    number = 0
    for _, connection in connections(lambda it: _is_of(port, it)):
        with contextlib.suppress(OSError):  # it is gone
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
            number += 1
    return number


def _is_of(port: int, connection: socket.socket) -> bool:
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    return port in (connection.getsockname()[1], connection.getpeername()[1])


class Pulse:
    """Beats while daemons are connected over a network.

    Args:
        port: where the host listens.
        beat: asks silent daemons for a sign of life and cuts those that gave none; tells whether to go on.
    """

    def __init__(self, port: int, beat: Callable[[], bool]) -> None:
        self._port = port
        self._beat = beat
        self._lock = threading.Lock()
        self._new: Alarm | None = None
        self._next: Alarm | None = None
        self._stopped = False

    def joined(self) -> None:
        """A daemon has connected."""
        with self._lock:
            if self._stopped:
                return
            if self._new is None:  # many may come at once: all their connections are looked up together
                self._new = timer.after(SETTLE_SECONDS, self._look_up)
            if self._next is None:
                self._next = timer.after(PULSE_SECONDS, self._go_on)

    def _look_up(self) -> None:
        with self._lock:
            self._new = None
        keep_alive(self._port)

    def _go_on(self) -> None:
        goes_on = self._beat()
        with self._lock:
            self._next = timer.after(PULSE_SECONDS, self._go_on) if goes_on and not self._stopped else None

    def stop(self) -> None:
        """Beat no more."""
        with self._lock:
            self._stopped = True
            for alarm in (self._new, self._next):
                if alarm is not None:
                    alarm.cancel()
