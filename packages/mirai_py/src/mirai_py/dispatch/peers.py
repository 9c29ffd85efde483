"""What the dispatcher knows of tasks and daemons."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from mirai_py.bodies import Reference
from mirai_py.frames import TaskFlag
from mirai_py.shm import Lent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mirai_py.codes import Code
    from mirai_py.frames import Parts
    from mirai_py.handles import Mirai
    from mirai_py.handshake import Identity
    from mirai_py.lane import Lane
    from mirai_py.outcomes import Outcomes
    from mirai_py.pages import Page
    from mirai_py.shm import Lease, Segment
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
    holders: tuple[Segment | Lease, ...] = ()
    peer: Peer | None = None
    barrier: Barrier | None = None


@dataclass(slots=True, eq=False)
class Mapped:
    """A map whose elements travel in chunks.

    Attributes:
        outcomes: what became of the elements.
        codes: the function, the constant arguments, then `once` objects.
        pages: the elements, packed.
        starts: positions of the first elements of the pages.
        sizes: bytes of all pages before each.
    """

    outcomes: Outcomes
    codes: tuple[Code, ...]
    pages: list[Page]
    starts: list[int]
    sizes: list[int]

    @classmethod
    def of(cls, outcomes: Outcomes, codes: tuple[Code, ...], pages: list[Page]) -> Mapped:
        """Number and measure the pages."""
        starts = list(accumulate((page.count for page in pages), initial=0))
        sizes = list(accumulate((page.size for page in pages), initial=0))
        return cls(outcomes, codes, pages, starts, sizes)

    def size(self, first: int, end: int) -> int:
        """Bytes that elements take in the queue; those of neighbours add up."""
        return self._size_before(end) - self._size_before(first)

    def _size_before(self, position: int) -> int:
        number = self._page_of(position)
        if number == len(self.pages):
            return self.sizes[-1]
        page = self.pages[number]
        return self.sizes[number] + page.size * (position - self.starts[number]) // page.count

    def _page_of(self, position: int) -> int:
        return bisect_right(self.starts, position) - 1

    def fitting(self, first: int, end: int, size: int) -> int:
        """The end, or an earlier one so that the pages have at most so many bytes; at least one page."""
        number = self._page_of(first)
        last = bisect_right(self.sizes, self.sizes[number] + size) - 1
        return min(end, self.starts[max(last, number + 1)])

    def cut(self, first: int, end: int) -> tuple[int, list[Page]]:
        """The pages that hold these elements, and how many of the first page come before them."""
        number = self._page_of(first)
        pages = self.pages[number : self._page_of(end - 1) + 1]
        return first - self.starts[number], pages


@dataclass(slots=True, eq=False)
class Span:
    """Elements of a map that follow each other: in the queue, or at a daemon that has not resolved them."""

    mapped: Mapped
    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def ids(self) -> tuple[int, int]:
        """The first id, and the one behind the last."""
        return self.mapped.outcomes.first + self.first, self.mapped.outcomes.first + self.end

    @property
    def key(self) -> bytes:
        """Hash of the function."""
        return self.mapped.codes[0].key

    @property
    def size(self) -> int:
        """Bytes that it takes in the queue."""
        return self.mapped.size(self.first, self.end)


@dataclass(slots=True, eq=False)
class Peer:
    """A daemon that is connected.

    Attributes:
        running: what was sent to it and is not resolved by it, in the order in which it runs that.
        bound: tasks that are for it alone and have not been sent, where there is no dispatcher.
        chunk: elements of a map that were sent to it and are not resolved by it.
        known: codes that it has.
        heard: when its last result came.
        missed: how many beats of the pulse have gone by since it said anything.
        controls: control frames that wait until the one under way is acknowledged.
        cancels: ids of tasks to cancel, which go as one control frame.
        cancelled_spans: ids of elements to cancel, the same.
        recalled: it was asked to give back what it has not begun.
        ordered_out: it is to leave once it has nothing to do.
        patience: ends the connection if it does not introduce itself.
        local: its process, if this host started it.
        shares: it and the host can read each other's memory.
        lent: segments of the host that it may be using.
        released: segments of its own that the host does not use any more, and how often it was told of each.
    """

    pipe: int
    nonce: bytes
    state: PeerState = PeerState.GREETING
    who: Identity | None = None
    running: dict[int, Task] = field(default_factory=dict)
    bound: deque[Task] = field(default_factory=deque)
    chunk: Span | None = None
    known: set[bytes] = field(default_factory=set)
    heard: float = 0.0
    missed: int = 0
    controls: deque[Parts] = field(default_factory=deque)
    cancels: list[int] = field(default_factory=list)
    cancelled_spans: list[tuple[int, int]] = field(default_factory=list)
    control_sent: bool = False
    recalled: bool = False
    ordered_out: bool = False
    patience: Alarm | None = None
    local: LocalProcess | None = None
    shares: bool = False
    lent: Lent = field(default_factory=Lent)
    released: list[tuple[int, int]] = field(default_factory=list)

    @property
    def load(self) -> int:
        """How many tasks and elements it has not resolved."""
        return len(self.running) + (0 if self.chunk is None else len(self.chunk))

    @property
    def lane(self) -> Lane | None:
        """The short way to it, if there is one."""
        return None if self.local is None else self.local.lane

    def news_of(self, codes: Iterable[Code]) -> dict[bytes, bytes]:
        """Those of these codes that it does not have; it is taken to have them from now on."""
        return {code.key: self.body_of(code) for code in codes if self.lacks(code)}

    def body_of(self, code: Code) -> bytes:
        """The bytes of a code as it can read them."""
        if not isinstance(code.body, Reference):
            return code.body
        if not self.shares:
            return code.inlined()
        self.lent.lend(code.body.holders)
        return code.body

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
        pieces: the same of elements of maps: id of the first, number, page of values.
        lane: the short way to it.
        when_ended: calls back with exit code or signal once the process is gone; with nothing if that
            takes too long.
    """

    started: Callable[[], int]
    finished: Callable[[], dict[int, tuple[int, bytes]]]
    pieces: Callable[[], Sequence[tuple[int, int, bytes]]]
    lane: Lane | None
    when_ended: Callable[[Callable[[dict[str, Any]], None]], None]
