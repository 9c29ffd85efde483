"""Names of shared memory end with the process that made them, however that ends.

A small process of its own, the sweeper, reads from a pipe which names there are. When the other end of the
pipe is gone, so is the process that held it, and the sweeper removes what is left. It has a session of its
own, so that neither Ctrl-C nor a kill of the whole process group reaches it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

# It knows nothing of this package, and starts in some ten milliseconds.
SOURCE = """
import sys
from _posixshmem import shm_unlink
names = set()
for line in sys.stdin:
    (names.add if line[0] == "+" else names.discard)(line[1:-1])
for name in names:
    try:
        shm_unlink(name)
    except OSError:
        pass
"""
_NOT_FOR_IT = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Sweeper:
    """Removes the names of this process after its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, name: str) -> None:
        """Note a name that is about to be made.

        Raises:
            OSError: nobody could be found to remove it.
        """
        with self._lock:
            self._names.add(name)
            try:
                if self._process is None or not self._tell(f"+{name}\n"):
                    self._start()
            except OSError:
                self._names.discard(name)
                raise

    def remove(self, name: str) -> None:
        """Forget a name that is no more."""
        with self._lock:
            self._names.discard(name)
            if self._process is not None:
                self._tell(f"-{name}\n")

    def _tell(self, text: str) -> bool:
        """Whether there is somebody to tell."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def _start(self) -> None:
        """Start one, in place of one that is dead if there was one."""
        self.close()
        # Its mask is that of this thread: what stops others does not stop it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_IT)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-IS", "-c", SOURCE],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._tell("".join(f"+{name}\n" for name in self._names))

    def close(self) -> None:
        """Have it remove the names that are left, and end."""
        if self._process is None:
            return
        self._hang_up(self._process)
        self._process.wait()
        self._process = None

    def forget(self) -> None:
        """In a forked child: it is the parent's, which must not seem to live on by this end of the pipe."""
        if self._process is not None:
            self._hang_up(self._process)
            self._process.returncode = 0  # no child of this process, so that it cannot be waited for
        self.__init__()  # type: ignore[misc]

    def _hang_up(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what could not be written is tried again
            process.stdin.close()


sweeper = Sweeper()
os.register_at_fork(after_in_child=sweeper.forget)
