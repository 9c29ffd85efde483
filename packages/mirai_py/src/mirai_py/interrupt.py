"""Tasks that end early: those that are stopped, by a signal; and the children that tasks fork."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
import weakref
from typing import TYPE_CHECKING, Any, NoReturn

from mirai_py.descriptors import close_connections
from mirai_py.timer import timer

if TYPE_CHECKING:
    from collections.abc import Iterable

# A signal that nobody uses, which by default does nothing.
NUDGE = getattr(signal, "SIGURG", signal.SIGINT)
NUDGE_SECONDS = 0.005
ALARM = getattr(signal, "SIGALRM", NUDGE)
MAX_NUDGE_SECONDS = 1.0


class Interrupt:
    """Lets another thread interrupt the task that runs, and none but that one.

    A signal wakes even a sleeping task: `signal.pthread_kill` on the thread that runs it. The handler raises
    only if a task that was meant is still the one that runs. At most one SIGINT of ours is under way, so
    that any other is known to come from elsewhere, and interrupts whatever runs.

    A signal that arrives just before a task blocks in a system call is noted by the interpreter but does not
    end the call. So another one, which means nothing by itself, follows until the first has been handled.

    Attributes:
        running: the task that runs.
        any_unwanted: there may be tasks that must not start.
        forked: this process is the child of a task, which has to end where the task does.
        url: where the host is that gives the tasks.
    """

    def __init__(self) -> None:
        self.running: int | None = None
        self.any_unwanted = False
        self.forked = False
        self.url = ""
        self._ended = False
        self._unwanted: set[int] = set()
        self._signalled = False
        self._thread = threading.get_ident()
        self._installed = False
        self._before: list[tuple[int, Any]] = []

    def install(self, url: str) -> None:
        """Take over the signals, if this is the main thread, and what tasks fork.

        Args:
            url: of the host: a child of a task must not hold the connection to it, else the host would take
                this daemon to be there for as long as the child is.
        """
        self.url = url
        if threading.current_thread() is threading.main_thread():
            handlers = {signal.SIGINT: self._handle, NUDGE: _ignore}
            if signal.getsignal(ALARM) is signal.SIG_DFL:
                handlers[ALARM] = _ignore  # one that a task has set and left behind must not end another
            self._before = [(number, signal.signal(number, handler)) for number, handler in handlers.items()]
            self._installed = True
        _serving.add(self)

    def uninstall(self) -> None:
        """Give the signals back."""
        self._installed = False
        _serving.discard(self)
        while self._before:
            number, handler = self._before.pop()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def __call__(self, task: int) -> None:
        """Interrupt this task if it runs, and never let it start; from any thread."""
        self.refuse((task,))
        if self._installed and self.running == task and not self._signalled:
            self._signalled = True
            signal.pthread_kill(self._thread, signal.SIGINT)
            timer.after(NUDGE_SECONDS, lambda: self._nudge(NUDGE_SECONDS))

    def refuse(self, tasks: Iterable[int]) -> None:
        """Never let these start; from any thread."""
        self._unwanted.update(tasks)
        self.any_unwanted = True

    def end(self) -> None:
        """Let nothing start any more."""
        self._ended = True
        self.any_unwanted = True

    def _nudge(self, seconds: float) -> None:
        if self._signalled and self._installed:
            signal.pthread_kill(self._thread, NUDGE)
            longer = min(2 * seconds, MAX_NUDGE_SECONDS)
            timer.after(longer, lambda: self._nudge(longer))

    def unwanted(self, task: int) -> bool:
        """Whether this task must not start."""
        return self._ended or task in self._unwanted

    def forget_all_but(self, tasks: Iterable[int]) -> None:
        """Forget tasks that were unwanted, as these are the ones under way now."""
        if self._unwanted:
            self._unwanted = self._unwanted.intersection(tasks)
        self.any_unwanted = self._ended or bool(self._unwanted)

    def begin(self, task: int) -> None:
        """Mark a task as the one that runs.

        Raises:
            KeyboardInterrupt: it is not wanted any more.
        """
        self.running = task
        if self.unwanted(task):
            raise KeyboardInterrupt

    def _handle(self, _number: int, _frame: object) -> None:
        ours, self._signalled = self._signalled, False
        running = self.running
        if running is None or (ours and running not in self._unwanted):
            return
        if ours:
            self.running = None  # it is interrupted once, however it takes it
        raise KeyboardInterrupt


def _ignore(_number: int, _frame: object) -> None:
    """Handle a signal that is only meant to end a system call, or means nobody any more."""


# Those of the daemons in this process.
_serving: weakref.WeakSet[Interrupt] = weakref.WeakSet()


def _mark_child() -> None:
    for interrupt in _serving:
        interrupt.forked = True
        close_connections(interrupt.url)


os.register_at_fork(after_in_child=_mark_child)


def leave_child() -> NoReturn:
    """End this process, the child of a task, where the task ended: its value is the parent's to give.

    With the code that it asked for by `sys.exit`, 1 after any other exception, else 0.
    """
    error = sys.exception()
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or full
            stream.flush()
    os._exit(code & 0xFF)
