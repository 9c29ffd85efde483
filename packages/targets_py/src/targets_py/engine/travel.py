"""How a script and its commands reach workers.

A bundle holds the script, what `tar_source()` ran and the project's modules *as the main process read them*:
workers run these from memory, so a file that is edited while the pipeline runs never runs under the old hash.
Commands follow as references into these modules, or as code whose globals are those of the module.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import types
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.util import spec_from_loader
from typing import TYPE_CHECKING, Any

import cloudpickle

from targets_py.definition.options import Options, tar_option_export
from targets_py.hashing.digest import digest
from targets_py.project import Source, project_sources
from targets_py.script import MODULE, Pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec

    from targets_py.engine.context import Session

PROTOCOL = 5


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that a worker needs to stand in for the main process.

    Attributes:
        key: Tells bundles apart.
        script: Absolute path of the script.
        sources: Path -> text of the script and of what `tar_source()` ran.
        modules: Name -> source of the project's modules.
        given: What the caller put into the script's namespace; None where it cannot travel.
        options: The options at the end of the script, without controller and envir.
        folder: Working directory: the project's root.
        search: sys.path.
        environment: The environment variables TAR_*.
        store: Path of the data store.
        session: The function that runs the pipeline.
    """

    key: str
    script: str
    sources: dict[str, str]
    modules: dict[str, Source]
    given: dict[str, Any]
    options: Options
    folder: str
    search: tuple[str, ...]
    environment: dict[str, str]
    store: str
    session: Session | None


def make_bundle(pipeline: Pipeline, store: str, session: Session | None) -> Bundle:
    """The bundle of a pipeline that was just read."""
    late = project_sources(pipeline.root, known={MODULE, *pipeline.modules})
    modules = _with_parents(pipeline.modules | late)
    given = {name: _if_it_travels(value) for name, value in pipeline.given.items()}
    key = digest(
        cloudpickle.dumps((pipeline.path, pipeline.sources, modules, given, tar_option_export(), store))
    )
    return Bundle(
        key=key,
        script=pipeline.path,
        sources=dict(pipeline.sources),
        modules=modules,
        given=given,
        options=Options(**tar_option_export()),
        folder=pipeline.root,
        search=tuple(sys.path),
        environment={name: value for name, value in os.environ.items() if name.startswith("TAR_")},
        store=store,
        session=session,
    )


def _with_parents(modules: Mapping[str, Source]) -> dict[str, Source]:
    """The modules, and the folders without `__init__.py` that they stand in."""
    found = dict(modules)
    for name, source in modules.items():
        folder = os.path.dirname(source.file)  # noqa: PTH120
        if source.package:
            folder = os.path.dirname(folder)  # noqa: PTH120
        parent = name.rpartition(".")[0]
        while parent and parent not in found:
            found[parent] = Source(os.path.join(folder, "__init__.py"), "", package=True)  # noqa: PTH118
            folder = os.path.dirname(folder)  # noqa: PTH120
            parent = parent.rpartition(".")[0]
    return found


def _if_it_travels(value: Any) -> Any:
    """The value, or None if it cannot be pickled, as a controller that was handed in."""
    try:
        cloudpickle.dumps(value)
    except Exception:
        return None
    return value


class MemoryFinder(MetaPathFinder, Loader):
    """Imports the project's modules from memory.

    Args:
        modules: Name -> source.
    """

    def __init__(self, modules: Mapping[str, Source]) -> None:
        self._modules = modules

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - what the protocol passes
        target: types.ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Find one of the modules."""
        source = self._modules.get(fullname)
        if source is None:
            return None
        spec = spec_from_loader(fullname, self, origin=source.file, is_package=source.package)
        assert spec is not None
        spec.has_location = True
        if source.package:
            spec.submodule_search_locations = [os.path.dirname(source.file)]  # noqa: PTH120
        return spec

    def exec_module(self, module: types.ModuleType) -> None:
        """Run one of the modules."""
        source = self._modules[module.__name__]
        exec(compile(source.text, source.file, "exec", dont_inherit=True), vars(module))  # noqa: S102

    def get_source(self, fullname: str) -> str | None:
        """The text of one of the modules, for tracebacks and hashes."""
        source = self._modules.get(fullname)
        return None if source is None else source.text

    def forget(self) -> None:
        """Take the modules out of sys.modules, so that they are imported anew."""
        for name in self._modules:
            sys.modules.pop(name, None)


def dumps(value: Any, modules: Mapping[str, Source]) -> bytes:
    """Pickle something for a worker that has the bundle.

    Functions of the script and of the project's modules travel by name if their module has them under it, and
    otherwise (lambdas, nested and decorated functions) as code that finds its globals in that module.

    Args:
        value: Any object.
        modules: The bundle's modules.

    Returns:
        The pickle.

    Raises:
        Exception: Whatever pickling raises.
    """
    buffer = io.BytesIO()
    _Pickler(buffer, PROTOCOL, modules).dump(value)
    return buffer.getvalue()


def loads(data: bytes) -> Any:
    """Undo `dumps()`, where the bundle's modules can be imported."""
    return pickle.loads(data)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def __init__(self, file: io.BytesIO, protocol: int, modules: Mapping[str, Source]) -> None:
        super().__init__(file, protocol)
        self._modules = modules

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, types.FunctionType)):
            name = obj.__module__
            if name == MODULE or name in self._modules:
                if _find(name, obj.__qualname__) is obj:
                    return _find, (name, obj.__qualname__)
                if isinstance(obj, types.FunctionType) and _owns(name, obj):
                    return _reduce_function(obj)
        return super().reducer_override(obj)


def _find(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    if found is None:
        __import__(module)
        found = sys.modules[module]
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _owns(module: str, function: types.FunctionType) -> bool:
    found = sys.modules.get(module)
    return found is not None and function.__globals__ is vars(found)


def _reduce_function(function: types.FunctionType) -> tuple[Any, ...]:
    cells = function.__closure__ or ()
    state = {
        "cells": [_content(cell) for cell in cells],
        "defaults": function.__defaults__,
        "kwdefaults": function.__kwdefaults__,
        "qualname": function.__qualname__,
        "dict": function.__dict__,
    }
    start = (function.__module__, function.__code__, function.__name__, len(cells))
    return _make_function, start, state, None, None, _fill_function


def _content(cell: types.CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # not assigned yet
        return ()


def _make_function(module: str, code: types.CodeType, name: str, cells: int) -> types.FunctionType:
    __import__(module)
    empty = tuple(types.CellType() for _ in range(cells))
    function = types.FunctionType(code, vars(sys.modules[module]), name, None, empty)
    function.__module__ = module
    return function


def _fill_function(function: types.FunctionType, state: dict[str, Any]) -> None:
    for cell, content in zip(function.__closure__ or (), state["cells"], strict=True):
        if content:
            cell.cell_contents = content[0]
    function.__defaults__ = state["defaults"]
    function.__kwdefaults__ = state["kwdefaults"]
    function.__qualname__ = state["qualname"]
    function.__dict__.update(state["dict"])
