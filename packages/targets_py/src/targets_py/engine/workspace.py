"""Workspaces: what is needed to look at a failed target afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarFileError
from targets_py.storage import pickling

if TYPE_CHECKING:
    from targets_py.definition.targets import Target
    from targets_py.engine.values import Reference
    from targets_py.storage.store import Store


@dataclass(frozen=True, slots=True)
class Workspace:
    """A target as it was when it failed; values are not in it, only where they are.

    Attributes:
        name: Name of the target or branch.
        index: Number of a branch, -1 for a stem.
        target: What was declared.
        seed: Its seed.
        options: `tar_option_export()` of the pipeline.
        inputs: Parameter (source: name) -> where the upstream value is; those that could be loaded.
        traceback: Text of the error's traceback, the user's frames only; empty if it did not fail.
    """

    name: str
    index: int
    target: Target
    seed: int | None
    options: dict[str, Any]
    inputs: dict[str, Reference]
    traceback: str


def save_workspace(store: Store, workspace: Workspace) -> None:
    """Write a workspace.

    Raises:
        TarFileError: It cannot be written.
    """
    path = store.workspaces / workspace.name
    try:
        path.parent.mkdir(exist_ok=True)
        scratch = store.scratch_path(workspace.name)
        pickling.dump(str(scratch), workspace)
        scratch.replace(path)
    except Exception as error:
        raise TarFileError(f"could not save the workspace of {workspace.name}: {error}") from error


def load_workspace(store: Store, name: str) -> Workspace:
    """Read a workspace.

    Raises:
        FileNotFoundError: There is none of that name.
    """
    workspace: Workspace = pickling.load(str(store.workspaces / name))
    return workspace
