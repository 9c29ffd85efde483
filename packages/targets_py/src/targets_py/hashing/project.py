"""Which code belongs to the project, and is followed and hashed."""

# ruff: noqa: PTH110, PTH118, PTH119, PTH120
# The os functions are several times as fast as pathlib, and this runs for each folder.

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import types
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_INSTALLED = frozenset({"site-packages", "dist-packages"})


class Project:
    """The files under a folder, less what is installed there.

    Args:
        root: The folder.
        namespace: Globals of the script.
        imports: Top-level modules that belong to it wherever they lie.
        sources: Path -> text of files that belong to it wherever they lie.
    """

    def __init__(
        self, root: Path, namespace: Mapping[str, Any], imports: Sequence[str], sources: Mapping[str, str]
    ) -> None:
        self._root = os.path.realpath(root)
        self._namespace = namespace
        self._imports = frozenset(imports)
        self._sources = sources
        self._library = {os.path.realpath(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib")}
        self._files: dict[str, bool] = {}
        self._folders: dict[str, bool] = {}
        self._tops: dict[str, bool] = {}

    def __repr__(self) -> str:
        return f"<Project {self._root}>"

    def has_file(self, path: str | None) -> bool:
        """Whether a file belongs to the project."""
        if not path:
            return False
        known = self._files.get(path)
        if known is None:
            known = self._files[path] = self._has_folder(os.path.dirname(os.path.realpath(path)))
        return known or path in self._sources

    def has_module(self, module: types.ModuleType) -> bool:
        """Whether a module belongs to the project."""
        if vars(module) is self._namespace or module.__name__.partition(".")[0] in self._imports:
            return True
        file = getattr(module, "__file__", None)
        if file is not None:
            return self.has_file(file)
        return any(self._has_folder(os.path.realpath(folder)) for folder in getattr(module, "__path__", ()))

    def has_name(self, name: str) -> bool:
        """Whether the module of this dotted name belongs to the project; it need not be imported yet."""
        top = name.partition(".")[0]
        if top not in self._tops:
            self._tops[top] = top in self._imports or self._find_top(top)
        return self._tops[top]

    def has_function(self, function: types.FunctionType) -> bool:
        """Whether a function belongs to the project."""
        path = function.__code__.co_filename
        if self.has_file(path) or function.__globals__ is self._namespace:
            return True
        module = function.__globals__.get("__name__", "")
        # `exec`, the console and notebooks: there is no file, so the module decides
        without_file = path.startswith("<") or not os.path.exists(path)
        return module.partition(".")[0] in self._imports or (without_file and self._has_running(module))

    def has_class(self, cls: type) -> bool:
        """Whether a class belongs to the project."""
        return self._has_running(cls.__module__)

    def imported(self, name: str) -> types.ModuleType | None:
        """A module of the project, imported if it was not; None for others.

        Raises:
            Exception: Whatever importing raises.
        """
        return importlib.import_module(name) if self.has_name(name) else None

    def _has_running(self, module: str) -> bool:
        if module == "__main__" or module == self._namespace.get("__name__"):
            return True
        found = sys.modules.get(module)
        return self.has_module(found) if found is not None else module.partition(".")[0] in self._imports

    def _find_top(self, top: str) -> bool:
        module = sys.modules.get(top)
        if module is not None:
            return self.has_module(module)
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return False
        if spec is None:
            return False
        if spec.origin not in {None, "namespace"}:
            return self.has_file(spec.origin)
        return any(
            self._has_folder(os.path.realpath(place)) for place in spec.submodule_search_locations or ()
        )

    def _has_folder(self, folder: str) -> bool:
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = self._judge(folder)
        return known

    def _judge(self, folder: str) -> bool:
        if folder == self._root:
            return True
        name = os.path.basename(folder)
        parent = os.path.dirname(folder)
        if parent == folder or name in _INSTALLED or folder in self._library:
            return False
        if os.path.exists(os.path.join(folder, "pyvenv.cfg")):
            return False
        return self._has_folder(parent)
