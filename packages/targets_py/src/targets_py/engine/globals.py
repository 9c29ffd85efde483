"""Globals: the functions and values of a script that the metadata remembers beside its targets."""

from __future__ import annotations

import symtable
import sys
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.definition.targets import Target
from targets_py.errors import TarWarning
from targets_py.hashing.project import Project
from targets_py.storage.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from targets_py.script import Pipeline


_CODE = (type, types.FunctionType, types.BuiltinFunctionType)


def defined_globals(pipeline: Pipeline) -> list[str]:
    """Names of the functions and values that the script and its sources define themselves.

    Modules, imported names, targets, `pipeline` and the controller are none.
    """
    found: dict[str, None] = {}
    for file, text in pipeline.sources.items():
        table = symtable.symtable(text, file, "exec")
        for symbol in table.get_symbols():
            if symbol.is_assigned() and not symbol.is_imported():
                found[symbol.get_name()] = None
    return [name for name in found if _counts(name, pipeline)]


def global_records(pipeline: Pipeline, references: Iterable[Mapping[str, str]]) -> Iterator[Record]:
    """A record for each global that the script defines or that a target uses.

    Args:
        pipeline: The script.
        references: For each target, the globals that it uses -> hash.

    Yields:
        Records with name, type ("function" or "object") and hash.
    """
    used: dict[str, str] = {}
    for found in references:
        used.update(found)
    project = Project(Path(pipeline.root), pipeline.namespace, pipeline.options.imports, pipeline.sources)
    names = [name for name in used if _is_of_project(name, pipeline.namespace, project)]
    for name in dict.fromkeys((*defined_globals(pipeline), *names)):
        if name in pipeline.targets:
            continue
        kind = "function" if callable(_resolve(name, pipeline.namespace)) else "object"
        yield Record(name, kind, data=used.get(name) or _quiet_hash(name, pipeline))


def _counts(name: str, pipeline: Pipeline) -> bool:
    if name == "pipeline" or (name.startswith("__") and name.endswith("__")):
        return False
    value = pipeline.namespace.get(name)
    if name not in pipeline.namespace or value is pipeline.options.controller is not None:
        return False
    return not isinstance(value, (types.ModuleType, Target))


def _is_of_project(name: str, namespace: Mapping[str, Any], project: Project) -> bool:
    """Whether a name that a target uses stands for project code, or for a plain value."""
    first = name.partition(".")[0]
    value = namespace.get(first, sys.modules.get(first))
    if isinstance(value, types.ModuleType):
        return project.has_module(value)
    if isinstance(value, _CODE):
        module = sys.modules.get(value.__module__ or "")
        return module is None or project.has_module(module)
    return True


def _quiet_hash(name: str, pipeline: Pipeline) -> str:
    """Hash of a global that no target uses: what cannot be hashed needs no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TarWarning)
        return pipeline.code.global_hash(name)


def _resolve(name: str, namespace: Mapping[str, Any]) -> Any:
    """The object behind a name such as `helpers.clean`; None if it is out of reach."""
    first, *rest = name.split(".")
    value = namespace.get(first)
    for part in rest:
        value = getattr(value, part, None)
    return value
