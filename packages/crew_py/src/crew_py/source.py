"""Run source text as a command: the value is that of its last expression."""

from __future__ import annotations

import ast
import hashlib
import linecache
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType

__all__ = ("run_source",)


@lru_cache(maxsize=1024)
def _compile(source: str) -> tuple[CodeType, CodeType | None]:
    """The statements, and the last expression if the source ends in one."""
    file = f"<crew_py {hashlib.sha256(source.encode()).hexdigest()[:12]}>"
    # Lines for tracebacks: an entry without modification time is never thrown out.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    tree = ast.parse(source, file)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = compile(ast.Expression(tree.body.pop().value), file, "eval")  # type: ignore[attr-defined]
    return compile(tree, file, "exec"), last


def run_source(source: str, namespace: dict[str, Any]) -> Any:
    """Run the source in one namespace, so that its comprehensions and functions see all names.

    Args:
        source: Python source.
        namespace: read and written.

    Returns:
        The value of the last expression, or None if the last statement is none.

    Example:
        >>> run_source("y = x + 1; y * 2", {"x": 1})
        4
    """
    statements, last = _compile(source)
    exec(statements, namespace)  # noqa: S102 - the user's command
    return None if last is None else eval(last, namespace)  # noqa: S307
