"""Canonical form of syntax trees: equal for code that differs in layout only, under every Python version.

`ast.dump`, `ast.unparse` and code objects all change between versions; this form does not. Left out are positions,
comments, docstrings, `pass`, and hints that nobody can see at run time: those of undecorated functions (but not of
methods, whose class is hashed as a whole) and of local variables.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_STATEMENTS = frozenset({"body", "orelse", "finalbody"})

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

# (field, value, whether hints below it can be seen at run time)
Part: TypeAlias = tuple[str, Any, bool]


def canonical(root: ast.AST) -> bytes:
    """The canonical form of a tree.

    Args:
        root: A function, lambda, class or module. A function's own name does not count; strings that stand alone
            in a module do, because they may be the value of a command.

    Returns:
        Text in UTF-8.
    """
    out: list[str] = []
    todo: list[tuple[Any, bool]] = [(root, False)]
    while todo:
        item, visible = todo.pop()
        if type(item) is str:
            out.append(item)
            continue
        # A local variable's hint does not count, so neither does whether it has one.
        bare = isinstance(item, ast.AnnAssign) and not visible
        out.append("Assign(" if bare else f"{type(item).__name__}(")
        todo.append((")", False))
        parts = [part for part in counted_parts(item, visible) if not _is_of_root(part, item, root)]
        for field, value, below in reversed(parts):
            if isinstance(value, list):
                todo.append(("]", False))
                todo += [(_as_item(child), below) for child in reversed(value)]
                todo.append((f"{field}=[", False))
            else:
                todo.append((_as_item(value), below))
                todo.append((f"{field}=", False))
    return "".join(out).encode(errors="surrogatepass")


def _is_of_root(part: Part, node: ast.AST, root: ast.AST) -> bool:
    return node is root and part[0] == "name" and isinstance(root, _FUNCTIONS)


def _as_item(value: Any) -> ast.AST | str:
    """A node, or the text of a constant."""
    if isinstance(value, ast.AST):
        return value
    if type(value) is int:
        return f"int:{value:x};"  # decimal digits of large numbers are limited
    # ascii(): which characters repr() shows depends on Python's version of Unicode
    return f"{type(value).__name__}:{ascii(value)};"


def counted_parts(node: ast.AST, visible: bool = False) -> list[Part]:
    """The fields of a node that count, sorted by name; empty ones are left out.

    Args:
        node: Any node.
        visible: Whether hints in it can be seen at run time.

    Returns:
        Field, its value, and whether hints below it can be seen.
    """
    if isinstance(node, _FUNCTIONS):
        return list(_parts_of_function(node, visible))
    if isinstance(node, ast.AnnAssign) and not visible:
        return [("targets", [node.target], False), ("value", node.value, False)]
    below = visible or isinstance(node, ast.ClassDef)
    parts = []
    for field in _fields(type(node)):
        value = getattr(node, field, None)
        if value is None or value == [] or (field == "annotation" and not below):
            continue
        if field in _STATEMENTS and isinstance(value, list):
            value = counted_statements(node, value, below)
            if not value:
                continue
        parts.append((field, value, below))
    return parts


def _parts_of_function(node: FunctionNode, visible: bool) -> Iterator[Part]:
    seen = visible or bool(node.decorator_list)
    for field in _fields(type(node)):
        value = getattr(node, field, None)
        if value is None or value == []:
            continue
        if field == "body":
            body = counted_statements(node, node.body, False)
            if body:
                yield field, body, False
        elif field in {"returns", "type_params"}:
            if seen:
                yield field, value, True
        else:
            yield field, value, seen


def counted_statements(parent: ast.AST, body: list[Any], visible: bool) -> list[Any]:
    """The statements of a body that do something."""
    documented = isinstance(parent, _DOCUMENTED)
    return [
        statement
        for statement in body
        if not isinstance(statement, ast.Pass)
        and not (documented and _is_text(statement))
        and not (isinstance(statement, ast.AnnAssign) and statement.value is None and not visible)
    ]


def _is_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def without_docstrings(module: ast.Module) -> ast.Module:
    """A module whose strings that stand alone do not count."""
    return ast.Module([statement for statement in module.body if not _is_text(statement)], [])


@lru_cache(maxsize=256)
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(sorted(field for field in kind._fields if field not in _IGNORED))
