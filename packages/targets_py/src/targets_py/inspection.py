"""What the script says, and what of it is outdated, without running anything."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.child import call_runner, callr_r
from targets_py.errors import TarValidateError
from targets_py.places import open_pipeline, script_path, setting, store_path
from targets_py.reporter import create_reporter, reporter_name
from targets_py.selection import any_of, tar_tidyselect_eval
from targets_py.storage.store import Store
from targets_py.tables import Schema, chosen_fields, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl

    from targets_py.engine.inspect import Inspection
    from targets_py.places import StrPath
    from targets_py.script import Pipeline
    from targets_py.selection import Selection, Selector

__all__ = ("tar_deps", "tar_described_as", "tar_outdated", "tar_sitrep", "tar_validate")

CUES = ("meta", "always", "never", "command", "depend", "format", "repository", "iteration", "file", "seed")
SITREP_SCHEMA: Schema = {"name": "str", **dict.fromkeys(CUES, "bool")}


def tar_outdated(
    names: Selector = None,
    shortcut: bool | None = None,
    branches: bool = False,
    targets_only: bool = True,
    reporter: str | None = None,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> list[str]:
    """Names of the targets that `tar_make()` would build now; nothing is run and nothing written.

    Arguments that are None are those of the project, see `tar_config_set()`.

    Args:
        names: Look at these targets and all that they need; None: all.
        shortcut: Look at the named targets only, and take what they need for current.
        branches: Whether to list branches too, each pattern before its own. What a pattern branches over may
            change when its upstreams are built: then these are the branches that are recorded.
        targets_only: Whether to leave out changed functions and other globals, which come first.
        reporter: What to show on stderr meanwhile: balanced, terse or silent.
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script.
        store: The data store; it need not exist.

    Returns:
        The names in the order in which the targets would run.

    Raises:
        TarValidateError: The script is wrong, or a name is unknown.

    Example:
        >>> tar_outdated()
        ['bad']
    """
    args = {
        **_inspection_arguments(names, shortcut, reporter, envir, script, store),
        "branches": branches,
        "targets_only": targets_only,
    }
    outdated: list[str] = call_runner(_outdated, args, callr_function, callr_arguments, "tar_outdated")
    return outdated


def tar_sitrep(
    names: Selector = None,
    fields: Selector = None,
    shortcut: bool | None = None,
    reporter: str | None = None,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> pl.DataFrame:
    """What each cue says of each stem and branch: True where it asks for a run.

    Args:
        names: Which targets; those of a pattern are its branches. None: all.
        fields: Columns besides name; None: all.
        shortcut: Look at the named targets only, and take what they need for current.
        reporter: What to show on stderr meanwhile: balanced, terse or silent.
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script; None: that of the project.
        store: The data store; None: that of the project. It need not exist.

    Returns:
        A frame with the columns name, meta, always, never, command, depend, format, repository, iteration,
        file, seed. Where meta is True there is no usable record, and the columns after never are null.

    Raises:
        TarValidateError: The script is wrong, or a name is unknown.

    Example:
        >>> tar_sitrep(["report", "bad"], fields=["meta", "command"]).rows()
        [('report', False, False), ('bad', True, None)]
    """
    args = _inspection_arguments(names, shortcut, reporter, envir, script, store)
    rows = call_runner(_sitrep, args, callr_function, callr_arguments, "tar_sitrep")
    return table(SITREP_SCHEMA, rows).select(chosen_fields(fields, SITREP_SCHEMA))


def tar_validate(
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> None:
    """Check the script: that it runs, and that its targets fit together.

    Args:
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script; None: that of the project.
        store: The data store; None: that of the project. It is not touched.

    Raises:
        TarValidateError: What is wrong, with the target or line.

    Example:
        >>> tar_validate()
    """
    args = {"script": script_path(script), "store": store_path(store), "envir": envir}
    call_runner(_validate, args, callr_function, callr_arguments, "tar_validate")


def tar_described_as(
    described_as: Selector = None,
    tidyselect: bool = True,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> Selection | list[str]:
    """Select targets by their descriptions.

    Args:
        described_as: Which descriptions, such as `starts_with("survival")`; None selects nothing.
        tidyselect: Whether to return a selection for `names=`, or a list.
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script; None: that of the project.
        store: The data store; None: that of the project. It is not touched.

    Returns:
        A selection of the targets, or their sorted names.

    Example:
        >>> tar_described_as(contains("numbers"), tidyselect=False)
        ['data']
    """
    args = {"script": script_path(script), "store": store_path(store), "envir": envir}
    described = call_runner(_descriptions, args, callr_function, callr_arguments, "tar_described_as")
    picked = set(tar_tidyselect_eval(described_as, dict.fromkeys(described.values())) or [])
    names = sorted(name for name, description in described.items() if description in picked)
    return any_of(names) if tidyselect else names


def tar_deps(expr: str | Callable[..., Any], command: bool = False) -> list[str]:
    """The names that a command depends on, as the pipeline sees them.

    Args:
        expr: Source text, or a callable.
        command: Whether a callable's parameters, which are upstream targets, count too.

    Returns:
        Free names and names of functions, sorted; no parameters, assigned names or builtins.

    Raises:
        TarValidateError: Source that does not parse.

    Example:
        >>> tar_deps("x = y + z(w, lambda q: q + r)")
        ['r', 'w', 'y', 'z']
    """
    from targets_py.hashing.code import Code

    namespace = getattr(expr, "__globals__", {})
    try:
        found = Code(namespace, Path.cwd()).dependencies(expr)
    except SyntaxError as error:
        raise TarValidateError(f"cannot parse {expr!r}: {error}") from None
    parameters = {parameter.name for parameter in found.parameters} if command else set()
    return sorted(found.globals | parameters)


def inspect(
    pipeline: Pipeline, store: str, reporter: str, names: Iterable[str] | None, *, shortcut: bool
) -> Inspection:
    """Find out what is outdated, while a reporter shows long preparations."""
    from targets_py.engine.inspect import inspect_pipeline

    with closing(create_reporter(reporter)) as shown:
        chosen = None if names is None else list(names)
        return inspect_pipeline(pipeline, Store(store), shown, names=chosen, shortcut=shortcut)


def _inspection_arguments(
    names: Selector,
    shortcut: bool | None,
    reporter: str | None,
    envir: dict[str, Any] | None,
    script: StrPath | None,
    store: StrPath | None,
) -> dict[str, Any]:
    return {
        "names": names,
        "shortcut": setting("shortcut", shortcut),
        "reporter": reporter_name(setting("reporter_outdated", reporter), outdated=True),
        "envir": envir,
        "script": script_path(script),
        "store": store_path(store),
    }


def _outdated(
    names: Selector,
    shortcut: bool,
    reporter: str,
    envir: dict[str, Any] | None,
    script: str,
    store: str,
    branches: bool,
    targets_only: bool,
) -> list[str]:
    with open_pipeline("tar_outdated", script, store, envir) as pipeline:
        chosen = tar_tidyselect_eval(names, pipeline.targets)
        found = inspect(pipeline, store, reporter, chosen, shortcut=shortcut)
    changed = [] if targets_only else [name for name, differs in found.globals.items() if differs]
    outdated = [finding for finding in found.findings.values() if finding.outdated]
    return changed + [finding.name for finding in outdated if branches or finding.kind != "branch"]


def _sitrep(
    names: Selector,
    shortcut: bool,
    reporter: str,
    envir: dict[str, Any] | None,
    script: str,
    store: str,
) -> list[tuple[Any, ...]]:
    with open_pipeline("tar_sitrep", script, store, envir) as pipeline:
        chosen = tar_tidyselect_eval(names, pipeline.targets)
        found = inspect(pipeline, store, reporter, chosen, shortcut=shortcut)
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for finding in found.findings.values():
        if finding.kind != "pattern":
            cues = finding.cues or {}
            rows.setdefault(finding.parent, []).append((finding.name, *(cues.get(cue) for cue in CUES)))
    return [row for name in (rows if chosen is None else chosen) for row in rows.get(name, [])]


def _validate(script: str, store: str, envir: dict[str, Any] | None) -> None:
    from targets_py.engine.codes import CodeHashes
    from targets_py.engine.graph import build_graph

    with open_pipeline("tar_validate", script, store, envir) as pipeline:
        CodeHashes(build_graph(pipeline).values(), pipeline.code)


def _descriptions(script: str, store: str, envir: dict[str, Any] | None) -> dict[str, str]:
    with open_pipeline("tar_described_as", script, store, envir) as pipeline:
        described = {name: target.settings.description for name, target in pipeline.targets.items()}
    return {name: description for name, description in described.items() if description is not None}
