"""Paths of scripts, stores and stored values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from targets_py.engine.context import current_target
from targets_py.places import script_path, store_path

if TYPE_CHECKING:
    from targets_py.places import StrPath

__all__ = (
    "tar_exist_script",
    "tar_path_script",
    "tar_path_script_support",
    "tar_path_store",
    "tar_path_target",
)


def tar_path_target(
    name: str | None = None,
    default: str | None = None,
    create_dir: bool = False,
    store: StrPath | None = None,
) -> str | None:
    """Where the value of a target is stored.

    Args:
        name: A target or branch; None: the running one.
        default: What to return if no name is given and no target runs.
        create_dir: Whether to make the folder that it lies in.
        store: The data store; None: that of the running pipeline, or of the project.

    Returns:
        The path; None for the running target if it tracks files of its own (format "file").

    Example:
        >>> tar_path_target("x")
        '_targets/objects/x'
    """
    target = current_target()
    if name is None:
        if target is None:
            return default
        if target.definition.settings.format == "file":
            return None
        name = target.definition.name
    path = Path(store_path(store), "objects", name)
    if create_dir:
        path.parent.mkdir(parents=True, exist_ok=True)
    return str(path)


def tar_path_store() -> str:
    """Path of the data store: that of the running pipeline, or of the project.

    Example:
        >>> tar_path_store()
        '_targets'
    """
    return store_path(None)


def tar_path_script() -> str:
    """Path of the script: that of the running pipeline, or of the project.

    Example:
        >>> tar_path_script()
        '_targets.py'
    """
    return script_path(None)


def tar_path_script_support() -> str:
    """Folder of the files that belong to the script: its path without suffix, and `_py`.

    Example:
        >>> tar_path_script_support()
        '_targets_py'
    """
    return str(Path(tar_path_script()).with_suffix("")) + "_py"


def tar_exist_script(script: StrPath | None = None) -> bool:
    """Whether the script exists.

    Args:
        script: Its path; None: that of the project.

    Example:
        >>> tar_exist_script()
        True
    """
    return Path(script_path(script)).exists()
