"""Targets tried out in a session: run at once, and nothing written to the project."""

from __future__ import annotations

import ast
import sys
import tempfile
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import targets_py
from targets_py.child import call_runner
from targets_py.errors import TarValidateError, TarValidateWarning
from targets_py.places import variables_of
from targets_py.read import read_target
from targets_py.reporter import create_reporter
from targets_py.storage.metadata import Metadata
from targets_py.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("tar_make_interactive",)

NAME = "<tar_make_interactive>"


def tar_make_interactive(code: str, envir: dict[str, Any] | None = None) -> None:
    """Run targets in this process and assign their values to variables; the project is not touched.

    Args:
        code: Source of a script. Its targets are its `pipeline`, or else the value of its last expression.
        envir: The variables, which commands see and values are assigned to; None: those of the caller, which
            must be top-level code of a module or a notebook cell.

    Raises:
        TarValidateError: The code is wrong, or the caller's variables cannot be assigned to.
        TarRunError: A target failed.

    Example:
        >>> variables = {}
        >>> tar_make_interactive('[tar_target("x", lambda: 1 + 1)]', envir=variables)
        >>> variables["x"]
        2
    """
    variables = variables_of(envir, sys._getframe(1))  # noqa: SLF001 - to find the caller's variables
    args = {"source": _script(code), "variables": variables}
    variables.update(call_runner(_run, args, None, None, "tar_make_interactive"))


def _run(source: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    from targets_py.engine.context import session
    from targets_py.engine.run import run_pipeline
    from targets_py.script import open_script

    with (
        tempfile.TemporaryDirectory(prefix="targets-", ignore_cleanup_errors=True) as folder,
        session("tar_make_interactive", NAME, folder),
        warnings.catch_warnings(),
    ):
        # What an earlier call assigned has the names of targets.
        warnings.simplefilter("ignore", TarValidateWarning)
        ours = {name: getattr(targets_py, name) for name in targets_py.__all__}
        given = ours | {name: value for name, value in variables.items() if not name.startswith("__")}
        with open_script(NAME, given, source) as pipeline:
            store = Store(folder)
            run_pipeline(pipeline, store, create_reporter("silent"))
            records = Metadata.load(store).records
            return {name: read_target(name, records, store) for name in pipeline.targets if name in records}


def _script(code: str) -> str:
    """The code as a script, which names its pipeline."""
    text = textwrap.dedent(code)
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise TarValidateError(f"tar_make_interactive(), line {error.lineno}: {error.msg}") from None
    last = tree.body[-1] if tree.body else None
    named = any(
        isinstance(node, ast.Name) and node.id == "pipeline" and isinstance(node.ctx, ast.Store)
        for node in ast.walk(tree)
    )
    if not named and isinstance(last, ast.Expr):
        lines = text.splitlines()
        start = lines[last.lineno - 1].encode()
        head, tail = start[: last.col_offset].decode(), start[last.col_offset :].decode()
        lines[last.lineno - 1] = f"{head}pipeline = {tail}"
        text = "\n".join(lines)
    return text if text.strip() else "pipeline = []"
