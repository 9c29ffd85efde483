"""Control frames: one at a time to each daemon, which acknowledges it.

So a daemon is never told of a cancellation before the task, and what waits meanwhile goes together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirai_py import frames
from mirai_py.frames import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirai_py.dispatch.peers import Peer
    from mirai_py.frames import Parts


class Controls:
    """Tells daemons what to do besides tasks. To be used under the lock of the board.

    Args:
        send: sends parts to a pipe, without waiting.
    """

    def __init__(self, send: Callable[[int, Parts], None]) -> None:
        self._send = send

    def order(self, peer: Peer, parts: Parts) -> None:
        """Send a control frame as soon as those before it are acknowledged."""
        peer.controls.append(parts)
        self.flush(peer)

    def flush(self, peer: Peer) -> None:
        """Send the next control frame, if none is unacknowledged; cancellations that waited go as one."""
        if peer.control_sent:
            return
        if peer.cancels:
            peer.controls.appendleft(frames.ids(Kind.CANCEL, peer.cancels))
            peer.cancels = []
        if peer.released:
            peer.controls.append(frames.ranges(Kind.RELEASED, peer.released))
            peer.released = []
        if peer.cancelled_spans:
            peer.controls.appendleft(frames.ranges(Kind.CANCEL, peer.cancelled_spans))
            peer.cancelled_spans = []
        if peer.controls:
            peer.control_sent = True
            self._send(peer.pipe, peer.controls.popleft())

    def acknowledged(self, peer: Peer) -> None:
        """The daemon has got the last one."""
        peer.control_sent = False
        self.flush(peer)
