"""The sources of the project's own modules, as they were when the script was read."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from targets_py.hashing.project import Project

if TYPE_CHECKING:
    import types
    from collections.abc import Container, Iterator


@dataclass(frozen=True, slots=True)
class Source:
    """A module's file, its text, and whether it is a package."""

    file: str
    text: str
    package: bool


def project_modules(root: str) -> Iterator[tuple[str, types.ModuleType]]:
    """The imported modules whose files lie in the project's folder and were not installed there."""
    project = Project(Path(root), {}, (), {})
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and file.startswith(root + os.sep) and project.has_file(file):
            yield name, module


def project_sources(root: str, known: Container[str] = ()) -> dict[str, Source]:
    """Read the imported modules of the project.

    Args:
        root: The project's folder.
        known: Names of modules to leave out.

    Returns:
        Name -> source; modules whose text is not at hand (compiled ones) are left out.
    """
    found = {}
    for name, module in project_modules(root):
        read = getattr(getattr(module, "__loader__", None), "get_source", None)
        if name in known or name == "__main__" or read is None:
            continue
        try:
            text = read(name)
        except (ImportError, OSError):
            continue
        if text is not None:
            found[name] = Source(str(module.__file__), text, hasattr(module, "__path__"))
    return found
