"""Local daemons end with their host, however it ends and whatever they are doing.

Each inherits the read end of a pipe whose write end only the host holds. On Linux the kernel signals the
daemon when that write end is gone: even a task that keeps the interpreter inside C code is ended, within
milliseconds. Elsewhere a thread waits for the end of the pipe.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from dataclasses import dataclass

from mirai_py.errors import MiraiException

LOCAL_VARIABLE = "MIRAI_PY_LOCAL"


class ForkedError(MiraiException, RuntimeError):
    """This process was forked from one that had daemons: it may use neither them nor others."""


@dataclass(slots=True)
class _Process:
    """What this process has done, and whether it is a forked child that inherited it."""

    has_sockets: bool = False
    forked: bool = False


_process = _Process()


def claim_process() -> None:
    """Note that this process opens sockets: a child forked later may not use them."""
    check_process()
    _process.has_sockets = True


def check_process() -> None:
    """See that this process may use sockets and wait for tasks.

    Raises:
        ForkedError: it was forked from one that had daemons.
    """
    if _process.forked:
        raise ForkedError(
            "mirai_py cannot be used in a process that was forked from one that has daemons; start the "
            'process anew, for example with multiprocessing\'s "spawn" method'
        )


def is_forked() -> bool:
    """Whether this process was forked from one that had daemons."""
    return _process.forked


def die_with_host(life: int | None) -> None:
    """Arrange that this process gets SIGTERM when the pipe of descriptor `life` loses its writer."""
    if life is None:
        return
    if sys.platform != "linux":
        threading.Thread(target=_wait_for_end, args=(life,), name="mirai_py-host", daemon=True).start()
        return
    import fcntl

    # A description of its own: the inherited one is shared with the other daemons of this host, and owner
    # and signal belong to the description.
    own = os.open(f"/proc/self/fd/{life}", os.O_RDONLY | os.O_NONBLOCK)
    os.close(life)
    fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)
    with contextlib.suppress(BlockingIOError):
        if os.read(own, 1) == b"":  # the host was gone before the kernel was asked
            os.kill(os.getpid(), signal.SIGTERM)


def _wait_for_end(life: int) -> None:
    while os.read(life, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(slots=True)
class LifeLine:
    """The host's end: a pipe that nobody writes to."""

    reader: int
    writer: int

    @classmethod
    def make(cls) -> LifeLine:
        """A pipe that children do not inherit unless they are given it."""
        return cls(*os.pipe())

    def close_writer_after_fork(self) -> None:
        """A forked child must not keep the daemons of its parent alive."""
        with contextlib.suppress(OSError):
            os.close(self.writer)


_line: LifeLine | None = None
_making = threading.Lock()


def life_line() -> LifeLine:
    """The pipe of this process; the same for all its daemons."""
    global _line
    with _making:
        if _line is None:
            _line = LifeLine.make()
        return _line


def _after_fork() -> None:
    global _line
    _process.forked = _process.forked or _process.has_sockets
    if _line is not None:
        _line.close_writer_after_fork()
        _line = None


os.register_at_fork(after_in_child=_after_fork)
