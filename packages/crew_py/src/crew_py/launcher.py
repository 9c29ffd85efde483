"""Start workers when there is demand. How a worker is started is the business of subclasses.

A launcher never assigns tasks and never ends workers: they leave by themselves, when idle, at a limit, or
when the controller has gone.
"""

from __future__ import annotations

import inspect
import math
import os
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import mirai_py
from crew_py import validation
from crew_py.errors import CrewError, CrewLaunchError, CrewTypeError, CrewWarning
from crew_py.names import crew_random_name
from crew_py.options import CrewOptionsMetrics
from crew_py.roster import Roster, Streak, last_words
from crew_py.scaling import LaunchRound, plan
from crew_py.throttle import CrewThrottle
from crew_py.tls import CrewTls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl

__all__ = ("CrewLauncher", "crew_class_launcher", "crew_launcher")

SHORTEST_INTERVAL: Final = 1e-6
# So many rounds whose workers all end before they connect mean that they cannot work at all.
EXITED_ROUNDS_MAX: Final = 3
_exporting = threading.Lock()


@dataclass(eq=False, repr=False)
class CrewLauncher:
    """The part of a controller that starts workers, and the base class of launcher plugins.

    A plugin is a subclass that overrides `launch_worker(call)` or `launch_workers(call, n)`. What they return
    is a handle; it may offer `is_alive()`, `failed()` (it will never connect), `get_pid()`,
    `get_exit_status()`, `log` (a path) and `tail()` (last lines of output), which make errors better.

    Args:
        name: of the launcher and its controller; None for a random one.
        workers: most workers to run at a time.
        seconds_interval: seconds between two looks at the demand.
        seconds_timeout: seconds that a request to a platform may take.
        seconds_launch: seconds after which a worker that has not connected counts as failed.
        seconds_idle: a worker leaves after so many seconds without a task.
        seconds_wall: a worker leaves after so many seconds, when its task is done.
        tasks_max: a worker leaves after so many tasks.
        tasks_timers: the idle and wall clocks start after so many tasks.
        tls: from `crew_tls`; None for no encryption.
        python_arguments: flags for the interpreter of a worker.
        options_metrics: from `crew_options_metrics`; None for none.
        launch_failures_max: rounds in a row without any connection after which `scale` raises.

    Raises:
        CrewError: an argument is wrong.

    Example:
        >>> class Launcher(CrewLauncher):
        ...     def launch_worker(self, call):
        ...         return subprocess.Popen([sys.executable, "-c", call])
    """

    name: str | None = None
    workers: int = 1
    seconds_interval: float = 0.25
    seconds_timeout: float = 60
    seconds_launch: float = 30
    seconds_idle: float = 300
    seconds_wall: float = math.inf
    tasks_max: float = math.inf
    tasks_timers: int = 0
    tls: CrewTls | None = None
    python_arguments: Sequence[str] = ("-u",)
    options_metrics: CrewOptionsMetrics | None = None
    launch_failures_max: float = 10

    def __post_init__(self) -> None:
        self.name = crew_random_name(4) if self.name is None else self.name
        self.tls = CrewTls() if self.tls is None else self.tls
        self.options_metrics = CrewOptionsMetrics() if self.options_metrics is None else self.options_metrics
        self._url: str | None = None
        self._profile: str | None = None
        self._wake: Callable[[], None] = _nothing
        self.validate()
        longest = max(self.seconds_interval, SHORTEST_INTERVAL)
        # Workers with few tasks are replaced at once; others are asked for in rounds worth a job array.
        shortest = SHORTEST_INTERVAL if math.isfinite(self.tasks_max) else longest
        self._throttle = CrewThrottle(seconds_max=longest, seconds_min=shortest)
        self._forget()

    def _forget(self) -> None:
        self._rounds: tuple[LaunchRound, ...] = ()
        self._failed = 0
        self._seen = 0
        self._roster = Roster()
        self._streak = Streak()
        self._warned = False

    # -- fields

    @property
    def url(self) -> str | None:
        """The address that workers dial; None unless started."""
        return self._url

    @property
    def profile(self) -> str | None:
        """The compute profile that workers serve; None unless started."""
        return self._profile

    @property
    def throttle(self) -> CrewThrottle:
        """How often to look at the demand."""
        return self._throttle

    @property
    def failed(self) -> int:
        """How many launched workers never connected."""
        return self._failed

    @property
    def launched(self) -> int:
        """How many workers were launched since the start."""
        return self._rounds[-1].total if self._rounds else 0

    @property
    def launches(self) -> pl.DataFrame:
        """The latest launch rounds: handle, start (monotonic seconds), submitted, count, total (so far)."""
        from crew_py import frames

        return frames.launches(self._rounds)

    def validate(self) -> None:
        """Check the fields and the hooks.

        Raises:
            CrewError: something is wrong with one.
        """
        self.name = validation.text("name", self.name)
        self.workers = validation.whole("workers", self.workers)
        self.seconds_interval = validation.finite("seconds_interval", self.seconds_interval, at_least=0)
        for field in ("seconds_timeout", "seconds_launch", "seconds_idle", "seconds_wall"):
            setattr(self, field, validation.number(field, getattr(self, field), at_least=0))
        self.tasks_max = validation.whole_or_inf("tasks_max", self.tasks_max)
        self.tasks_timers = validation.whole("tasks_timers", self.tasks_timers)
        self.launch_failures_max = validation.whole_or_inf(
            "launch_failures_max", self.launch_failures_max, at_least=1
        )
        self.python_arguments = validation.texts("python_arguments", self.python_arguments)
        if not isinstance(self.tls, CrewTls):
            raise CrewTypeError(f"`tls` must come from crew_tls(), got {self.tls!r}")
        if not isinstance(self.options_metrics, CrewOptionsMetrics):
            raise CrewTypeError(
                f"`options_metrics` must come from crew_options_metrics(), got {self.options_metrics!r}"
            )
        for hook, needed in (("launch_worker", {"call"}), ("launch_workers", {"call", "n"})):
            missing = needed - inspect.signature(getattr(self, hook)).parameters.keys()
            if missing:
                raise CrewTypeError(
                    f"{type(self).__name__}.{hook} must have the argument(s) {sorted(missing)}"
                )
        if hasattr(self, "terminate_worker"):
            validation.crew_deprecate(
                f"{type(self).__name__}.terminate_worker()",
                date="2025-01-27",
                version="0.1.0",
                alternative="none is needed, workers leave when the controller ends",
                condition="message",
                frequency="once",
            )

    # -- life

    def start(self, url: str, profile: str, wake: Callable[[], None] | None = None) -> None:
        """Begin to serve a client; nothing is launched yet.

        Args:
            url: address that workers dial.
            profile: compute profile they serve.
            wake: called (from any thread) when a worker is known to have ended; may be ignored by plugins.
        """
        self._url = validation.text("url", url)
        self._profile = validation.text("profile", profile)
        self._wake = _nothing if wake is None else wake
        self._forget()

    def terminate(self) -> None:
        """Stop serving. Workers end because the client ends."""
        self._url = None
        self._profile = None
        self._wake = _nothing
        self._failed = 0
        self._throttle.reset()

    def poll(self) -> bool:
        """Whether it is time to look at the demand again."""
        return self._throttle.poll()

    # -- what a worker is started with

    def settings(self) -> dict[str, Any]:
        """The keyword arguments of `mirai_py.daemon` on a worker.

        Raises:
            CrewError: the launcher is not started.
        """
        url, profile = self._started()
        assert self.tls is not None
        return {
            "url": url,
            "dispatcher": True,
            "asyncdial": False,
            "autoexit": True,
            "cleanup": False,
            "output": True,
            "maxtasks": self.tasks_max,
            "idletime": 1000 * self.seconds_idle,
            "walltime": 1000 * self.seconds_wall,
            "timerstart": self.tasks_timers,
            "tlscert": self.tls.worker(profile),
            "rs": None,
        }

    def environment(self) -> dict[str, str]:
        """The variables that a worker must be started with: the token that lets it in.

        They stand in `os.environ` while a launch hook runs, so that a child process inherits them. A platform
        that starts workers elsewhere must hand them over, and keep them secret.
        """
        _, profile = self._started()
        return dict(mirai_py.nextget("env", compute=profile) or {})

    def call(self) -> str:
        """One line of Python source that runs a worker; it holds no secret.

        Raises:
            CrewError: the launcher is not started.
        """
        assert self.options_metrics is not None
        settings = ", ".join(f"{name!r}: {_literal(value)}" for name, value in self.settings().items())
        return (
            f"import crew_py; crew_py.crew_worker(settings={{{settings}}}, controller={self.name!r}, "
            f"options_metrics={self.options_metrics.call()})"
        )

    def _started(self) -> tuple[str, str]:
        if self._url is None or self._profile is None:
            raise CrewError(f"the launcher {self.name!r} is not started: call start() of its controller")
        return self._url, self._profile

    # -- launching

    def launch(self, n: int = 1) -> None:
        """Launch workers.

        Args:
            n: how many; nothing happens below 1.
        """
        if n < 1:
            return
        call = self.call()
        start = time.monotonic()
        with _exported(self.environment()):
            handle = self.launch_workers(call, n)
        self._roster.add(handle, n)
        self._rounds += (LaunchRound(handle, start, n, self.launched + n, self._seen),)

    def launch_worker(self, call: str) -> Any:
        """Hook: start one worker.

        Args:
            call: Python source that it runs.

        Returns:
            A handle. Here, where nothing is started, a dict with the call.
        """
        return {"call": call}

    def launch_workers(self, call: str, n: int) -> Any:
        """Hook: start several workers in one request.

        Args:
            call: Python source that each runs.
            n: how many, 1 or more.

        Returns:
            A handle of all, or a list with one of each. Here they are launched one by one.
        """
        return [self.launch_worker(call) for _ in range(n)]

    def find_worker(self, pid: int) -> Any:  # noqa: ARG002 - for subclasses
        """Hook: the handle of a worker by its process id, or None; for reports of crashes."""
        return None

    # -- scaling

    def scale(self, status: Mapping[str, int]) -> bool:
        """Launch as many workers as the tasks need and `workers` allows.

        Args:
            status: the client's counts.

        Returns:
            Whether workers were launched.

        Raises:
            CrewLaunchError: for too many rounds no worker has connected. Calling again tries again.

        Warns:
            CrewWarning: workers have failed, for the first time since the start.
        """
        counts = dict(status)
        self._seen = counts["cumulative"]
        self._failed += self._roster.newly_failed(counts, self.launched, self._failed)
        planned = plan(
            counts,
            self._rounds,
            self._failed,
            workers=self.workers,
            seconds_launch=self.seconds_launch,
            now=time.monotonic(),
        )
        self._rounds, self._failed = planned.rounds, planned.failed
        self._give_up()
        self.launch(planned.n)
        self._throttle.update(planned.n > 0)
        self._warn()
        return planned.n > 0

    def _give_up(self) -> None:
        """Raise when workers do not come, round after round."""
        streak = self._streak
        streak.judge(self._rounds, cumulative=self._seen, failed=self._failed, exited=self._roster.exited)
        if streak.exits >= EXITED_ROUNDS_MAX and math.isfinite(self.launch_failures_max):
            reason = f"the workers of {streak.exits} launches in a row ended before they connected"
        elif streak.rounds >= self.launch_failures_max:
            reason = (
                f"no worker of {streak.rounds} launches in a row connected within "
                f"seconds_launch = {self.seconds_launch:g} s"
            )
        else:
            return
        streak.rounds = streak.exits = 0
        raise CrewLaunchError(f"controller {self.name!r}: {reason}; {self._hint()}")

    def _warn(self) -> None:
        if self._failed == 0 or self._warned:
            return
        self._warned = True
        reason = (
            "a worker ended before it connected"
            if self._roster.exited
            else f"a worker did not connect within seconds_launch = {self.seconds_launch:g} s"
        )
        message = f"controller {self.name!r}: {reason}, another will be launched; {self._hint()}"
        warnings.warn(message, CrewWarning, stacklevel=4)

    def _hint(self) -> str:
        newest = self._rounds[-1].handle if self._rounds else None
        if isinstance(newest, list) and newest:
            newest = newest[-1]
        return last_words(self._roster.last or newest) or (
            f"see the workers' logs, and whether they can reach {self._url} and import crew_py there"
        )

    def __repr__(self) -> str:
        state = "not started" if self._url is None else f"at {self._url}"
        return (
            f"{type(self).__name__}({self.name!r}, workers={self.workers}, {state}, launched={self.launched})"
        )


def _literal(value: Any) -> str:
    """Python source of a setting; infinity has no literal."""
    return f"float({str(value)!r})" if isinstance(value, float) and math.isinf(value) else repr(value)


def _nothing() -> None:
    pass


@contextmanager
def _exported(variables: Mapping[str, str]) -> Iterator[None]:
    """Let the environment hold variables; one launch at a time, as it is the whole process's."""
    with _exporting:
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


crew_launcher = CrewLauncher
crew_class_launcher = CrewLauncher
