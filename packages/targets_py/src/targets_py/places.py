"""Where script and store are, for a function that was told nothing or something about it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.config import tar_config_get
from targets_py.engine.context import current_session, current_target, session
from targets_py.errors import TarValidateError
from targets_py.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from targets_py.script import Pipeline

StrPath = str | os.PathLike[str]


def setting(name: str, given: Any) -> Any:
    """The argument that was given, or else the project's setting of that name."""
    return tar_config_get(name) if given is None else given


def script_path(script: StrPath | None) -> str:
    """Path of the script: the given one, that of the running pipeline, or that of the project."""
    return _path("script", script)


def store_path(store: StrPath | None) -> str:
    """Path of the data store: the given one, that of the running pipeline, or that of the project."""
    return _path("store", store)


def reading_store(store: StrPath | None) -> Store:
    """The data store that a reader is asked to look into; it need not exist.

    Raises:
        TarValidateError: A target of the running pipeline asks for its own pipeline's store.
    """
    path = store_path(store)
    _refuse_own_store(path)
    return Store(path)


def existing_store(store: StrPath | None) -> Store:
    """The data store of a function that cannot do without.

    Raises:
        TarValidateError: There is no such folder, or it is the store of the pipeline that the caller runs in.
    """
    found = reading_store(store)
    if not found.exists():
        raise TarValidateError(
            f"targets data store {store_path(store)} not found. Functions like tar_read() need a store that"
            " tar_make() has made; store= or tar_config_set(store=) says where one is"
        )
    return found


@contextmanager
def open_pipeline(
    caller: str, script: str, store: str, envir: Mapping[str, Any] | None = None
) -> Iterator[Pipeline]:
    """Read the script for a runner, and leave the process as it was when the body ends.

    Args:
        caller: Name of the runner, as in "tar_make".
        script: Path of the script.
        store: Path of the store.
        envir: Names to put into the script's namespace first.
    """
    from targets_py.script import open_script

    with session(caller, script, store), open_script(script, envir) as pipeline:
        yield pipeline


@contextmanager
def project_on_path() -> Iterator[None]:
    """Let values find the project's modules while they are unpickled."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before


def variables_of(envir: Any, caller: FrameType) -> dict[str, Any]:
    """The variables to assign to: those given, or those of the caller if it is top-level code.

    Args:
        envir: A dict or a module; None: the caller's variables.
        caller: The frame that called the public function.

    Raises:
        TarValidateError: Those of a function, which cannot be assigned to, or of no known kind.
    """
    if envir is None:
        if caller.f_locals is not caller.f_globals:
            raise TarValidateError(
                "local variables of functions cannot be assigned to: give envir=, for example a dict"
            )
        return caller.f_globals
    variables = envir if isinstance(envir, dict) else getattr(envir, "__dict__", None)
    if not isinstance(variables, dict):
        raise TarValidateError(f"envir must be a dict or a module, not {envir!r}")
    return variables


def warns() -> bool:
    """Whether notes are wanted: environment variable TAR_WARN."""
    return os.environ.get("TAR_WARN", "true").lower() != "false"


def note(text: str) -> None:
    """Tell the user something that is no result, on stderr."""
    print(text, file=sys.stderr)  # noqa: T201


def _path(name: str, given: StrPath | None) -> str:
    if given is not None:
        path = os.fspath(given)
        if not path:
            raise TarValidateError(f"{name} must be a path, not {given!r}")
        return str(path)
    active = current_session()
    return str(tar_config_get(name)) if active is None else str(getattr(active, name))


def _refuse_own_store(path: str) -> None:
    target, active = current_target(), current_session()
    if target is None or active is None:
        return
    settings = target.definition.settings
    exempt = settings.format == "file" and settings.repository == "local"
    if not exempt and Path(path).resolve() == Path(active.store).resolve():
        raise TarValidateError(
            f"target {target.definition.name} must not look into the data store {path} of its own pipeline:"
            " make what it needs a parameter of its command"
        )
