"""The targets that the script declares, as a table."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from targets_py.child import call_runner, callr_r
from targets_py.errors import TarValidateError
from targets_py.hashing.source import SourceIndex
from targets_py.places import open_pipeline, script_path, store_path
from targets_py.selection import any_of, tar_tidyselect_eval
from targets_py.tables import Schema, chosen_fields, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from targets_py.definition.commands import Command
    from targets_py.definition.targets import Target
    from targets_py.places import StrPath
    from targets_py.script import Pipeline
    from targets_py.selection import Selector

__all__ = ("tar_manifest",)

SCHEMA: Schema = {
    "name": "str",
    "command": "str",
    "description": "str",
    "pattern": "str",
    "format": "str",
    "repository": "str",
    "iteration": "str",
    "error": "str",
    "memory": "str",
    "storage": "str",
    "retrieval": "str",
    "deployment": "str",
    "priority": "float",
    "resources": "object",
    "garbage_collection": "bool",
    "cue_mode": "str",
    "cue_command": "bool",
    "cue_depend": "bool",
    "cue_file": "bool",
    "cue_format": "bool",
    "cue_repository": "bool",
    "cue_iteration": "bool",
    "cue_seed": "bool",
    "packages": "list",
    "library": "list",
}
DEFAULT_FIELDS = any_of(["name", "command", "pattern", "description"])
LONGEST_CONSTANT = 60


def tar_manifest(
    names: Selector = None,
    fields: Selector = DEFAULT_FIELDS,
    drop_missing: bool = True,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> pl.DataFrame:
    """The targets that the script declares; branches are not among them, and the store is not read.

    Args:
        names: Which targets; None: all.
        fields: Columns besides name; None: all 25.
        drop_missing: Whether to leave out columns that are null in every row.
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script; None: that of the project.
        store: The data store; None: that of the project. It is not touched.

    Returns:
        A frame with one row for each target, in the order in which they would run.

    Raises:
        TarValidateError: The script is wrong, or a name is unknown.

    Example:
        >>> tar_manifest(fields=["command", "pattern"]).rows()[1]
        ('fit', 'data * factor', 'map(data)')
    """
    args = {"names": names, "script": script_path(script), "store": store_path(store), "envir": envir}
    rows = call_runner(_manifest, args, callr_function, callr_arguments, "tar_manifest")
    frame = table(SCHEMA, rows).select(chosen_fields(fields, SCHEMA))
    if not drop_missing or not frame.height:
        return frame
    return frame.select(
        [column for column in frame.columns if column == "name" or frame[column].null_count() < frame.height]
    )


def _manifest(
    names: Selector, script: str, store: str, envir: dict[str, Any] | None
) -> list[tuple[Any, ...]]:
    with open_pipeline("tar_manifest", script, store, envir) as pipeline:
        chosen = tar_tidyselect_eval(names, pipeline.targets)
        kept = None if chosen is None else set(chosen)
        index = SourceIndex(pipeline.sources)
        return [
            _row(pipeline.targets[name], index) for name in _ordered(pipeline) if kept is None or name in kept
        ]


def _ordered(pipeline: Pipeline) -> list[str]:
    from targets_py.engine.graph import build_graph, topological_order

    try:
        return [node.name for node in topological_order(build_graph(pipeline))]
    except TarValidateError:  # a cycle, for one: the table may help to find it
        return list(pipeline.targets)


def _row(target: Target, index: SourceIndex) -> tuple[Any, ...]:
    settings, cue = target.settings, target.cue
    assert target.command is not None
    return (
        target.name,
        command_text(target.command, index),
        settings.description,
        None if settings.pattern is None else str(settings.pattern),
        settings.format,
        settings.repository,
        settings.iteration,
        settings.error,
        settings.memory,
        settings.storage,
        settings.retrieval,
        settings.deployment,
        settings.priority,
        settings.resources,
        settings.garbage_collection,
        cue.mode,
        cue.command,
        cue.depend,
        cue.file,
        cue.format,
        cue.repository,
        cue.iteration,
        cue.seed,
        list(settings.packages),
        None if settings.library is None else list(settings.library),
    )


def command_text(command: Command, index: SourceIndex) -> str:
    """A command as people read it: a lambda's body, a function's name and parameters, source as it is."""
    if command.kind == "source":
        text = str(command.value).strip()
    elif command.kind == "constant":
        text = _short(command.value)
    else:
        text = _function_text(command.value, index)
    if not command.bound:
        return text
    bound = ", ".join(f"{name}={_short(value)}" for name, value in command.bound.items())
    return f"{text}  # {bound}"


def _function_text(function: Any, index: SourceIndex) -> str:
    code = getattr(function, "__code__", None)
    node = None if code is None else index.function(code, function.__globals__)
    if isinstance(node, ast.Lambda):
        return ast.unparse(node.body)
    name = getattr(function, "__name__", None) or repr(function)
    return name if node is None else f"{name}({ast.unparse(node.args)})"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_CONSTANT else f"{text[: LONGEST_CONSTANT - 3]}..."
