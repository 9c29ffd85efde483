"""The controller: what users hold, to push tasks and to take their results."""

# ruff: noqa: ARG002 - `controllers` is there so that a group can stand in the place of a controller

from __future__ import annotations

import functools
import math
import sys
from typing import TYPE_CHECKING, Any, Literal, overload

import mirai_py
from crew_py import policy, progress, validation, waiting
from crew_py.core import ControllerCore
from crew_py.errors import CrewCrashError, CrewError, CrewTypeError
from crew_py.evaluation import crew_eval
from crew_py.inbox import crash_error
from crew_py.names import crew_random_name
from crew_py.rng import check_seed
from crew_py.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from crew_py.monad import Command, Monad
    from crew_py.tasks import CrewTask

__all__ = ("CrewController", "crew_class_controller", "crew_controller")


class CrewController(ControllerCore):
    """Push tasks, and have as many workers as they need.

    Every method takes `controllers=None` (or `controller=None`) and ignores it, so that a group of
    controllers can stand in its place. A controller is a context manager, which terminates it at the end.

    Args:
        client: from `crew_client`.
        launcher: from `crew_launcher_local` or a plugin; its name is the controller's.
        reset_globals: whether workers undo after each task what it assigned in `__main__`.
        reset_packages: whether they restore `sys.path`.
        reset_options: whether they restore `os.environ`, the working directory and the warning filters.
        garbage_collection: whether they collect garbage after each task.
        crashes_max: a task may crash so often in a row; the next crash is an exception.
        backup: a controller that gets the tasks which have crashed `crashes_max` times, or None.

    Raises:
        CrewError: an argument is wrong.

    Example:
        >>> with crew_controller_local(workers=2) as controller:
        ...     controller.map(lambda x: x + 1, iterate={"x": [1, 2]})["result"].to_list()
        [2, 3]
    """

    # -- tasks

    def push(
        self,
        command: Command,
        data: Mapping[str, Any] | None = None,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the original's name
        seed: int | None = None,
        algorithm: str | None = None,
        packages: Sequence[str] = (),
        library: str | Sequence[str] | None = None,
        seconds_timeout: float | None = None,
        scale: bool = True,
        throttle: bool = True,
        name: str | None = None,
        controller: Any = None,
    ) -> CrewTask:
        """Submit a task.

        Args:
            command: a callable, called as `command(**data)`, or source text that sees `data` as names and
                whose value is that of its last expression.
            data: arguments. Wrap what many tasks share in `crew_py.once`.
            globals: names for this task in `__main__` of the worker.
            seed: of the task's random numbers.
            algorithm: numpy bit generator of `crew_rng()`.
            packages: modules to import first.
            library: folders to find them in.
            seconds_timeout: the task fails with code 5 after so many seconds from now.
            scale: whether to launch workers if needed.
            throttle: whether to do so at most once per interval.
            name: of the task; None for a random one.
            controller: ignored.

        Returns:
            The mirai. It can be awaited; its value is the record of the task as a dict, or an error value.
            The result still has to be taken by `pop` or `collect`. A program that only awaits should call
            `autoscale`, so that workers which end before all tasks are done are replaced.

        Raises:
            CrewError: an argument is wrong, or the name is taken.
            CrewLaunchError: workers do not start; the task is pushed all the same.
        """
        name = f"unnamed_task_{crew_random_name()}" if name is None else validation.text("name", name)
        _check_command(command)
        arguments = validation.named("data", data)
        settings = self._settings(globals, seed, algorithm, packages, library)
        limit = _milliseconds(seconds_timeout)
        with self._lock:
            self.start()
            if self._backup is not None and self._inbox.crashes(name) == self._crashes_max:
                return self._backup.push(
                    command, data, globals, seed, algorithm, packages, library,
                    seconds_timeout, scale, throttle, name,
                )  # fmt: skip
            self._inbox.table.check_free(name)
            shared = self._shared(command, name if self._inbox.crashes(name) else None)
            task = self._submit(shared, name, arguments, settings, limit)
            self._note(name, task, command, arguments, seed, algorithm)
            if scale:
                self.scale(throttle)
        return task

    def walk(
        self,
        command: Command,
        iterate: Mapping[str, Sequence[Any]],
        data: Mapping[str, Any] | None = None,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the original's name
        seed: int | None = None,
        algorithm: str | None = None,
        packages: Sequence[str] = (),
        library: str | Sequence[str] | None = None,
        seconds_timeout: float | None = None,
        names: str | None = None,
        verbose: bool | None = None,
        scale: bool = True,
        throttle: bool = True,
        controller: Any = None,
    ) -> dict[str, CrewTask]:
        """Submit one task per index of some sequences, and do not wait.

        Args:
            command: as in `push`.
            iterate: sequences of equal length by argument name.
            data: arguments that all tasks share; those of `iterate` win.
            globals: as in `push`.
            seed: of the first task; the others count up from it.
            algorithm: as in `push`.
            packages: as in `push`.
            library: as in `push`.
            seconds_timeout: of each task, in seconds.
            names: the sequence whose elements are the tasks' names; None for random ones.
            verbose: whether to show progress on stderr; None for yes on a terminal.
            scale: whether to launch workers, once all tasks are pushed.
            throttle: whether to do so at most once per interval.
            controller: ignored.

        Returns:
            The mirais by name.

        Raises:
            CrewError: an argument is wrong, or a name is taken; nothing is pushed then.
        """
        _check_command(command)
        check_seed(seed, algorithm)
        sweep = Sweep.of(iterate, data, names, seed)
        limit = _milliseconds(seconds_timeout)
        shared = self._shared(command)
        pushed = {}
        with self._lock, progress.bar("push", len(sweep), visible=_is_shown(verbose)) as show:
            self.start()
            for name in sweep.names:
                self._inbox.table.check_free(name)
            for name, arguments, own_seed in sweep:
                settings = self._settings(globals, own_seed, algorithm, packages, library)
                task = self._submit(shared, name, arguments, settings, limit)
                self._note(name, task, command, arguments, own_seed, algorithm)
                pushed[name] = task
                show(len(pushed))
            if scale:
                self.scale(throttle)
        return pushed

    def map(
        self,
        command: Command,
        iterate: Mapping[str, Sequence[Any]],
        data: Mapping[str, Any] | None = None,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the original's name
        seed: int | None = None,
        algorithm: str | None = None,
        packages: Sequence[str] = (),
        library: str | Sequence[str] | None = None,
        seconds_timeout: float | None = None,
        names: str | None = None,
        error: str = "stop",
        warnings: bool = True,
        verbose: bool | None = None,
        scale: bool = True,
        throttle: bool = True,
        controller: Any = None,
    ) -> pl.DataFrame:
        """Run one task per index of some sequences, and wait for all.

        Args:
            command: as in `push`.
            iterate: sequences of equal length by argument name.
            data: as in `walk`.
            globals: as in `walk`.
            seed: as in `walk`.
            algorithm: as in `walk`.
            packages: as in `walk`.
            library: as in `walk`.
            seconds_timeout: of each task, in seconds.
            names: as in `walk`.
            error: "stop" raises if a task failed, "warn" warns, "silent" leaves it at the rows.
            warnings: whether to warn if tasks had warnings.
            verbose: whether to show progress on stderr; None for yes on a terminal.
            scale: whether to launch workers while waiting.
            throttle: whether to do so at most once per interval.
            controller: ignored.

        Returns:
            One row per task, in the order of the input.

        Raises:
            CrewError: an argument is wrong, the controller has uncollected tasks, or a task failed: the rows
                are in `error.result` and `controller.error` then.
            CrewCrashError: a task crashed too often.
        """
        from crew_py import frames

        policy.check_mode(error, optional=False)
        with self._lock:
            if self.size() > 0:
                raise CrewError(
                    f"map() needs a controller without uncollected tasks, there are {self.size()}"
                )
            self.walk(
                command, iterate, data, globals, seed, algorithm, packages, library, seconds_timeout, names,
                verbose=False, scale=scale, throttle=throttle,
            )  # fmt: skip
        self.wait(scale=scale, throttle=throttle, verbose=_is_shown(verbose))
        with self._lock:
            monads = self._inbox.take_all()
        rows = frames.results(monads)
        if warnings:
            policy.warn_of_warnings(monads)
        final = next((monad for monad in monads if monad.get("final")), None)
        failure = (
            policy.map_failures(monads, error) if final is None else crash_error(final, self._crashes_max)
        )
        if failure is not None:
            raise self._with_rows(failure, rows)
        return rows

    def _settings(
        self,
        names: Mapping[str, Any] | None,
        seed: int | None,
        algorithm: str | None,
        packages: Sequence[str],
        library: str | Sequence[str] | None,
    ) -> dict[str, Any]:
        """What crew_eval is told beside command, name and data; defaults do not travel."""
        settings: dict[str, Any] = dict(self._evaluation)
        if names:
            settings["globals"] = validation.named("globals", names)
        if seed is not None or algorithm is not None:
            check_seed(seed, algorithm)
            settings |= {"seed": seed, "algorithm": algorithm}
        if packages:
            settings["packages"] = validation.texts("packages", packages)
        if library is not None:
            settings["library"] = validation.texts("library", library)
        return settings

    def _shared(self, command: Command, suspect: str | None = None) -> Any:
        """A command, to be run by crew_eval, in the form in which it travels once to each worker.

        The two travel as one: mirai_py learns by that how long the tasks of a command take, and lets short
        ones of the same command travel, and crash, together.

        Args:
            command: the command.
            suspect: name of a task that has crashed. It gets a form of its own, and so travels alone: a crash
                costs the tasks beside it once, not each time that it is tried again.
        """
        evaluation = functools.partial(crew_eval, command)
        if suspect is not None:
            evaluation.suspect = suspect  # type: ignore[attr-defined]
        return mirai_py.once(evaluation)

    def _submit(
        self, command: Any, name: str, data: dict[str, Any], settings: dict[str, Any], limit: float | None
    ) -> CrewTask:
        """Hand a task to mirai_py."""
        return mirai_py.mirai(command, name, data, **settings, _timeout=limit, _compute=self._client.profile)

    def _note(
        self,
        name: str,
        task: CrewTask,
        command: Command,
        data: dict[str, Any],
        seed: int | None,
        algorithm: str | None,
    ) -> None:
        plain = command.value if isinstance(command, mirai_py.Once) else command
        self._inbox.table.add(name, task, plain, tuple(data), seed, algorithm)
        assert self._pushed is not None
        self._pushed += 1

    # -- results

    def pop(
        self, scale: bool = True, throttle: bool = True, error: str | None = None, controllers: Any = None
    ) -> pl.DataFrame | None:
        """Take the result of one resolved task, of the one pushed first.

        Args:
            scale: whether to launch workers if needed.
            throttle: whether to do so at most once per interval.
            error: "stop" raises if the task failed, "warn" warns; "silent" or None leaves it at the row.
            controllers: ignored.

        Returns:
            One row, or None if no task is resolved.

        Raises:
            CrewError: with `error="stop"`, the task failed; the row is in `error.result`.
            CrewCrashError: the task crashed too often.
        """
        policy.check_mode(error)
        with self._lock:
            if not self.started():
                return None
            if scale:
                self.scale(throttle)
            monad = self._inbox.take_oldest()
        return None if monad is None else self._rows([monad], error)

    @overload
    def collect(
        self,
        scale: bool = True,
        throttle: bool = True,
        error: str | None = None,
        frame: Literal[True] = True,
        controllers: Any = None,
    ) -> pl.DataFrame | None: ...

    @overload
    def collect(
        self,
        scale: bool = True,
        throttle: bool = True,
        error: str | None = None,
        *,
        frame: Literal[False],
        controllers: Any = None,
    ) -> list[Monad]: ...

    def collect(
        self,
        scale: bool = True,
        throttle: bool = True,
        error: str | None = None,
        frame: bool = True,
        controllers: Any = None,
    ) -> pl.DataFrame | list[Monad] | None:
        """Take the results of all resolved tasks.

        Args:
            scale: whether to launch workers if needed.
            throttle: whether to do so at most once per interval.
            error: "stop" raises if a task failed, "warn" warns; "silent" or None leaves it at the rows.
            frame: True: a frame. False: a list of dicts, without polars; a crashed task is never an
                exception then; its dict also has `crashes` (in a row), `final` (more than crashes_max)
                and `log` (path).
            controllers: ignored.

        Returns:
            One row per task in the order of pushing, or None (an empty list) if no task is resolved.

        Raises:
            CrewError: with `error="stop"`, a task failed; all rows are in `error.result`.
            CrewCrashError: a task crashed too often. Only its row is taken, the rest can be collected.
        """
        policy.check_mode(error)
        with self._lock:
            if not self.started():
                return None if frame else []
            if scale:
                self.scale(throttle)
            offense = self.offense() if frame else None
            if offense is not None:
                raise offense
            monads = self._inbox.take_all()
        if frame:
            return self._rows(monads, error) if monads else None
        failure = policy.first_failure(monads, error)
        if failure is not None:
            raise self._with_rows(failure, _frame(monads))
        return monads

    def offense(self) -> CrewCrashError | None:
        """Take the row of a resolved task that has crashed too often, as the exception that carries it."""
        with self._lock:
            monad = self._inbox.take_offender() if self.started() else None
        if monad is None:
            return None
        failure = crash_error(monad, self._crashes_max)
        self._with_rows(failure, _frame([monad]))
        return failure

    def _rows(self, monads: list[Monad], error: str | None) -> pl.DataFrame:
        """Rows, or the exception that they call for."""
        rows = _frame(monads)
        final = next((monad for monad in monads if monad.get("final")), None)
        failure = (
            policy.first_failure(monads, error) if final is None else crash_error(final, self._crashes_max)
        )
        if failure is not None:
            raise self._with_rows(failure, rows)
        return rows

    def _with_rows(self, failure: CrewError, rows: pl.DataFrame) -> CrewError:
        """Let an exception carry the rows that it is about."""
        failure.result = self._error = rows
        return failure

    def wait(
        self,
        mode: str = "all",
        seconds_timeout: float = math.inf,
        scale: bool = True,
        throttle: bool = True,
        verbose: bool = False,
        controllers: Any = None,
    ) -> bool:
        """Wait for tasks; their results stay to be taken.

        Args:
            mode: "all": until all tasks are resolved; "one": until one can be popped.
            seconds_timeout: how long at most.
            scale: whether to launch workers meanwhile.
            throttle: whether to do so at most once per interval.
            verbose: whether to show progress on stderr.
            controllers: ignored.

        Returns:
            Whether it came true in time. Without any task: True for "all", False for "one".

        Raises:
            CrewLaunchError: workers do not start, or never connect.
        """
        waiting.check(mode, seconds_timeout)
        if not self.started() or self.empty():
            return mode == "all"
        with progress.bar("tasks", self.size(), visible=verbose) as show:

            def ready() -> bool:
                if verbose:
                    show(self.count_resolved())
                return self.is_ready(mode)

            return waiting.wait_until(
                ready, lambda: scale and self.scale(throttle), self._client.relay, seconds_timeout
            )

    def is_ready(self, mode: str) -> bool:
        """Whether `wait` in this mode would return at once."""
        with self._lock:
            table = self._inbox.table
            return table.all_resolved() if mode == "all" else table.any_resolved()

    def count_resolved(self) -> int:
        """How many of the uncollected tasks are resolved."""
        return self._inbox.table.count_resolved()

    def cancel(self, names: Sequence[str] | str = (), all: bool = False, controllers: Any = None) -> None:  # noqa: A002 - the original's name
        """Cancel tasks. Their rows still have to be taken, with the status "cancel".

        Args:
            names: of the tasks; unknown ones are ignored.
            all: whether to cancel all.
            controllers: ignored.
        """
        with self._lock:
            handles = self._inbox.table.handles
            chosen = list(handles) if all else validation.texts("names", names)
            mirai_py.stop_mirai([handles[name] for name in chosen if name in handles])

    # -- backlog

    def push_backlog(self, name: str, controller: Any = None) -> None:
        """Note a name for later, which is all that happens to it.

        Args:
            name: of a task that the caller will push when there is room.
            controller: ignored.
        """
        with self._lock:
            self._backlog.append(validation.text("name", name))

    def pop_backlog(self, ahead: float = 1, controllers: Any = None) -> list[str]:
        """Take the names of as many tasks as there is room for.

        Args:
            ahead: tasks per worker to have uncollected.
            controllers: ignored.

        Returns:
            Names, oldest first; [] when saturated.
        """
        with self._lock:
            room = max(0, math.floor(ahead * self._launcher.workers) - self.size())
            return [self._backlog.popleft() for _ in range(min(room, len(self._backlog)))]


def _frame(monads: list[Monad]) -> pl.DataFrame:
    from crew_py import frames

    return frames.results(monads)


def _check_command(command: Any) -> None:
    if not (callable(command) or isinstance(command, str | mirai_py.Once)):
        raise CrewTypeError(f"`command` must be a callable or source text, got {command!r}")


def _milliseconds(seconds: float | None) -> float | None:
    if seconds is None or validation.number("seconds_timeout", seconds, above=0) == math.inf:
        return None
    return 1000 * seconds


def _is_shown(verbose: bool | None) -> bool:
    return sys.stderr.isatty() if verbose is None else verbose


crew_controller = CrewController
crew_class_controller = CrewController
