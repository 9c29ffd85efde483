"""Looking at a failed target: its inputs, its traceback, the globals of the script."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from targets_py.definition.seeds import tar_seed_set
from targets_py.engine.graph import close_match
from targets_py.engine.values import Loader
from targets_py.engine.worker import import_packages
from targets_py.engine.workspace import load_workspace
from targets_py.errors import TarValidateError
from targets_py.places import existing_store, project_on_path, reading_store, script_path, variables_of
from targets_py.script import load_script
from targets_py.tables import chosen_names

if TYPE_CHECKING:
    from targets_py.engine.workspace import Workspace
    from targets_py.places import StrPath
    from targets_py.selection import Selector
    from targets_py.storage.store import Store

__all__ = ("tar_load_globals", "tar_traceback", "tar_workspace", "tar_workspaces")


def tar_load_globals(envir: dict[str, Any] | None = None, script: StrPath | None = None) -> None:
    """Run the script for its functions, other globals and options, and import the packages of its options.

    Args:
        envir: The variables to assign to; None: those of the caller, which must be top-level code.
        script: The script; None: that of the project. No store is needed.

    Raises:
        TarValidateError: The script is missing or wrong, or the caller's variables cannot be assigned to.

    Example:
        >>> variables = {}
        >>> tar_load_globals(envir=variables)
        >>> variables["factor"]
        10
    """
    variables = variables_of(envir, sys._getframe(1))  # noqa: SLF001 - to find the caller's variables
    variables.update(_globals(script))


def tar_workspaces(names: Selector = None, store: StrPath | None = None) -> list[str]:
    """Names of the targets and branches that left a workspace, sorted.

    Args:
        names: Which of them; None: all.
        store: The data store; None: that of the project.

    Example:
        >>> tar_workspaces()
        ['bad']
    """
    return chosen_names(names, _names(reading_store(store)))


def tar_workspace(
    name: str,
    envir: dict[str, Any] | None = None,
    packages: bool = True,
    source: bool = True,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> None:
    """Load what a target had when it failed: its upstream values, and its seed.

    Args:
        name: A target or branch that left a workspace.
        envir: The variables to assign to; None: those of the caller, which must be top-level code.
        packages: Whether to import the target's packages.
        source: Whether to run the script for its functions and other globals.
        script: The script; None: that of the project.
        store: The data store; None: that of the project.

    Raises:
        TarValidateError: There is no such workspace.
        TarRunError: An upstream value is not there any more.

    Example:
        >>> variables = {}
        >>> tar_workspace("bad", envir=variables)
        >>> variables["data"]
        [1, 2, 3]
    """
    variables = variables_of(envir, sys._getframe(1))  # noqa: SLF001 - to find the caller's variables
    place = existing_store(store)
    found = _globals(script) if source else {}
    with project_on_path():
        workspace = _workspace(name, place)
        if packages:
            found |= import_packages(workspace.target.settings.packages)
        loader = Loader(place)
        found |= {parameter: loader.load(reference) for parameter, reference in workspace.inputs.items()}
    variables.update(found)
    tar_seed_set(workspace.seed)


def tar_traceback(name: str, store: StrPath | None = None) -> list[str]:
    """Lines of a failed target's traceback, without those of this package.

    Args:
        name: A target or branch that left a workspace.
        store: The data store; None: that of the project.

    Returns:
        The lines, the last one the error itself; none if it did not fail.

    Raises:
        TarValidateError: There is no such workspace.

    Example:
        >>> tar_traceback("bad")[-1]
        'ZeroDivisionError: division by zero'
    """
    with project_on_path():
        return _workspace(name, existing_store(store)).traceback.splitlines()


def _globals(script: StrPath | None) -> dict[str, Any]:
    pipeline = load_script(script_path(script))
    own = {name: value for name, value in pipeline.namespace.items() if not name.startswith("__")}
    return own | import_packages(pipeline.options.packages)


def _names(store: Store) -> list[str]:
    return sorted(path.name for path in store.workspaces.iterdir()) if store.workspaces.is_dir() else []


def _workspace(name: str, store: Store) -> Workspace:
    try:
        return load_workspace(store, name)
    except FileNotFoundError:
        names = _names(store)
        there = f"There are: {', '.join(names)}." if names else "There are none."
        raise TarValidateError(
            f"workspace {name} not found.{close_match(name, names)} {there} A target that fails leaves one,"
            ' and so does each of tar_option_set(workspaces=["x"])'
        ) from None
