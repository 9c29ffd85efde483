"""The parent's side of a child interpreter."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarRunError, TarValidateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from targets_py.child.sinks import Sinks

BOOTSTRAP = (
    "import pickle,sys;sys.path[:]=pickle.load(sys.stdin.buffer);"
    "from targets_py.child.entry import main;main(sys.argv[1])"
)
LEAVE_SECONDS = 10.0  # how long an interrupted child may take to write down what it has when nobody waits


class Child:
    """A child interpreter that runs one function."""

    def __init__(
        self,
        func: Callable[..., Any],
        args: Mapping[str, Any],
        folder: str,
        sinks: Sinks,
        *,
        env: Mapping[str, str] | None,
        cwd: str | os.PathLike[str] | None,
        python: str | None,
        supervise: bool = True,
    ) -> None:
        import cloudpickle

        self._sinks = sinks
        self.folder = folder
        self.supervised = supervise
        self._result = Path(folder, "result")
        try:
            payload = pickle.dumps(sys.path) + cloudpickle.dumps((supervise, func, dict(args)))
            self.process = self._start(env, cwd, python or sys.executable)
        except BaseException:
            sinks.close()
            raise
        sinks.start()
        self._send(payload)

    def _start(
        self, env: Mapping[str, str] | None, cwd: str | os.PathLike[str] | None, python: str
    ) -> subprocess.Popen[bytes]:
        environment = {"PYTHONHASHSEED": "0", **os.environ, **(env or {})}
        try:
            return subprocess.Popen(
                [python, "-c", BOOTSTRAP, str(self._result)],
                stdin=subprocess.PIPE,
                stdout=self._sinks.stdout,
                stderr=self._sinks.stderr,
                env=environment,
                cwd=cwd,
            )
        except OSError as error:
            raise TarValidateError(f"cannot start a child process with python={python!r}: {error}") from None

    def _send(self, payload: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(payload)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended already: result() says how
        except BaseException:
            self.close()
            raise

    def wait_forwarding_interrupts(self) -> bool:
        """Wait for the end; the first Ctrl-C goes to the child, the second kills it.

        Returns:
            Whether there was one.
        """
        interrupted = False
        while True:
            try:
                self.process.wait()
            except KeyboardInterrupt:
                if interrupted:
                    self.process.kill()
                elif os.name == "posix":
                    self.process.send_signal(signal.SIGINT)
                interrupted = True
            else:
                return interrupted

    def result(self, *, interrupted: bool = False) -> Any:
        """What the function returned; raises what it raised."""
        self._sinks.close()
        try:
            returned, data, original = pickle.loads(self._result.read_bytes())
        except FileNotFoundError:
            if interrupted:
                raise KeyboardInterrupt from None
            raise TarRunError(_death(self.process.returncode)) from None
        if returned:
            return pickle.loads(data)
        error = pickle.loads(data)
        if original is not None:
            # The class may not be importable here.
            with contextlib.suppress(Exception):
                error.original = pickle.loads(original)
        if interrupted and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise error from None

    def close(self) -> None:
        """Let go of the lifeline and see that the child ends."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            self.process.wait(LEAVE_SECONDS + 1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._sinks.close()


def _death(code: int) -> str:
    if code >= 0:
        return f"the child process ended with exit code {code} and without a result"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"the child process was killed by {name}"
