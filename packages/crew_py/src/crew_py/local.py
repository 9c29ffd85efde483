"""Workers as processes on this machine."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import weakref
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import mirai_py
from crew_py.errors import CrewError, CrewTypeError
from crew_py.launcher import CrewLauncher
from crew_py.names import crew_random_name
from crew_py.options import CrewOptionsLocal
from crew_py.processes import crew_terminate_signal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = (
    "CrewLauncherLocal",
    "LocalWorker",
    "crew_class_launcher_local",
    "crew_launcher_local",
)

TAIL_LINES: Final = 20
TAIL_BYTES: Final = 16_384
# Private logs of so many ended workers are kept for reports of crashes.
ENDED_KEPT: Final = 50
SECONDS_TO_END: Final = 2.0
_living: weakref.WeakSet[LocalWorker] = weakref.WeakSet()


class LocalWorker:
    """A worker process: the handle of `crew_launcher_local`.

    It lives in a session of its own, so that Ctrl-C in the terminal does not reach it, and is killed when
    this interpreter exits.

    Args:
        profile: the compute profile that it serves: mirai_py knows it from the start. So it ends when this
            process does, however that ends, and should it crash, only the task that it was running is lost.
        command: what to run.
        environment: its environment.
        out: file to append stdout to.
        err: file to append stderr to. With None for both, the output goes to a file without a name, which is
            gone with its last user, however that ends.
    """

    def __init__(
        self,
        profile: str,
        command: list[str],
        environment: dict[str, str],
        out: Path | None,
        err: Path | None,
    ) -> None:
        self._err = err
        self._private: IO[bytes] | None = None
        self._owner = os.getpid()
        with contextlib.ExitStack() as stack:
            stdout: IO[bytes]
            stderr: IO[bytes]
            if out is None or err is None:
                stdout = stderr = stack.enter_context(tempfile.TemporaryFile(buffering=0))
                self._private = os.fdopen(os.dup(stdout.fileno()), "rb", buffering=0)
                stack.callback(self._forget_unless_started)
            else:
                stdout, stderr = (stack.enter_context(path.open("ab", buffering=0)) for path in (out, err))
            self._daemon = mirai_py.launch_process(
                command,
                compute=profile,
                env=environment,
                stdout=stdout,
                stderr=subprocess.STDOUT if out == err else stderr,
            )
        _living.add(self)
        self.on_end(partial(_living.discard, self))

    @property
    def log(self) -> str | None:
        """Path of the file with its output (with its stderr, if apart); None if it is private."""
        return None if self._err is None else str(self._err)

    def on_end(self, call: Callable[[], object]) -> None:
        """Have something called, on a thread, when the process ends; at once if it has ended."""
        self._daemon.when_ended(lambda _: call(), patience=None)

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._daemon.returncode is None

    def get_pid(self) -> int:
        """The process id."""
        return self._daemon.pid

    def get_exit_status(self) -> int | None:
        """The exit code, minus the signal's number if one ended it, or None while it runs."""
        return self._daemon.returncode

    def signal(self, number: int) -> None:
        """Send a signal; one that has ended gets none."""
        if self._owner == os.getpid():
            self._daemon.signal(number)

    def kill(self) -> None:
        """End the process at once."""
        self.signal(signal.SIGKILL)

    def join(self, seconds: float | None = None) -> bool:
        """Wait for the end.

        Args:
            seconds: how long at most; None for ever.

        Returns:
            Whether it has ended.
        """
        return self._daemon.wait(seconds)

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of its output."""
        try:
            with self._opened() as file:
                # Not by the file's position: that is the worker's, too.
                end = os.fstat(file.fileno()).st_size
                start = max(0, end - TAIL_BYTES)
                text = os.pread(file.fileno(), end - start, start).decode(errors="replace")
        except (OSError, ValueError):  # deleted, or closed
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _opened(self) -> contextlib.AbstractContextManager[IO[bytes]]:
        if self._private is not None:
            return contextlib.nullcontext(self._private)
        assert self._err is not None
        return self._err.open("rb")

    def _forget_unless_started(self) -> None:
        if not hasattr(self, "_daemon"):
            self.forget_output()

    def forget_output(self) -> None:
        """Let go of the private output."""
        if self._private is not None:
            self._private.close()

    def __repr__(self) -> str:
        status = self.get_exit_status()
        return (
            f"LocalWorker(pid={self.get_pid()}, {'running' if status is None else f'exit status {status}'})"
        )


@dataclass(eq=False, repr=False)
class CrewLauncherLocal(CrewLauncher):
    """Start workers as processes on this machine.

    Args:
        seconds_idle: as in `crew_launcher`, but workers stay by default.
        options_local: from `crew_options_local`; None for private logs.
        **others: see `crew_launcher`.

    Example:
        >>> crew_launcher_local(name="main", workers=2).workers
        2
    """

    seconds_idle: float = math.inf
    options_local: CrewOptionsLocal | None = None

    def __post_init__(self) -> None:
        self.options_local = CrewOptionsLocal() if self.options_local is None else self.options_local
        self._living: list[LocalWorker] = []
        self._ended: deque[LocalWorker] = deque()
        super().__post_init__()

    def validate(self) -> None:
        """Check the fields and the hooks."""
        super().validate()
        if not isinstance(self.options_local, CrewOptionsLocal):
            raise CrewTypeError(
                f"`options_local` must come from crew_options_local(), got {self.options_local!r}"
            )

    def launch_worker(self, call: str) -> LocalWorker:
        """Start one process that runs the call."""
        self._sort_out()
        assert self.options_local is not None
        name = crew_random_name(8)
        directory = self._directory()
        out: Path | None
        err: Path | None
        if directory is None:
            out = err = None
        elif self.options_local.log_join:
            out = err = directory / f"{name}.log"
        else:
            out, err = directory / f"{name}-stdout.log", directory / f"{name}-stderr.log"
        command = [sys.executable, *self.python_arguments, "-c", call]
        _, profile = self._started()
        try:
            worker = LocalWorker(profile, command, _environment(), out, err)
        except (OSError, mirai_py.MiraiException) as error:
            raise CrewError(f"controller {self.name!r}: cannot start a worker: {error}") from error
        worker.on_end(self._wake)
        self._living.append(worker)
        return worker

    def find_worker(self, pid: int) -> LocalWorker | None:
        """The newest worker with this process id."""
        return next(
            (w for w in (*reversed(self._living), *reversed(self._ended)) if w.get_pid() == pid), None
        )

    def terminate(self) -> None:
        """Stop serving, and end the processes that the end of the client has not ended."""
        super().terminate()
        number = crew_terminate_signal()
        for worker in self._living:
            worker.signal(number)
        deadline = time.monotonic() + SECONDS_TO_END
        for worker in self._living:
            if not worker.join(max(0.0, deadline - time.monotonic())):
                worker.kill()
                worker.join()
        for worker in (*self._living, *self._ended):
            worker.forget_output()
        self._living.clear()
        self._ended.clear()

    def _directory(self) -> Path | None:
        assert self.options_local is not None
        directory = self.options_local.directory()
        if directory is None:
            return None
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CrewError(f"cannot make the log_directory {str(directory)!r}: {error}") from error
        return directory

    def _sort_out(self) -> None:
        """Keep the ended apart from the living, and the private logs of the newest of them only."""
        self._ended.extend(worker for worker in self._living if not worker.is_alive())
        self._living = [worker for worker in self._living if worker.is_alive()]
        while len(self._ended) > ENDED_KEPT:
            self._ended.popleft().forget_output()


_OWN_PATHS: Final = ("stdlib", "platstdlib", "purelib", "platlib")


def _environment() -> dict[str, str]:
    """This process's environment, with the folders of `sys.path` that a new interpreter would lack.

    Not those of the interpreter itself: a task may start another Python, which they would break.
    """
    own = {os.path.realpath(sysconfig.get_path(name)) for name in _OWN_PATHS}
    extra = [p for p in sys.path if p and Path(p).exists() and not _is_within(os.path.realpath(p), own)]
    if not extra:
        return dict(os.environ)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(extra)}


def _is_within(path: str, folders: set[str]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)


@atexit.register
def _kill_all() -> None:
    for worker in list(_living):
        worker.kill()


crew_launcher_local = CrewLauncherLocal
crew_class_launcher_local = CrewLauncherLocal
