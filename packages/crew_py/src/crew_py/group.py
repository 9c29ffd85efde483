"""Several controllers as one."""

from __future__ import annotations

import math
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from crew_py import policy, progress, validation, waiting
from crew_py.controller import CrewController
from crew_py.errors import CrewError, CrewTypeError, CrewValueError
from crew_py.relay import CrewRelay
from crew_py.throttle import CrewThrottle

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from crew_py.monad import Command, Monad
    from crew_py.tasks import CrewTask

__all__ = ("CrewControllerGroup", "crew_class_controller_group", "crew_controller_group")


class CrewControllerGroup:
    """Use several controllers, say for small and large workers, through the methods of one.

    Methods about many controllers take `controllers`, names of some of them (None: all). Methods about one
    take `controller`, its name (None: the first).

    Args:
        *controllers: controllers that are not started, or lists of them, of different names.
        seconds_interval: longest seconds that a wait sleeps without looking around.

    Raises:
        CrewError: there is none, or one that does not fit.

    Example:
        >>> group = crew_controller_group(
        ...     crew_controller_local(name="small"), crew_controller_sequential()
        ... )
        >>> list(group.controllers)
        ['small', 'sequential']
    """

    def __init__(self, *controllers: Any, seconds_interval: float = 0.25) -> None:
        longest = validation.finite("seconds_interval", seconds_interval, above=0)
        members = list(_flat(controllers))
        self._relay = CrewRelay(CrewThrottle(seconds_max=longest, seconds_min=min(longest, 1e-3)))
        self._controllers: dict[str, CrewController] = {}
        for member in members:
            if not isinstance(member, CrewController):
                raise CrewTypeError(f"a group is made of controllers, got {member!r}")
            if member.started():
                raise CrewError(f"the controller {member.name!r} is started: group first, then start")
            if member.name in self._controllers:
                raise CrewValueError(
                    f"the controllers of a group need different names, {member.name!r} is there twice"
                )
            self._controllers[member.name] = member
        self.validate()
        self._error: pl.DataFrame | None = None
        self._relay.start()
        for member in members:
            member.client.relay.set_to(self._relay.condition)

    # -- fields

    @property
    def controllers(self) -> Mapping[str, CrewController]:
        """The members by name."""
        return MappingProxyType(self._controllers)

    @property
    def relay(self) -> CrewRelay:
        """What is signalled when a task of any member is resolved."""
        return self._relay

    @property
    def error(self) -> pl.DataFrame | None:
        """The rows of the last `collect` that raised. May be set to None."""
        return self._error

    @error.setter
    def error(self, value: pl.DataFrame | None) -> None:
        self._error = value

    def validate(self) -> None:
        """Check the members.

        Raises:
            CrewError: something is wrong with one.
        """
        if not self._controllers:
            raise CrewValueError("a group needs at least one controller")
        for member in self._controllers.values():
            member.validate()
        self._relay.validate()

    def __repr__(self) -> str:
        return f"crew_controller_group({', '.join(map(repr, self._controllers.values()))})"

    def _chosen(self, controllers: Sequence[str] | str | None) -> list[CrewController]:
        if controllers is None:
            return list(self._controllers.values())
        names = validation.texts("controllers", controllers)
        if not names:
            raise CrewValueError("`controllers` must name at least one controller, or be None for all")
        return [self._named("controllers", name) for name in names]

    def _one(self, controller: str | None) -> CrewController:
        if controller is None:
            return next(iter(self._controllers.values()))
        return self._named("controller", controller)

    def _named(self, argument: str, name: str) -> CrewController:
        if name not in self._controllers:
            raise CrewValueError(
                f"`{argument}`: there is no {name!r} in this group of {list(self._controllers)}"
            )
        return self._controllers[name]

    # -- life

    def started(self, controllers: Sequence[str] | str | None = None) -> bool:
        """Whether all are started."""
        return all(member.started() for member in self._chosen(controllers))

    def start(self, controllers: Sequence[str] | str | None = None) -> None:
        """Start all that are not."""
        for member in self._chosen(controllers):
            member.start()

    def terminate(self, controllers: Sequence[str] | str | None = None) -> None:
        """Terminate all."""
        for member in self._chosen(controllers):
            member.terminate()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()

    # -- counts

    def size(self, controllers: Sequence[str] | str | None = None) -> int:
        """How many tasks are uncollected."""
        return sum(member.size() for member in self._chosen(controllers))

    def empty(self, controllers: Sequence[str] | str | None = None) -> bool:
        """Whether all are without uncollected tasks."""
        return all(member.empty() for member in self._chosen(controllers))

    def nonempty(self, controllers: Sequence[str] | str | None = None) -> bool:
        """Whether any has an uncollected task."""
        return any(member.nonempty() for member in self._chosen(controllers))

    def resolved(self, controllers: Sequence[str] | str | None = None) -> int:
        """How many tasks are resolved since the start."""
        return sum(member.resolved() for member in self._chosen(controllers))

    def unresolved(self, controllers: Sequence[str] | str | None = None) -> int:
        """How many tasks wait or run."""
        return sum(member.unresolved() for member in self._chosen(controllers))

    def saturated(self, ahead: float = 1, controller: str | None = None) -> bool:
        """Whether it makes little sense to push more to one now; see the controller's method."""
        return self._one(controller).saturated(ahead)

    def synced(self, controllers: Sequence[str] | str | None = None) -> bool:
        """Whether all pushed tasks have arrived in the clients' counts."""
        return all(member.synced() for member in self._chosen(controllers))

    def crashes(self, name: str, controllers: Sequence[str] | str | None = None) -> int:
        """How often the task of this name has crashed in a row, over all."""
        return sum(member.crashes(name) for member in self._chosen(controllers))

    def summary(self, controllers: Sequence[str] | str | None = None) -> pl.DataFrame | None:
        """One row of totals per controller that was ever started; None if none was."""
        frames = [member.summary() for member in self._chosen(controllers)]
        found = [frame for frame in frames if frame is not None]
        if not found:
            return None
        import polars as pl

        return pl.concat(found)

    # -- workers

    def launch(self, n: int = 1, controllers: Sequence[str] | str | None = None) -> None:
        """Launch n workers in each."""
        for member in self._chosen(controllers):
            member.launch(n)

    def scale(self, throttle: bool = True, controllers: Sequence[str] | str | None = None) -> bool:
        """Launch the workers that the tasks need; whether any were launched."""
        return any([member.scale(throttle) for member in self._chosen(controllers)])  # noqa: C419 - all of them

    def autoscale(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        controllers: Sequence[str] | str | None = None,
    ) -> None:
        """Scale all in the background."""
        for member in self._chosen(controllers):
            member.autoscale(loop)

    def descale(self, controllers: Sequence[str] | str | None = None) -> None:
        """End `autoscale`."""
        for member in self._chosen(controllers):
            member.descale()

    # -- tasks

    def push(self, command: Command, *args: Any, controller: str | None = None, **kwargs: Any) -> CrewTask:
        """Submit a task to one controller; the other arguments are those of its `push`."""
        return self._one(controller).push(command, *args, **kwargs)

    def walk(
        self,
        command: Command,
        iterate: Mapping[str, Sequence[Any]],
        *args: Any,
        controller: str | None = None,
        **kwargs: Any,
    ) -> dict[str, CrewTask]:
        """Submit many tasks to one controller; the other arguments are those of its `walk`."""
        return self._one(controller).walk(command, iterate, *args, **kwargs)

    def map(
        self,
        command: Command,
        iterate: Mapping[str, Sequence[Any]],
        *args: Any,
        controller: str | None = None,
        **kwargs: Any,
    ) -> pl.DataFrame:
        """Run many tasks on one controller; the other arguments are those of its `map`."""
        return self._one(controller).map(command, iterate, *args, **kwargs)

    def cancel(
        self,
        names: Sequence[str] | str = (),
        all: bool = False,  # noqa: A002 - the original's name
        controllers: Sequence[str] | str | None = None,
    ) -> None:
        """Cancel tasks of all; see the controller's method."""
        for member in self._chosen(controllers):
            member.cancel(names, all)

    # -- results

    def pop(
        self,
        scale: bool = True,
        throttle: bool = True,
        error: str | None = None,
        controllers: Sequence[str] | str | None = None,
    ) -> pl.DataFrame | None:
        """Take one result, of the first controller that has one; see the controller's method."""
        chosen = self._chosen(controllers)
        if scale:
            self._scale_started(chosen, throttle)
        rows = (member.pop(scale=False, error=error) for member in chosen)
        return next((row for row in rows if row is not None), None)

    @overload
    def collect(
        self,
        scale: bool = True,
        throttle: bool = True,
        error: str | None = None,
        frame: Literal[True] = True,
        controllers: Sequence[str] | str | None = None,
    ) -> pl.DataFrame | None: ...

    @overload
    def collect(
        self,
        scale: bool = True,
        throttle: bool = True,
        error: str | None = None,
        *,
        frame: Literal[False],
        controllers: Sequence[str] | str | None = None,
    ) -> list[Monad]: ...

    def collect(
        self,
        scale: bool = True,
        throttle: bool = True,
        error: str | None = None,
        frame: bool = True,
        controllers: Sequence[str] | str | None = None,
    ) -> pl.DataFrame | list[Monad] | None:
        """Take the results of all resolved tasks, controller by controller; see the controller's method."""
        policy.check_mode(error)
        chosen = self._chosen(controllers)
        if scale:
            self._scale_started(chosen, throttle)
        failure = next(filter(None, (member.offense() for member in chosen)), None) if frame else None
        if failure is not None:
            self._error = failure.result
            raise failure
        monads = [monad for member in chosen for monad in member.collect(scale=False, frame=False)]
        if not monads:
            return None if frame else []
        failed = policy.first_failure(monads, error)
        if not frame and failed is None:
            return monads
        from crew_py import frames

        rows = frames.results(monads)
        if failed is not None:
            failed.result = self._error = rows
            raise failed
        return rows

    def _scale_started(self, chosen: list[CrewController], throttle: bool) -> None:
        for member in chosen:
            if member.started():
                member.scale(throttle)

    def wait(
        self,
        mode: str = "all",
        seconds_timeout: float = math.inf,
        scale: bool = True,
        throttle: bool = True,
        verbose: bool = False,
        controllers: Sequence[str] | str | None = None,
    ) -> bool:
        """Wait for all tasks of the chosen, or for any one of them; see the controller's method."""
        waiting.check(mode, seconds_timeout)
        chosen = [member for member in self._chosen(controllers) if member.started() and member.nonempty()]
        if not chosen:
            return mode == "all"
        combine = all if mode == "all" else any
        total = sum(member.size() for member in chosen)
        with progress.bar("tasks", total, visible=verbose) as show:

            def ready() -> bool:
                if verbose:
                    show(sum(member.count_resolved() for member in chosen))
                return combine(member.is_ready(mode) for member in chosen)

            def advance() -> None:
                if scale:
                    self._scale_started(chosen, throttle)

            return waiting.wait_until(ready, advance, self._relay, seconds_timeout)

    # -- backlog

    def push_backlog(self, name: str, controller: str | None = None) -> None:
        """Note a name for later at one controller."""
        self._one(controller).push_backlog(name)

    def pop_backlog(self, ahead: float = 1, controllers: Sequence[str] | str | None = None) -> list[str]:
        """Take the names of as many tasks as the controllers have room for."""
        return [name for member in self._chosen(controllers) for name in member.pop_backlog(ahead)]


def _flat(controllers: Iterable[Any]) -> Iterable[Any]:
    for item in controllers:
        if isinstance(item, list | tuple):
            yield from _flat(item)
        else:
            yield item


crew_controller_group = CrewControllerGroup
crew_class_controller_group = CrewControllerGroup
