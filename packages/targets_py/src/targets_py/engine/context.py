"""What code can find out about the target and the pipeline that it runs in."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarCancel, TarRunError, TarValidateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from targets_py.definition.commands import Command
    from targets_py.definition.cue import Cue
    from targets_py.definition.targets import Settings, Target


@dataclass(frozen=True, slots=True)
class Session:
    """The function that reads a script or runs a pipeline in this process.

    Attributes:
        function: Its name, for example "tar_make".
        script: Path of the script, as the user gave it.
        store: Path of the data store, as the user gave it.
    """

    function: str
    script: str
    store: str


@dataclass(frozen=True, slots=True)
class Definition:
    """The running target.

    Attributes:
        name: Name of the target or branch.
        parent: Name of a branch's pattern, otherwise the name itself.
        index: 0-based number of a branch, None for a stem.
        target: What was declared.
        seed: Its seed, None without seeds.
    """

    name: str
    parent: str
    index: int | None
    target: Target
    seed: int | None

    @property
    def command(self) -> Command | None:
        """Its command."""
        return self.target.command

    @property
    def settings(self) -> Settings:
        """Its settings."""
        return self.target.settings

    @property
    def cue(self) -> Cue:
        """Its cue."""
        return self.target.cue


@dataclass(slots=True)
class Running:
    """A target whose command runs right now."""

    definition: Definition
    namespace: dict[str, Any]
    canceled: bool = False


_session: Session | None = None
_running: ContextVar[Running | None] = ContextVar("targets_py.running", default=None)


def current_session() -> Session | None:
    """Who reads the script or runs the pipeline, None if nobody does."""
    return _session


@contextmanager
def session(function: str, script: str, store: str) -> Iterator[Session]:
    """Say who reads the script or runs the pipeline until the body ends."""
    global _session
    before, _session = _session, Session(function, script, store)
    try:
        yield _session
    finally:
        _session = before


def enter_session(here: Session | None) -> None:
    """Say for good who runs the pipeline, on a worker that serves it."""
    global _session
    _session = here


def current_target() -> Running | None:
    """The target whose command runs right now, None outside of commands."""
    return _running.get()


@contextmanager
def running(definition: Definition, namespace: dict[str, Any]) -> Iterator[Running]:
    """Say which target's command runs until the body ends."""
    state = Running(definition, namespace)
    token = _running.set(state)
    try:
        yield state
    finally:
        _running.reset(token)


def tar_name(default: str = "target") -> str:
    """Return the name of the running target or branch.

    Args:
        default: What to return outside of commands.

    Returns:
        The name.

    Example:
        >>> tar_name()
        'target'
    """
    state = _running.get()
    return default if state is None else state.definition.name


def tar_definition(default: Any = None) -> Any:
    """Return the running target: its name, parent, index, command, settings, cue and seed.

    Args:
        default: What to return outside of commands.

    Returns:
        The definition.

    Example:
        >>> tar_definition(default="none runs")
        'none runs'
    """
    state = _running.get()
    return default if state is None else state.definition


def tar_seed_get(default: int | None = 1) -> int | None:
    """Return the seed of the running target.

    Args:
        default: What to return outside of commands.

    Returns:
        The seed; None if the pipeline has none.

    Example:
        >>> tar_seed_get()
        1
    """
    state = _running.get()
    return default if state is None else state.definition.seed


def tar_format_get(default: str | None = None) -> str | None:
    """Return the format of the running target.

    Args:
        default: What to return outside of commands; None: `tar_option_get("format")`.

    Returns:
        The format's name.

    Example:
        >>> tar_format_get()
        'pickle'
    """
    from targets_py.definition.options import tar_option_get

    state = _running.get()
    if state is not None:
        return state.definition.settings.format
    return str(tar_option_get("format")) if default is None else default


def tar_envir(default: Any = None) -> Any:
    """Return the namespace of the script whose target runs.

    Args:
        default: What to return outside of commands.

    Returns:
        A dict: the globals of the script.

    Example:
        >>> tar_envir(default={})
        {}
    """
    state = _running.get()
    return default if state is None else state.namespace


def tar_call() -> str | None:
    """Return the name of the function that reads the script or runs the pipeline.

    Returns:
        For example "tar_make"; None if there is none.

    Example:
        >>> tar_call() is None
        True
    """
    return None if _session is None else _session.function


def tar_active() -> bool:
    """Say whether a pipeline runs, or its script is read in order to run it.

    Returns:
        Whether the environment variable TAR_ACTIVE is "true".

    Example:
        >>> tar_active()
        False
    """
    return os.environ.get("TAR_ACTIVE") == "true"


def tar_cancel(condition: bool = True) -> None:
    """Stop the running target: it becomes canceled, and its old value stays.

    Args:
        condition: Do so only if this is True.

    Raises:
        TarCancel: To leave the command; the target is canceled even if the command catches it.
        TarRunError: No target runs.
        TarValidateError: A condition that is no bool.

    Example:
        >>> try:
        ...     tar_cancel()
        ... except TarRunError as error:
        ...     print(error)
        tar_cancel() must be called by the command of a target
    """
    if not isinstance(condition, bool):
        raise TarValidateError(f"condition of tar_cancel() must be True or False, not {condition!r}")
    state = _running.get()
    if state is None:
        raise TarRunError("tar_cancel() must be called by the command of a target")
    if condition:
        state.canceled = True
        raise TarCancel(f"target {state.definition.name} canceled itself")
