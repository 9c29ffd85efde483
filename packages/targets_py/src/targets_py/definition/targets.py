"""Targets: the steps of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, overload

from targets_py.definition.checks import TARGET_CHECKS, check_name, names
from targets_py.definition.commands import Command, as_command
from targets_py.definition.options import current_options
from targets_py.definition.patterns import Pattern, as_pattern
from targets_py.definition.unset import UNSET, Unset
from targets_py.errors import TarValidateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from targets_py.definition.cue import Cue
    from targets_py.definition.options import Options
    from targets_py.definition.resources import Resources


@dataclass(frozen=True, slots=True)
class Settings:
    """How a target is run and stored; `tar_target()` says what each one means."""

    packages: tuple[str, ...]
    library: tuple[str, ...] | None
    format: str
    repository: str
    iteration: str
    error: str
    memory: str
    garbage_collection: bool
    deployment: str
    priority: float
    resources: Resources
    storage: str
    retrieval: str
    description: str | None
    pattern: Pattern | None = None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Target:
    """A step of a pipeline; made by `tar_target()`, never changed.

    Attributes:
        name: Its name, a Python identifier.
        command: What it runs; None as long as it has none.
        settings: How it is run and stored.
        cue: When it runs again.
        deps: Names it depends on instead of those its command shows, or None.
    """

    name: str
    command: Command | None
    settings: Settings
    cue: Cue
    deps: tuple[str, ...] | None = None

    @property
    def pattern(self) -> Pattern | None:
        """How it branches, or None."""
        return self.settings.pattern

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the decorated function; a target without a command takes the function that it decorates."""
        if self.command is not None:
            if self.command.kind != "callable":
                raise TypeError(f"the command of target {self.name} is no function")
            return self.command.value(*arguments, **named)
        if named or len(arguments) != 1 or not callable(arguments[0]):
            raise TypeError(f"target {self.name} has no command")
        return replace(self, command=as_command(arguments[0]))

    def __repr__(self) -> str:
        pattern = f", pattern={self.pattern}" if self.pattern else ""
        kind = "no" if self.command is None else self.command.kind
        return f"<tar_target {self.name}: {kind} command{pattern}>"


_SETTINGS = tuple(setting.name for setting in fields(Settings))


@overload
def tar_target(name: Callable[..., Any], /) -> Target: ...


@overload
def tar_target(
    name: str, command: Any = ..., pattern: Pattern | str | None = ..., **settings: Any
) -> Target: ...


@overload
def tar_target(
    *, pattern: Pattern | str | None = ..., **settings: Any
) -> Callable[[Callable[..., Any]], Target]: ...


def tar_target(  # type: ignore[misc]  # the overloads say it: named arguments are spelled out below only
    name: Any = UNSET,
    command: Any = UNSET,
    pattern: Pattern | str | None = None,
    *,
    packages: Sequence[str] | str | Unset = UNSET,
    library: Sequence[str] | str | Unset | None = UNSET,
    format: str | Unset = UNSET,  # noqa: A002 - the original's name
    repository: str | Unset = UNSET,
    iteration: str | Unset = UNSET,
    error: str | Unset = UNSET,
    memory: str | Unset = UNSET,
    garbage_collection: bool | Unset = UNSET,
    deployment: str | Unset = UNSET,
    priority: float | Unset = UNSET,
    resources: Resources | Unset = UNSET,
    storage: str | Unset = UNSET,
    retrieval: str | Unset = UNSET,
    cue: Cue | Unset = UNSET,
    description: str | Unset | None = UNSET,
    deps: Sequence[str] | None = None,
    string: str | None = None,
) -> Any:
    """Declare a step of the pipeline; also a decorator, bare or with arguments.

    What is not given is `tar_option_get()` of that name at the moment of the call.

    Args:
        name: A Python identifier, no leading underscore, at most 200 bytes; also names the stored file.
        command: A callable, whose parameters are the upstream targets; source, whose last expression is the
            value; or any other object, which is the value. A decorator takes the function below it.
        pattern: How the target branches: `map("x")`, `cross("x", "y")`, ..., or such source.
        packages: Modules to import before the command; source sees their names.
        library: Folders that come first on sys.path meanwhile.
        format: How the value is stored: "pickle", "parquet", "feather", "csv", "json", "numpy", "file" (the
            value is a path or a list of paths, whose contents are tracked) or "auto".
        repository: Where the value is stored: "local".
        iteration: How a pattern splits the value, and how the values of branches are aggregated: "vector"
            (joined), "list" (side by side) or "group" (rows of equal tar_group).
        error: What a failure does: "stop" the pipeline, "continue" with what does not need the value, value
            "null" (None), "trim" what is below, "abridge" (start nothing new).
        memory: "persistent" keeps the value in memory, "transient" reads it again for each use, "auto" keeps
            only stems that a pattern branches over.
        garbage_collection: Collect garbage before the command.
        deployment: "worker", or "main" to run in the pipeline's process.
        priority: Between 0 and 1; larger runs first among targets that are ready.
        resources: From `tar_resources()`.
        storage: Who stores the value: "worker" (whoever runs the command), "main" (the pipeline's process) or
            "none" (the command itself did).
        retrieval: Who loads the upstream values: "worker", "main", "none" (nobody) or "auto".
        cue: From `tar_cue()`.
        description: A label.
        deps: Names of targets and globals it depends on, instead of those the command shows.
        string: Text that is hashed instead of the command.

    Returns:
        The target: put it into `pipeline`. Without a command: a decorator.

    Raises:
        TarValidateError: An illegal name or value.

    Example:
        >>> tar_target("twice", lambda x: x * 2, pattern=map("x"))
        <tar_target twice: callable command, pattern=map(x)>
    """
    given = {key: value for key, value in locals().items() if key in TARGET_CHECKS and value is not UNSET}

    def declare(name: str, command: Any) -> Target:
        return _declare(name, command, given, pattern, deps, string)

    if name is UNSET:
        return lambda function: declare(function.__name__, function)
    if command is UNSET and callable(name) and not isinstance(name, str):
        return declare(name.__name__, name)
    return declare(name, command)


