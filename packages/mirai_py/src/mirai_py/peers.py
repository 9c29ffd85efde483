"""What the dispatcher knows of tasks and daemons."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from mirai_py.frames import TaskFlag

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirai_py.codes import Code
    from mirai_py.frames import Parts
    from mirai_py.handles import Mirai
    from mirai_py.handshake import Identity
    from mirai_py.timer import Alarm

# A daemon is believed to know this many codes; what is sent twice by mistake does no harm.
_MAX_KNOWN = 10_000


class PeerState(Enum):
    """Where a daemon is in its life, as the host sees it."""

    GREETING = "greeting"
    REFUSED = "refused"
    IDLE = "idle"
    BUSY = "busy"
    LEAVING = "leaving"


@dataclass(slots=True, eq=False)
class Task:
    """A call that was submitted."""

    mirai: Mirai
    id: int
    codes: tuple[Code, ...]
    body: Parts
    size: int
    flags: int = TaskFlag.NONE
    peer: Peer | None = None
    barrier: Barrier | None = None


@dataclass(slots=True, eq=False)
class Peer:
    """A daemon that is connected.

    Attributes:
        running: what was sent to it and is not resolved by it, in the order in which it runs that.
        bound: tasks that are for it alone and have not been sent, where there is no dispatcher.
        known: codes that it has.
        heard: when its last result came.
        controls: control frames that wait until the one under way is acknowledged.
        cancels: ids of tasks to cancel, which go as one control frame.
        recalled: it was asked to give back what it has not begun.
        ordered_out: it is to leave once it has nothing to do.
        patience: ends the connection if it does not introduce itself.
        local: its process, if this host started it.
    """

    pipe: int
    nonce: bytes
    state: PeerState = PeerState.GREETING
    who: Identity | None = None
    running: dict[int, Task] = field(default_factory=dict)
    bound: deque[Task] = field(default_factory=deque)
    known: set[bytes] = field(default_factory=set)
    heard: float = 0.0
    controls: deque[Parts] = field(default_factory=deque)
    cancels: list[int] = field(default_factory=list)
    control_sent: bool = False
    recalled: bool = False
    ordered_out: bool = False
    patience: Alarm | None = None
    local: LocalProcess | None = None

    def lacks(self, code: Code) -> bool:
        """Whether it does not have this code; it is taken to have it from now on."""
        if code.key in self.known:
            return False
        if len(self.known) >= _MAX_KNOWN:
            self.known.clear()
        self.known.add(code.key)
        return True


@dataclass(slots=True, eq=False)
class Barrier:
    """The tasks of one `everywhere`: one for each daemon, before anything behind them is begun.

    Attributes:
        members: those that no daemon has been given yet.
        waited_for: daemons that were connected at the call.
        served: daemons that have been given theirs.
    """

    members: deque[Task]
    waited_for: set[Peer]
    served: set[Peer] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Replay:
    """An `everywhere` that daemons which connect later run as well.

    Attributes:
        barrier: its tasks for the daemons of the moment; one that no daemon has been given goes to the next
            that connects.
        watch: called with the mirai of each replay.
    """

    codes: tuple[Code, ...]
    body: Parts
    barrier: Barrier
    watch: Callable[[Mirai], object]


@dataclass(frozen=True, slots=True)
class Counts:
    """Where the tasks and daemons of a profile are."""

    connections: int
    cumulative: int
    awaiting: int
    executing: int
    completed: int


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """What the launcher knows of a daemon on this machine.

    Attributes:
        started: reads the id of the task that the daemon started last.
        finished: status and body of results that it had not sent when it ended, by task.
        when_ended: calls back with exit code or signal once the process is gone; with nothing if that
            takes too long.
    """

    started: Callable[[], int]
    finished: Callable[[], dict[int, tuple[int, bytes]]]
    when_ended: Callable[[Callable[[dict[str, Any]], None]], None]
