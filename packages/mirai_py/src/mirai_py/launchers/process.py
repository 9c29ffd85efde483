"""Run the programs that start daemons, and tell what goes wrong with them."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import threading
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from mirai_py.errors import MiraiLaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log = logging.getLogger("mirai_py")

LAST_LINES = 20
# Its last lines may still be on the way when a program has ended.
READ_SECONDS = 1.0
# An SSH server turns connections away that come all at once: by its default settings from the tenth on.
AT_ONCE = 8


class Course(Enum):
    """What becomes of a program that starts a daemon."""

    LASTS = "may run for as long as the daemon"
    RETURNS = "ends when the daemon is on its way"
    DETACHES = "likewise, and leaves a part of it in the background"


@dataclass(frozen=True)
class Invocation:
    """One run of a program.

    Attributes:
        words: the program and its arguments; no shell sees them.
        script: what it reads from stdin; None for nothing.
    """

    words: list[str]
    script: str | None = None


@dataclass(eq=False)
class _Running:
    """A program under way, whose output a thread reads: what it says is known when it fails."""

    program: str
    process: subprocess.Popen[str]
    course: Course
    is_set: Callable[[], bool]
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        name = f"mirai_py-launcher-{self.process.pid}"
        self.reader = threading.Thread(target=self._read, name=name, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        with self.process.stdout or contextlib.nullcontext(()) as output:
            for line in output:
                self.lines.append(line.rstrip())
                if self.course is Course.DETACHES and self.process.poll() == 0 and self.is_set():
                    _log.warning("%s: %s", self.program, self.lines[-1])
        if self.course is not Course.LASTS:
            return
        code = self.process.wait()
        if code and self.is_set():
            _log.warning("a launcher of daemons failed: %s", self.failure(code))

    def await_return(self) -> None:
        """Wait for its end, and see that it has not failed."""
        if code := self.process.wait():
            self.reader.join(READ_SECONDS)
            raise MiraiLaunchError(f"a daemon could not be started: {self.failure(code)}")

    def failure(self, code: int) -> str:
        """How it failed, with the last that it wrote."""
        words = "\n".join(self.lines)
        tail = f"; the last it wrote:\n{words}" if words else "; it wrote nothing"
        return f"{self.program} ended with {_in_words(code)}{tail}"

    def end(self) -> None:
        """End it unless it has ended."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def _in_words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def run(invocations: Sequence[Invocation], *, course: Course, show: bool, is_set: Callable[[], bool]) -> None:
    """Run programs that start daemons.

    Args:
        invocations: what to run.
        course: what becomes of them. One that returns is waited for; the failure of one that lasts, and what
            comes from the background, is logged.
        show: whether what the daemons write appears at the host.
        is_set: whether the host still waits for daemons.

    Raises:
        MiraiLaunchError: one cannot be run, or has failed.
    """
    running: list[_Running] = []
    try:
        for invocation in invocations:
            if course is not Course.LASTS and len(running) >= AT_ONCE:
                running[-AT_ONCE].await_return()
            started = _start(invocation, course=course, show=show, is_set=is_set)
            running.append(started)
        if course is not Course.LASTS:
            for program in running[-AT_ONCE:]:
                program.await_return()
    except BaseException:
        for program in running:
            program.end()
        raise


def _start(invocation: Invocation, *, course: Course, show: bool, is_set: Callable[[], bool]) -> _Running:
    output = None if show else subprocess.PIPE
    try:
        process = subprocess.Popen(
            invocation.words,
            stdin=subprocess.DEVNULL if invocation.script is None else subprocess.PIPE,
            stdout=output,
            stderr=None if show else subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C is for the host; but a program that returns may have to ask for a password.
            start_new_session=course is Course.LASTS,
        )
    except OSError as error:
        raise MiraiLaunchError(f"cannot run {invocation.words[0]!r} to start a daemon: {error}") from error
    started = _Running(invocation.words[0], process, course, is_set)
    if process.stdin is not None:
        # A program that does not want to read tells why by its exit code.
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(invocation.script or "")
    return started
