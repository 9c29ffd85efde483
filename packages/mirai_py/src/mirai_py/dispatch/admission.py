"""Who may be a daemon: whoever answers a challenge, and nobody else is heard."""

from __future__ import annotations

import logging
import pickle
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirai_py import frames, handshake, shm
from mirai_py.dispatch.peers import Peer, PeerState
from mirai_py.frames import Kind
from mirai_py.timer import timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirai_py.dispatch.board import Board
    from mirai_py.dispatch.peers import LocalProcess
    from mirai_py.frames import Parts
    from mirai_py.streams import Streams

_log = logging.getLogger("mirai_py")

HANDSHAKE_SECONDS = 10.0
REFUSAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Admission:
    """Lets daemons in.

    Attributes:
        board: where they are put.
        send: sends parts to a pipe, without waiting.
        cut: closes a pipe.
        token: what daemons must know.
        streams: hands out random streams.
        settings: what INIT tells a daemon besides its stream.
        local: finds the local process of a daemon by its pid, None if it is not one of ours.
        welcome: called, under the lock of the board, with each that was let in.
    """

    board: Board
    send: Callable[[int, Parts], None]
    cut: Callable[[int], None]
    token: str
    streams: Streams
    settings: dict[str, Any]
    local: Callable[[int], LocalProcess | None]
    welcome: Callable[[Peer], None]

    def challenge(self, pipe: int) -> None:
        """A pipe was opened: nothing is read from it before it has answered a challenge."""
        peer = Peer(pipe, secrets.token_bytes(handshake.NONCE_SIZE))
        peer.patience = timer.after(HANDSHAKE_SECONDS, lambda: self._cut_if_greeting(peer))
        with self.board.lock:
            if self.board.closed:
                return
            self.board.peers[pipe] = peer
            self.send(pipe, handshake.challenge(peer.nonce))

    def _cut_if_greeting(self, peer: Peer) -> None:
        if peer.state is PeerState.GREETING:
            _log.warning("cut off a peer that did not introduce itself within %.0f s", HANDSHAKE_SECONDS)
            self.cut(peer.pipe)

    def greet(self, peer: Peer, hello: memoryview) -> bool:
        """Let a daemon in that has introduced itself; False if it is refused."""
        who, nonce, refusal = handshake.check_hello(hello, self.token, peer.nonce)
        if who is None or refusal:
            _log.warning("refused a daemon: %s", refusal)
            peer.state = PeerState.REFUSED
            self.send(peer.pipe, frames.text(Kind.REFUSE, refusal))
            timer.after(REFUSAL_SECONDS, lambda: self.cut(peer.pipe))
            return False
        same_machine = bool(who.boot) and who.boot == handshake.boot_id()
        local = self.local(who.pid) if same_machine else None
        shares = bool(who.memory) and shm.can_read(who.memory)
        with self.board.lock:
            if self.board.closed:
                return False
            peer.who, peer.local, peer.shares = who, local, shares
            stream = None if self.streams.fixed else self.streams.take()
            settings = self.settings | {"stream": stream, "memory": shm.own_probe() if shares else ""}
            self.send(peer.pipe, handshake.init(self.token, nonce, pickle.dumps(settings, 5)))
            if peer.patience is not None:
                peer.patience.cancel()
            self.board.connected += 1
            self.board.cumulative += 1
            self.welcome(peer)
        return True
