"""What a controller is made of, apart from its tasks: fields, life, counts, workers."""

# ruff: noqa: ARG002 - `controllers` is there so that a group can stand in the place of a controller

from __future__ import annotations

import atexit
import math
import os
import threading
import time
import weakref
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from crew_py import validation
from crew_py.autoscaling import AsyncioLoop, ThreadLoop
from crew_py.client import CrewClient
from crew_py.errors import CrewTypeError, CrewValueError
from crew_py.inbox import Inbox
from crew_py.launcher import CrewLauncher

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping
    from types import TracebackType

    import polars as pl

    from crew_py.controller import CrewController
    from crew_py.tasks import CrewTask

__all__ = ("ControllerCore",)

# A task that finds no worker need not wait for the next look, but looking costs, too.
SECONDS_BETWEEN_GLANCES: Final = 0.02
_existing: weakref.WeakSet[ControllerCore] = weakref.WeakSet()


class ControllerCore:
    """Client, launcher and inbox, opened and closed together. For the arguments see `CrewController`."""

    def __init__(
        self,
        client: CrewClient,
        launcher: CrewLauncher,
        reset_globals: bool = True,
        reset_packages: bool = False,
        reset_options: bool = False,
        garbage_collection: bool = False,
        crashes_max: float = 5,
        backup: CrewController | None = None,
    ) -> None:
        self._client = client
        self._launcher = launcher
        self._reset_globals = reset_globals
        self._reset_packages = reset_packages
        self._reset_options = reset_options
        self._garbage_collection = garbage_collection
        self._crashes_max = crashes_max
        self._backup = backup
        self.validate()
        self._lock = threading.RLock()
        self._inbox = self._new_inbox()
        self._backlog: deque[str] = deque()
        self._pushed: int | None = None
        self._was_started = False
        self._glanced = -math.inf
        self._loop: ThreadLoop | AsyncioLoop | None = None
        self._error: pl.DataFrame | None = None
        # Settings of crew_eval that differ from its defaults travel with each task.
        settings = {
            "reset_globals": (reset_globals, True),
            "reset_packages": (reset_packages, False),
            "reset_options": (reset_options, False),
            "garbage_collection": (garbage_collection, False),
        }
        self._evaluation = {name: value for name, (value, default) in settings.items() if value != default}
        self._owner = os.getpid()
        weakref.finalize(self, _close_on_thread, client, launcher, self._owner).atexit = False
        _existing.add(self)

    # -- fields

    @property
    def name(self) -> str:
        """Name of the controller."""
        return str(self._launcher.name)

    @property
    def profile(self) -> str:
        """Compute profile of mirai_py."""
        return self._client.profile

    @property
    def client(self) -> CrewClient:
        """The part that listens."""
        return self._client

    @property
    def launcher(self) -> CrewLauncher:
        """The part that starts workers."""
        return self._launcher

    @property
    def tasks(self) -> Mapping[str, CrewTask]:
        """The uncollected tasks by name, oldest first."""
        return MappingProxyType(self._inbox.table.handles)

    @property
    def pushed(self) -> int | None:
        """How many tasks were pushed since the start; None unless started."""
        return self._pushed

    @property
    def reset_globals(self) -> bool:
        """Whether workers undo after each task what it assigned in `__main__`."""
        return self._reset_globals

    @property
    def reset_packages(self) -> bool:
        """Whether workers restore `sys.path` after each task."""
        return self._reset_packages

    @property
    def reset_options(self) -> bool:
        """Whether workers restore environment, working directory and warning filters after each task."""
        return self._reset_options

    @property
    def garbage_collection(self) -> bool:
        """Whether workers collect garbage after each task."""
        return self._garbage_collection

    @property
    def crashes_max(self) -> float:
        """How often in a row a task may crash."""
        return self._crashes_max

    @property
    def backup(self) -> CrewController | None:
        """The controller for tasks that have crashed too often here."""
        return self._backup

    @property
    def error(self) -> pl.DataFrame | None:
        """The rows of the last `map`, `collect` or `pop` that raised. May be set to None."""
        return self._error

    @error.setter
    def error(self, value: pl.DataFrame | None) -> None:
        self._error = value

    @property
    def loop(self) -> ThreadLoop | AsyncioLoop | None:
        """What scales in the background; None unless autoscaling."""
        return self._loop

    @property
    def queue_resolved(self) -> tuple[str, ...]:
        """Names of uncollected tasks that are known to be resolved."""
        return self._inbox.table.resolved

    @property
    def queue_backlog(self) -> tuple[str, ...]:
        """Names put into the backlog, oldest first."""
        return tuple(self._backlog)

    def validate(self) -> None:
        """Check the fields, and those of client and launcher.

        Raises:
            CrewError: something is wrong with one.
        """
        if not isinstance(self._client, CrewClient):
            raise CrewTypeError(f"`client` must come from crew_client(), got {self._client!r}")
        if not isinstance(self._launcher, CrewLauncher):
            raise CrewTypeError(f"`launcher` must be a crew launcher, got {self._launcher!r}")
        for field in ("reset_globals", "reset_packages", "reset_options", "garbage_collection"):
            validation.flag(field, getattr(self, field))
        self._crashes_max = validation.whole_or_inf("crashes_max", self._crashes_max)
        if self._backup is not None:
            if not isinstance(self._backup, ControllerCore):
                raise CrewTypeError(
                    f"`backup` must be one controller (no group) or None, got {self._backup!r}"
                )
            if self._crashes_max < 1:
                raise CrewValueError("`crashes_max` must be 1 or greater for a controller with a backup")
        self._client.validate()
        self._launcher.validate()

    def __repr__(self) -> str:
        state = f"{self.size()} tasks" if self.started() else "not started"
        return f"{type(self).__name__}({self.name!r}, {state}, {self._launcher!r})"

    # -- life

    def started(self, controllers: Any = None) -> bool:
        """Whether the controller is started."""
        return self._client.started

    def start(self, controllers: Any = None) -> None:
        """Listen for workers, and begin to count anew; nothing happens when it is started.

        Raises:
            CrewError: the address or the profile is in use.
        """
        with self._lock:
            if self._client.started:
                return
            self._open()
            self._inbox = self._new_inbox()
            self._glanced = -math.inf
            self._pushed = 0
            self._was_started = True

    def _open(self) -> None:
        self._client.start()
        try:
            assert self._client.url is not None
            self._launcher.start(self._client.url, self._client.profile, self._client.relay.signal)
        except BaseException:
            self._client.terminate()
            raise

    def _new_inbox(self) -> Inbox:
        return Inbox(self.name, self._crashes_max, self._launcher.find_worker)

    def terminate(self, controllers: Any = None) -> None:
        """Close the address, which ends all workers, and forget the tasks. `summary` keeps its totals."""
        self.descale()
        with self._lock:
            self._client.terminate()
            self._launcher.terminate()
            self._inbox.clear()
            self._backlog.clear()
            self._pushed = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()

    # -- counts

    def size(self, controllers: Any = None) -> int:
        """How many tasks are uncollected, resolved or not."""
        return len(self._inbox.table)

    def empty(self, controllers: Any = None) -> bool:
        """Whether no task is uncollected."""
        return self.size() == 0

    def nonempty(self, controllers: Any = None) -> bool:
        """Whether a task is uncollected."""
        return self.size() > 0

    def resolved(self, controllers: Any = None) -> int:
        """How many tasks of the profile are resolved since the start, collected or not."""
        return self._client.status()["completed"]

    def unresolved(self, controllers: Any = None) -> int:
        """How many tasks of the profile wait or run."""
        status = self._client.status()
        return status["awaiting"] + status["executing"]

    def saturated(self, ahead: float = 1, controller: Any = None) -> bool:
        """Whether it makes little sense to push more now; pushing works all the same.

        Args:
            ahead: uncollected tasks per worker that make it so.
            controller: ignored.

        Returns:
            Whether `size() >= ahead * workers`.
        """
        return self.size() >= ahead * self._launcher.workers

    def synced(self, controllers: Any = None) -> bool:
        """Whether all pushed tasks have arrived in the client's counts; True before the start."""
        if self._pushed is None or not self.started():
            return True
        status = self._client.status()
        return self._pushed <= status["awaiting"] + status["executing"] + status["completed"]

    def crashes(self, name: str, controllers: Any = None) -> int:
        """How often the task of this name has crashed in a row, by the results taken so far."""
        return self._inbox.crashes(name)

    def summary(self, controllers: Any = None) -> pl.DataFrame | None:
        """Totals since the last start, over the results taken.

        Returns:
            One row: controller, seconds (run time of the tasks), tasks, success, error, crash, cancel,
            warning; None before the first start.
        """
        if not self._was_started:
            return None
        from crew_py import frames

        return frames.summary([self._inbox.tally])

    # -- workers

    def launch(self, n: int = 1, controllers: Any = None) -> None:
        """Launch workers, whatever the demand.

        Args:
            n: how many.
            controllers: ignored.
        """
        with self._lock:
            self.start()
            self._launcher.launch(n)

    def scale(self, throttle: bool = True, controllers: Any = None) -> bool:
        """Launch the workers that the tasks need.

        Args:
            throttle: whether to do nothing if the last look is less than an interval ago.
            controllers: ignored.

        Returns:
            Whether workers were launched.

        Raises:
            CrewLaunchError: workers do not start, or never connect.
        """
        with self._lock:
            self._raise_background_error()
            if throttle and not self._launcher.poll():
                return self._launch_first()
            self.start()
            return self._launcher.scale(self._client.status())

    def _launch_first(self) -> bool:
        """Serve a task at once that finds no worker; those pushed after it are counted up for an interval.

        Otherwise it would wait for ever where nobody looks again: who awaits a task does not scale.
        """
        now = time.monotonic()
        if now - self._glanced < SECONDS_BETWEEN_GLANCES:
            return False
        status = self._client.status()
        if not status["awaiting"]:
            return False
        self._glanced = now
        if status["connections"]:
            return False
        launched = self._launcher.scale(status)
        self._launcher.poll()
        return launched

    def _raise_background_error(self) -> None:
        """Tell who calls what has ended the loop of `autoscale`."""
        if self._loop is None or self._loop.error is None:
            return
        error = self._loop.error
        self._loop = None
        raise error

    def autoscale(self, loop: asyncio.AbstractEventLoop | None = None, controllers: Any = None) -> None:
        """Scale in the background until `descale` or `terminate`; nothing happens if it does already.

        Args:
            loop: the event loop to do it on; None for a thread.
            controllers: ignored.
        """
        with self._lock:
            if self._loop is not None:
                return
            throttle = self._launcher.throttle
            if loop is None:
                self._loop = ThreadLoop(self, lambda: throttle.seconds_interval)
            else:
                self._loop = AsyncioLoop(self, lambda: throttle.seconds_interval, loop)

    def descale(self, controllers: Any = None) -> None:
        """End `autoscale`."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()


def _close_on_thread(client: CrewClient, launcher: CrewLauncher, owner: int) -> None:
    """End what a forgotten controller has opened, unless this is a forked child, which owns none of it.

    On a thread of its own: the garbage collector may strike while this one holds a lock of mirai_py.
    """
    if os.getpid() == owner and client.started:
        threading.Thread(target=_close, args=(client, launcher), name="crew_py-close").start()


def _close(client: CrewClient, launcher: CrewLauncher) -> None:
    client.terminate()
    launcher.terminate()


@atexit.register
def _terminate_all() -> None:
    for controller in list(_existing):
        if controller.started() and controller._owner == os.getpid():  # noqa: SLF001 - of this module
            controller.terminate()
