"""Child processes that nobody waits for yet."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import weakref
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

    from targets_py.child.interpreter import Child


class BackgroundProcess:
    """A function that runs in another process; made by `callr_r_bg()`.

    Its temporary files go with this object, or with `close()`, which leaving a `with` block calls.

    Example:
        >>> with callr_r_bg(lambda: print("hello")) as process:
        ...     process.wait(), process.read_output().strip()
        (True, 'hello')
    """

    def __init__(self, child: Child, output: Path) -> None:
        self._child = child
        self._output = output
        self._read = 0
        self._outcome: tuple[bool, Any] | None = None
        _running.add(self)
        self._finalizer = weakref.finalize(self, shutil.rmtree, child.folder, ignore_errors=True)
        self._finalizer.atexit = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.process.pid

    def is_alive(self) -> bool:
        """Whether the child still runs."""
        return self._child.process.poll() is None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the child's end.

        Args:
            timeout: Longest wait in seconds; None: as long as it takes.

        Returns:
            Whether the child has ended.
        """
        try:
            self._child.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def get_result(self) -> Any:
        """Wait for the child's end and return what the function returned, or raise what it raised.

        Raises:
            TarRunError: The child process ended without a result.
            Exception: What the function raised.
        """
        self.wait()
        _running.discard(self)
        if self._outcome is None:
            try:
                self._outcome = True, self._child.result()
            except BaseException as error:
                self._outcome = False, error
            self._child.close()
        returned, value = self._outcome
        if not returned:
            raise value from None
        return value

    def read_output(self) -> str:
        """What the child has written since the last call, as text."""
        with self._output.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        return data.decode(errors="replace")

    def kill(self) -> None:
        """End the child at once."""
        self._child.process.kill()
        self._child.process.wait()

    def close(self) -> None:
        """End the child, after a moment to write down what it has, and remove its temporary files."""
        self._child.close()
        self._finalizer()
        _running.discard(self)

    def __repr__(self) -> str:
        code = self._child.process.poll()
        state = "running" if code is None else f"ended with code {code}"
        return f"<BackgroundProcess pid={self.pid} {state}>"


# Background processes that nobody may hold: without this one they would end as soon as they are garbage.
_running: set[BackgroundProcess] = set()


def forget_ended() -> None:
    """Hold no longer what has ended."""
    for process in [process for process in _running if not process.is_alive()]:
        _running.discard(process)


@atexit.register
def _close_running() -> None:
    for process in list(_running):
        if process._child.supervised or not process.is_alive():  # noqa: SLF001 - of this module
            process.close()
