"""Writing scripts for the user."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from targets_py.clean import confirmed
from targets_py.errors import TarValidateError
from targets_py.places import note, script_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from targets_py.places import StrPath

__all__ = ("tar_edit", "tar_helper", "tar_script", "use_targets")

EXAMPLE = """
def make_data():
    return [3, 1, 4, 1, 5, 9, 2, 6]


def summarize(values):
    return {"n": len(values), "mean": sum(values) / len(values)}


pipeline = [
    tar_target("data", make_data),
    tar_target("summary", lambda data: summarize(data)),
]
"""

TEMPLATE = """\
# The pipeline of this project. Run it by `targets make`, or by tar_make() in Python.
from pathlib import Path

from targets_py import *

# Defaults of all targets:
tar_option_set(
    format="pickle",  # how values are stored: also "parquet", "feather", "csv", "json", "numpy", "file"
    error="stop",  # what a failure does: also "continue", "null", "trim", "abridge"
    # packages=["polars"],  # modules to import before each target
    #
    # Run targets on worker processes (pip install "targets-py[crew]"):
    # controller=crew_py.crew_controller_local(workers=2, seconds_idle=60),
)

# Run the .py files in the folder functions/, whose functions are then tracked like those below:
if Path("functions").is_dir():
    tar_source("functions")


def make_data():
    return [3, 1, 4, 1, 5, 9, 2, 6]


# A function is a target: its parameters are the targets that it needs.
pipeline = [
    tar_target("data", make_data, description="replace this by your own"),
    tar_target("total", lambda data: sum(data)),
]
"""


def tar_script(
    code: str | Callable[[], object] | None = None,
    library_targets: bool = True,
    ask: bool | None = None,
    script: StrPath | None = None,
) -> None:
    """Write the script of a pipeline.

    Args:
        code: Its text, which is dedented; or a function whose body it is (`return x` becomes `pipeline = x`);
            None: an example that runs.
        library_targets: Whether to put `from targets_py import *` in front.
        ask: Whether to ask before an existing script is replaced; None: environment variable TAR_ASK, else
            only on a terminal.
        script: Where to write it; None: the script of the project.

    Raises:
        TarValidateError: The source of the function cannot be found.

    Example:
        >>> tar_script('pipeline = [tar_target("x", 1)]', script="example.py")
    """
    path = Path(script_path(script))
    text = _source(EXAMPLE if code is None else code)
    if library_targets:
        text = f"from targets_py import *\n\n{text}"
    if path.exists() and not confirmed(f"Replace {path}?", ask):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def tar_helper(path: StrPath, code: str | Callable[[], object]) -> None:
    """Write a Python file, for example one that `tar_source()` will run.

    Args:
        path: Where to write it; folders are made.
        code: Its text, which is dedented; or a function whose body it is.

    Raises:
        TarValidateError: The source of the function cannot be found.

    Example:
        >>> tar_helper("functions/clean.py", "def clean(x): return x")
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_source(code), encoding="utf-8")


def tar_edit(script: StrPath | None = None) -> None:
    """Open the script in the editor of the environment variables VISUAL or EDITOR; print its path if unset.

    Args:
        script: The script; None: that of the project.

    Example:
        >>> tar_edit()
        _targets.py
    """
    path = script_path(script)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        print(path)  # noqa: T201 - the result
        return
    subprocess.run([*shlex.split(editor), path], check=False)


def use_targets(script: StrPath | None = None, open: bool | None = None, overwrite: bool = False) -> None:  # noqa: A002 - the original's name
    """Write a script with comments to start a project from; it runs as it is.

    Args:
        script: Where to write it; None: the script of the project.
        open: Whether to open it in an editor; None: no.
        overwrite: Whether to replace an existing script.

    Example:
        >>> use_targets("another.py")
    """
    path = Path(script_path(script))
    if path.exists() and not overwrite:
        note(f"Did not overwrite {path}: use overwrite=True for that.")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEMPLATE, encoding="utf-8")
        note(f"Wrote {path}: run it by tar_make() or `targets make`.")
    if open:
        tar_edit(path)


def _source(code: str | Callable[[], object]) -> str:
    if isinstance(code, str):
        return textwrap.dedent(code).strip("\n") + "\n"
    import inspect

    try:
        text = textwrap.dedent(inspect.getsource(code))
        function = next(node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    except (OSError, TypeError, SyntaxError, StopIteration):
        raise TarValidateError(
            f"the source of {code!r} cannot be found: give a function made by def in a file, or text"
        ) from None
    return _body(text, function)


def _body(text: str, function: ast.FunctionDef) -> str:
    """The lines of a function's body with their comments; its last return becomes the pipeline."""
    lines = text.splitlines()
    first, last = function.body[0], function.body[-1]
    result = last.value if isinstance(last, ast.Return) else None
    if first.lineno == function.lineno:  # def f(): return x
        return f"pipeline = {ast.unparse(result)}\n" if result else ast.unparse(last) + "\n"
    if result is not None:
        lines[last.lineno - 1] = lines[last.lineno - 1].replace("return", "pipeline =", 1)
    start = min([first.lineno, *(node.lineno for node in getattr(first, "decorator_list", []))]) - 1
    while lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return textwrap.dedent("\n".join(lines[start : function.end_lineno])).strip("\n") + "\n"
