"""Running a pipeline on the workers of a crew controller.

The loop alternates between looking at what is ready, pushing what has to run, and concluding what came
back. A few tasks per worker are in flight, more of them the shorter they are; the others wait here, where
priority and error modes still apply.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
import types
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import crew_py
from targets_py.engine.context import current_session
from targets_py.engine.remote import run_on_worker
from targets_py.engine.travel import dumps, loads, make_bundle
from targets_py.engine.worker import Outcome, error_text, store_outcome
from targets_py.errors import TarRunError, TarValidateError
from targets_py.hashing.digest import hash_file, hash_paths, stat_paths
from targets_py.metrics import SECONDS, workers_folder
from targets_py.storage.log import replace_table

if TYPE_CHECKING:
    from targets_py.definition.resources import ResourcesNetwork
    from targets_py.definition.targets import Target
    from targets_py.engine.conductor import Conductor, Task
    from targets_py.engine.graph import Graph
    from targets_py.engine.worker import Job, Work
    from targets_py.script import Pipeline
    from targets_py.storage.store import FileInfo, Store

DECIDING_SECONDS = 0.01  # look at what is ready at most this long before results are taken
WAITING_SECONDS = 0.5  # a wait ends after this long even if nothing came back
QUEUED_SECONDS = 0.05  # a worker shall have this much work in its queue
FEWEST, MOST = 2, 64  # tasks in flight per worker
TIMED_OUT = 5
CREW_HEADER = "controller|seconds|targets"


@dataclass(slots=True)
class _Use:
    """How one controller is used."""

    recent: deque[float] = field(default_factory=lambda: deque(maxlen=20))
    seconds: float = 0.0
    targets: int = 0

    def ahead(self) -> int:
        """How many tasks to have in flight per worker."""
        if not self.recent:
            return FEWEST
        median = statistics.median(self.recent)
        return min(MOST, max(FEWEST, math.ceil(QUEUED_SECONDS / max(median, 1e-6))))

    def add(self, seconds: float) -> None:
        """Count a target that ran there."""
        self.recent.append(seconds)
        self.seconds += seconds
        self.targets += 1


def run_on_crew(conductor: Conductor, controller: Any, pipeline: Pipeline, *, terminate: bool) -> None:
    """Run everything, on workers where the targets allow it.

    Args:
        conductor: Decides and concludes.
        controller: A controller of crew_py, or a group; started once a target needs it.
        pipeline: The script, for the workers.
        terminate: Whether to end the controller's workers afterwards.

    Raises:
        TarRunError: A target failed and its error mode stops the pipeline, or the controller failed.
    """
    runner = _CrewRunner(conductor, controller, pipeline)
    try:
        runner.run()
    except crew_py.CrewError as error:
        raise TarRunError(f"controller {runner.name} failed: {error}", original=error) from error
    finally:
        runner.end(terminate=terminate)


def refuse_unpicklable(graph: Graph, pipeline: Pipeline) -> None:
    """Look for commands that cannot be sent to workers, before anything runs.

    Raises:
        TarValidateError: One cannot; the message names its target.
    """
    for node in graph.values():
        target = node.target
        if target.settings.deployment == "main" or _surely_travels(target):
            continue
        try:
            dumps(target.command, pipeline.modules)
        except Exception as error:
            raise TarValidateError(
                f"command of {target.name} cannot be sent to workers: {error_text(error)}. "
                'deployment="main" runs it in the main process'
            ) from error


class _CrewRunner:
    def __init__(self, conductor: Conductor, controller: Any, pipeline: Pipeline) -> None:
        self._conductor = conductor
        self._controller = controller
        self._store: Store = conductor.site.store
        self._bundle = make_bundle(pipeline, str(self._store.path), current_session())
        self._shared = crew_py.once(self._bundle)
        self._works: dict[str, Any] = {}  # target -> pickled Work, wrapped so that it travels once per worker
        self._flying: dict[str, tuple[Task, Job]] = {}
        self._waiting: dict[str, Task] = {}  # names in the controller's backlog
        self._uses: dict[str | None, _Use] = {}

    @property
    def name(self) -> str:
        """Name of the controller, or of those in a group."""
        members = getattr(self._controller, "controllers", None)
        return ", ".join(members) if isinstance(members, dict) else str(getattr(self._controller, "name", ""))

    def run(self) -> None:
        """Run until nothing is ready, waiting or in flight."""
        try:
            while self._conductor.ready or self._flying or self._waiting:
                self._decide()
                self._drain()
                if self._conductor.ready or self._push_waiting():
                    continue
                if self._flying or self._waiting:
                    self._controller.wait(mode="one", seconds_timeout=WAITING_SECONDS)
        except TarRunError:
            self._record_resolved()
            raise

    def end(self, *, terminate: bool) -> None:
        """Interrupt what still runs, write the summary, end the workers."""
        try:
            if self._flying:
                self._controller.cancel(all=True)
            if self._uses:
                rows = [
                    f"{name or self.name}|{use.seconds:.3f}|{use.targets}" for name, use in self._uses.items()
                ]
                replace_table(self._store.crew_file, [CREW_HEADER, *rows])
        finally:
            if terminate:
                self._controller.terminate()

    def _decide(self) -> None:
        deadline = time.perf_counter() + DECIDING_SECONDS
        while self._conductor.ready and time.perf_counter() < deadline:
            task = self._conductor.advance()
            if task is None:
                continue
            if task.work.target.settings.deployment == "main" or self._conductor.debugged(task):
                self._conductor.run_here(task)
                continue
            chosen = _controller_of(task)
            if chosen not in self._uses:
                self._log_workers()
                self._controller.start()
                self._uses[chosen] = _Use()
            if self._controller.saturated(controller=chosen, ahead=self._uses[chosen].ahead()):
                self._controller.push_backlog(task.name, controller=chosen)
                self._waiting[task.name] = task
            else:
                self._push(task)

    def _log_workers(self) -> None:
        """Have workers keep logs of their resources where this run keeps its own, unless they do already."""
        folder = workers_folder()
        if folder is None or self._uses:
            return
        members = getattr(self._controller, "controllers", None) or {"": self._controller}
        for launcher in (getattr(member, "launcher", None) for member in members.values()):
            if launcher is not None and launcher.options_metrics.path is None:
                launcher.options_metrics = crew_py.crew_options_metrics(folder, seconds_interval=SECONDS)

    def _push_waiting(self) -> bool:
        """Push what waited and has room now; whether there was something."""
        pushed = False
        for chosen, use in self._uses.items():
            where = {} if chosen is None else {"controllers": [chosen]}
            for name in self._controller.pop_backlog(ahead=use.ahead(), **where):
                task = self._waiting.pop(name)
                if not self._conductor.dropped(task):
                    self._push(task)
                pushed = True
        return pushed

    def _push(self, task: Task, *, again: bool = False) -> None:
        if not again:
            self._conductor.dispatched(task)
        try:
            with self._conductor.phase(f"prepare: {task.name}"):
                job = self._conductor.inputs.job(task.candidate, remote=True)
                data = {
                    "bundle": self._shared,
                    "work": self._packed(task.work),
                    "job": dumps(job, self._bundle.modules),
                }
        except Exception as error:
            self._conductor.conclude(task, Outcome("errored", error=error_text(error), exception=error))
            return
        resources = task.work.target.settings.resources.crew
        self._flying[task.name] = task, job
        self._controller.push(
            name=task.name,
            command=run_on_worker,
            data=data,
            seconds_timeout=resources.seconds_timeout,
            controller=_controller_of(task),
        )

    def _packed(self, work: Work) -> Any:
        name = work.target.name
        if name not in self._works:
            self._works[name] = crew_py.once(dumps(work, self._bundle.modules))
        return self._works[name]

    def _drain(self) -> None:
        """Conclude all that came back; of several that stop the pipeline the first is raised."""
        if not self._flying:
            return
        stop: TarRunError | None = None
        for row in self._controller.collect(frame=False, throttle=True) or ():
            try:
                self._conclude(row)
            except TarRunError as error:
                stop = stop or error
        if stop is not None:
            raise stop

    def _record_resolved(self) -> None:
        """The pipeline stops: what has come back by now is recorded all the same."""
        if not self._flying:
            return
        for row in self._controller.collect(frame=False, scale=False) or ():
            try:
                self._conclude(row)
            except TarRunError:
                continue  # another one that would have stopped it

    def _conclude(self, row: dict[str, Any]) -> None:
        found = self._flying.pop(row["name"], None)
        if found is None or row["status"] == "cancel":
            return
        task, job = found
        if row["status"] == "crash" and not row["final"]:
            self._conductor.ledger.retried(task.candidate, _crash_text(row))
            self._push(task, again=True)
            return
        outcome = self._outcome(task, job, row)
        self._uses[_controller_of(task)].add(outcome.seconds)
        self._conductor.conclude(task, outcome, shown=False)

    def _outcome(self, task: Task, job: Job, row: dict[str, Any]) -> Outcome:
        if row["status"] == "crash":
            return Outcome("errored", error=_crash_text(row))
        if row["status"] != "success":
            seconds = task.work.target.settings.resources.crew.seconds_timeout
            timed_out = row["code"] == TIMED_OUT and seconds is not None
            text = f"timed out after {seconds:g} seconds" if timed_out else str(row["error"])
            return Outcome("errored", error=text, traceback=row["trace"] or "")
        try:
            outcome: Outcome = loads(row["result"])
        except Exception as error:
            return Outcome("errored", error=f"the worker's answer cannot be read: {error_text(error)}")
        if outcome.status != "completed":
            return outcome
        if outcome.info is None:
            store_outcome(task.work, job, self._conductor.site, outcome)
            return outcome
        network = task.work.target.settings.resources.network
        if not _wait_for_files(self._store, task.name, outcome.info, network):
            paths = outcome.info.path or str(self._store.object_path(task.name))
            return Outcome(
                "errored",
                error=f"the worker stored {paths}, but this process does not see it after "
                f"{network.seconds_timeout:g} seconds",
            )
        return outcome


def _controller_of(task: Task) -> str | None:
    return task.work.target.settings.resources.crew.controller


def _surely_travels(target: Target) -> bool:
    """Whether a command is of a kind that can always be pickled, so that it need not be tried."""
    command = target.command
    assert command is not None
    if command.bound:
        return False
    value = command.value
    return command.kind == "source" or (
        isinstance(value, types.FunctionType)
        and not value.__closure__
        and not value.__defaults__
        and not value.__kwdefaults__
    )


def _crash_text(row: dict[str, Any]) -> str:
    times = f"worker crashed {row['crashes']} time{'s' if row['crashes'] != 1 else ''}"
    log = f", see its log {row['log']}" if row.get("log") else ""
    return f"{times}: {row['error']}{log}"


def _wait_for_files(store: Store, name: str, info: FileInfo, network: ResourcesNetwork) -> bool:
    """Wait until the files that a worker wrote are seen here as it saw them.

    A network file system tells nobody when it has caught up, so it is asked again and again.
    """
    deadline = time.monotonic() + network.seconds_timeout
    tries = 1
    while not _arrived(store, name, info):
        if tries == 1 and network.verbose:
            print(f"waiting for the file of {name} to be seen here", file=sys.stderr)  # noqa: T201
        if tries >= network.max_tries or time.monotonic() >= deadline:
            return False
        tries += 1
        time.sleep(network.seconds_interval)
    return True


def _arrived(store: Store, name: str, info: FileInfo) -> bool:
    path = info.path
    objects = [str(store.object_path(name))]
    paths = objects if path is None else [path] if isinstance(path, str) else path
    try:
        status = stat_paths(paths)
        if (status.time, status.size) == (info.time, info.size):
            return True
        return (hash_file(objects[0]) if path is None else hash_paths(paths)) == info.file_hash
    except OSError:
        return False
