"""What a task must not leave behind in its daemon: taken before it runs, put back after.

Modules stay loaded (unloading them is unsafe), the state of `random` goes on, and an object that a task
changes in place stays changed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from dataclasses import dataclass
from operator import is_
from typing import Any

from mirai_py.guard import handler_of

_SIGNALS = tuple(
    getattr(signal, name)
    for name in (
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGTERM",
        "SIGALRM",
        "SIGUSR1",
        "SIGUSR2",
        "SIGCHLD",
        "SIGPIPE",
        "SIGURG",
    )
    if hasattr(signal, name)
)


@dataclass(slots=True)
class Surroundings:
    """Names, environment variables, working directory, search path, warning filters and signal handlers."""

    names: dict[str, Any]
    environ: dict[bytes, bytes]
    directory: str | None
    path: list[str]
    filters: list[Any]
    handlers: list[Any]

    @classmethod
    def of(cls, namespace: dict[str, Any]) -> Surroundings:
        """Take them as they are now."""
        return cls(
            dict(namespace),
            dict(_environ()),
            _directory(),
            list(sys.path),
            list(warnings.filters),
            _handlers(),
        )

    def restore(self, namespace: dict[str, Any]) -> None:
        """Put back what differs."""
        if namespace.keys() != self.names.keys() or not all(
            map(is_, namespace.values(), self.names.values())
        ):
            namespace.clear()
            namespace.update(self.names)
        if _environ() != self.environ:
            self._restore_environ()
        if self.directory is not None and _directory() != self.directory:
            os.chdir(self.directory)
        if sys.path != self.path:
            sys.path[:] = self.path
        if warnings.filters != self.filters:
            warnings.filters[:] = self.filters  # type: ignore[index]
            warnings._filters_mutated()  # type: ignore[attr-defined]
        if not all(map(is_, self.handlers, _handlers())):
            self._restore_handlers()

    def _restore_environ(self) -> None:
        before = {os.fsdecode(k): os.fsdecode(v) for k, v in self.environ.items()}
        for name in [name for name in os.environ if name not in before]:
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value

    def _restore_handlers(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number, before, now in zip(_SIGNALS, self.handlers, _handlers(), strict=True):
            if before is not None and now is not before:
                signal.signal(number, before)


def _environ() -> dict[bytes, bytes]:
    # The dict behind os.environ: comparing that takes a microsecond, comparing the mapping a hundred.
    data: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    return data


def _handlers() -> list[Any]:
    return list(map(handler_of, _SIGNALS))


def _directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - called for each task; a Path costs ten times as much
    except FileNotFoundError:
        return None
