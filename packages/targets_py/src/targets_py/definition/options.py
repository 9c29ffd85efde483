"""Options: defaults of targets, and settings of the whole pipeline."""

from __future__ import annotations

import difflib
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from targets_py.definition.checks import OPTION_CHECKS, names
from targets_py.definition.cue import Cue
from targets_py.definition.resources import Resources
from targets_py.definition.unset import UNSET, Unset
from targets_py.errors import TarValidateError

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a pipeline; `tar_option_set()` says what each one means."""

    packages: tuple[str, ...] = ()
    library: tuple[str, ...] | None = None
    imports: tuple[str, ...] = ()
    envir: dict[str, Any] | types.ModuleType | None = None
    format: str = "pickle"
    repository: str = "local"
    repository_meta: str = "local"
    iteration: str = "vector"
    error: str = "stop"
    memory: str = "auto"
    garbage_collection: bool | int = 0
    deployment: str = "worker"
    priority: float = 0.0
    resources: Resources = field(default_factory=Resources)
    storage: str = "worker"
    retrieval: str = "auto"
    cue: Cue = field(default_factory=Cue)
    description: str | None = None
    debug: tuple[str, ...] = ()
    workspaces: tuple[str, ...] = ()
    workspace_on_error: bool = True
    seed: int | None = 0
    controller: Any = None
    trust_timestamps: bool | None = None


_NAMES = tuple(option.name for option in fields(Options))
_STAYING = ("controller", "envir")  # what means something in the main process only

_current = Options()


def current_options() -> Options:
    """The options as they are now."""
    return _current


def restore_options(options: Options) -> None:
    """Make these the current options, for example on a worker."""
    global _current
    _current = options


def _known(name: Any) -> str:
    if name in _NAMES:
        return str(name)
    close = difflib.get_close_matches(str(name), _NAMES, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else f" Options: {', '.join(_NAMES)}."
    raise TarValidateError(f"there is no option {name!r}.{hint}")


def _with(options: Options, given: dict[str, Any]) -> Options:
    checked = {name: OPTION_CHECKS[_known(name)](f"option {name}", value) for name, value in given.items()}
    return replace(options, **checked)


def tar_option_set(
    *,
    packages: Sequence[str] | str | Unset = UNSET,
    library: Sequence[str] | str | Unset | None = UNSET,
    imports: Sequence[str] | str | Unset = UNSET,
    envir: dict[str, Any] | types.ModuleType | Unset | None = UNSET,
    format: str | Unset = UNSET,  # noqa: A002 - the original's name
    repository: str | Unset = UNSET,
    repository_meta: str | Unset = UNSET,
    iteration: str | Unset = UNSET,
    error: str | Unset = UNSET,
    memory: str | Unset = UNSET,
    garbage_collection: bool | int | Unset = UNSET,
    deployment: str | Unset = UNSET,
    priority: float | Unset = UNSET,
    resources: Resources | Unset = UNSET,
    storage: str | Unset = UNSET,
    retrieval: str | Unset = UNSET,
    cue: Cue | Unset = UNSET,
    description: str | Unset | None = UNSET,
    debug: Sequence[str] | str | Unset = UNSET,
    workspaces: Sequence[str] | str | Unset = UNSET,
    workspace_on_error: bool | Unset = UNSET,
    seed: int | Unset | None = UNSET,
    controller: Any = UNSET,
    trust_timestamps: bool | Unset | None = UNSET,
) -> None:
    """Set options; what is not given stays as it is.

    Args:
        packages: Modules to import before each command.
        library: Folders that come first on sys.path while a target runs.
        imports: Third-party modules whose code is tracked like the project's.
        envir: Namespace where globals are looked up; None: the script's.
        format: How values are stored, see `tar_target()`.
        repository: Where values are stored: "local".
        repository_meta: Where the metadata is copied to: "local" (nowhere).
        iteration: How values are split and aggregated: "vector", "list" or "group".
        error: What a failing target does to the pipeline: "stop", "continue", "null", "trim" or "abridge".
        memory: How long values stay in memory: "auto", "persistent" or "transient".
        garbage_collection: Collect garbage before every n-th target of a process; 0: never; True: each.
        deployment: Where targets run: "worker" or "main".
        priority: Between 0 and 1; larger runs first among targets that are ready.
        resources: From `tar_resources()`.
        storage: Who stores values: "worker", "main" or "none".
        retrieval: Who loads upstream values: "auto", "worker", "main" or "none".
        cue: From `tar_cue()`.
        description: A label.
        debug: Targets or branches to stop at with the debugger.
        workspaces: Targets, branches or patterns that leave a workspace although they did not fail.
        workspace_on_error: Whether each failed target leaves a workspace.
        seed: Shifts the seeds of all targets; None: no seeds, and targets are outdated each time.
        controller: A crew controller, or a group, that runs the targets; None: this process.
        trust_timestamps: Whether an unchanged time and size proves that a file did not change; None: on file
            systems with fine time stamps only.

    Raises:
        TarValidateError: An illegal value; nothing is changed then.

    Example:
        >>> with tar_option_with():
        ...     tar_option_set(format="parquet", seed=5)
        ...     tar_option_get("format")
        'parquet'
    """
    given = {name: value for name, value in locals().items() if value is not UNSET}
    restore_options(_with(_current, given))


def tar_option_get(name: str) -> Any:
    """Return the value of an option.

    Args:
        name: Name of the option.

    Returns:
        Its current value.

    Raises:
        TarValidateError: There is no such option.

    Example:
        >>> tar_option_get("deployment")
        'worker'
    """
    return getattr(_current, _known(name))


def tar_option_unset(options: Sequence[str] | str) -> None:
    """Give options their defaults back.

    Args:
        options: Names of options.

    Raises:
        TarValidateError: There is no such option; nothing is changed then.

    Example:
        >>> tar_option_unset(["format", "seed"])
    """
    defaults = Options()
    restore_options(
        replace(_current, **{name: getattr(defaults, _known(name)) for name in names("options", options)})
    )


def tar_option_reset() -> None:
    """Give all options their defaults back.

    Example:
        >>> tar_option_reset()
    """
    restore_options(Options())


@contextmanager
def tar_option_with(**options: Any) -> Iterator[None]:
    """Set options for the body of a with statement, and restore all options exactly afterwards.

    Args:
        **options: As in `tar_option_set()`.

    Yields:
        Nothing.

    Raises:
        TarValidateError: An unknown option or an illegal value.

    Example:
        >>> with tar_option_with(seed=1):
        ...     tar_option_get("seed")
        1
    """
    before = _current
    restore_options(_with(before, options))
    try:
        yield
    finally:
        restore_options(before)


def tar_option_export() -> dict[str, Any]:
    """Return the options that travel to workers.

    Returns:
        Name -> value of all options but controller and envir.

    Example:
        >>> "controller" in tar_option_export()
        False
    """
    return {name: getattr(_current, name) for name in _NAMES if name not in _STAYING}