def _declare(
    name: str,
    command: Any,
    given: dict[str, Any],
    pattern: Pattern | str | None,
    deps: Sequence[str] | None,
    string: str | None,
) -> Target:
    check_name(name)
    options = current_options()
    settings = _default_settings(options)
    values = {key: TARGET_CHECKS[key](f"{key} of target {name}", value) for key, value in given.items()}
    cue = values.pop("cue", options.cue)
    if pattern is not None:
        values["pattern"] = _check_pattern(name, pattern, values.get("iteration", settings.iteration))
    if values:
        settings = replace(settings, **values)
    return Target(name, _command(name, command, string), settings, cue, _deps(name, deps))


_latest: tuple[Options, Settings] | None = None


def _default_settings(options: Options) -> Settings:
    """The settings that options stand for; thousands of targets share one object."""
    global _latest
    if _latest is None or _latest[0] is not options:
        values = {key: getattr(options, key) for key in _SETTINGS if key != "pattern"}
        values["garbage_collection"] = options.garbage_collection is True
        _latest = options, Settings(**values)
    return _latest[1]


def _command(name: str, value: Any, string: str | None) -> Command | None:
    if value is UNSET:
        return None
    if isinstance(value, Target):
        return value.command
    try:
        command = as_command(value)
    except TarValidateError as error:
        raise TarValidateError(f"target {name}: {error}") from error
    return command if string is None else replace(command, string=string)


def _deps(name: str, deps: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if deps is None else names(f"deps of target {name}", deps)


def _check_pattern(name: str, value: Any, iteration: str) -> Pattern | None:
    try:
        pattern = as_pattern(value)
    except TarValidateError as error:
        raise TarValidateError(f"target {name}: {error}") from error
    if pattern is None:
        return None
    if name in pattern.dimensions():
        raise TarValidateError(f"target {name} cannot branch over itself: {pattern}")
    if iteration == "group":
        raise TarValidateError(f'target {name} has a pattern, so its iteration cannot be "group"')
    return pattern


tar_target_raw = tar_target


def tar_target_copy(target: Target, **changes: Any) -> Target:
    """Copy a target with changes.

    Args:
        target: The original, which stays as it is.
        **changes: Arguments of `tar_target()`, name and command included.

    Returns:
        Another target; what is not named in changes is that of the original, not of the options.

    Raises:
        TarValidateError: An illegal value.
        TypeError: No argument of `tar_target()`.

    Example:
        >>> tar_target_copy(tar_target("x", lambda: 1), name="y").name
        'y'
    """
    legal = {"name", "command", "pattern", "deps", "string", *TARGET_CHECKS}
    unknown = sorted(set(changes) - legal)
    if unknown:
        raise TypeError(f"tar_target() has no argument {unknown[0]!r}")
    name = check_name(changes.get("name", target.name))
    settings = {
        key: TARGET_CHECKS[key](f"{key} of target {name}", value)
        for key, value in changes.items()
        if key in _SETTINGS and key != "pattern"
    }
    iteration = settings.get("iteration", target.settings.iteration)
    settings["pattern"] = _check_pattern(name, changes.get("pattern", target.pattern), iteration)
    cue = TARGET_CHECKS["cue"](f"cue of target {name}", changes.get("cue", target.cue))
    command = target.command
    if "command" in changes:
        command = _command(name, changes["command"], None)
    if changes.get("string") is not None and command is not None:
        command = replace(command, string=changes["string"])
    deps = _deps(name, changes["deps"]) if "deps" in changes else target.deps
    return Target(name, command, replace(target.settings, **settings), cue, deps)
