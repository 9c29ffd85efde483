"""Canonical form of syntax trees: equal for code that differs in layout only, under every Python version.

`ast.dump`, `ast.unparse` and code objects all change between versions; this form does not. Left out are
positions, comments, docstrings, `pass`, and hints that nobody can see at run time: those of local variables
and of undecorated functions (but not of methods, whose class is hashed as a whole).
"""

from __future__ import annotations

import ast
from typing import Any, TypeAlias

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Part: TypeAlias = tuple[str, Any, bool]  # field, value, whether hints below it can be seen at run time

_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_STATEMENTS = frozenset({"body", "orelse", "finalbody"})
_FUNCTIONS = frozenset({ast.FunctionDef, ast.AsyncFunctionDef})
_DOCUMENTED = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef})
_HINTS = frozenset({"annotation", "returns", "type_params"})
_fields: dict[type[ast.AST], tuple[str, ...]] = {}  # class of node -> the fields that count, sorted


def canonical(root: ast.AST) -> bytes:
    """The canonical form of a tree.

    Args:
        root: A function, lambda, class or module. A function's own name does not count; strings that stand
            alone in a module do, because they may be the value of a command.

    Returns:
        Text in UTF-8.
    """
    out: list[str] = []
    todo: list[tuple[Any, bool]] = [(root, False)]  # what is still to be written, last first
    while todo:
        item, visible = todo.pop()
        if type(item) is str:
            out.append(item)
            continue
        # A local variable's hint does not count, so neither does whether it has one.
        bare = type(item) is ast.AnnAssign and not visible
        out.append("Assign(" if bare else f"{type(item).__name__}(")
        todo.append((")", False))
        for field, value, below in reversed(counted_parts(item, visible)):
            if item is root and field == "name" and type(root) in _FUNCTIONS:
                continue
            if type(value) is list:
                todo.append(("]", False))
                todo += [(_as_item(child), below) for child in reversed(value)]
                todo.append((f"{field}=[", False))
            else:
                todo.append((_as_item(value), below))
                todo.append((f"{field}=", False))
    return "".join(out).encode(errors="surrogatepass")


def _as_item(value: Any) -> ast.AST | str:
    """A node, or the text of one without children or of a constant."""
    kind = type(value)
    if kind is ast.Name:
        return f"Name(id=str:{value.id!a};)"
    if kind is ast.Constant:
        return f"Constant(value={_as_item(value.value)})"
    if isinstance(value, ast.AST):
        return value if kind._fields else f"{kind.__name__}()"
    if kind is int:
        return f"int:{value:x};"  # decimal digits of large numbers are limited
    # Which characters repr() shows depends on Python's version of Unicode.
    return f"{kind.__name__}:{value!a};"


def counted_parts(node: ast.AST, visible: bool = False) -> list[Part]:
    """The fields of a node that count, sorted by name; empty ones are left out.

    Args:
        node: Any node.
        visible: Whether hints in it can be seen at run time.

    Returns:
        Field, its value, and whether hints below it can be seen.
    """
    kind = type(node)
    if kind is ast.AnnAssign and not visible:
        return [("targets", [node.target], False), ("value", node.value, False)]  # type: ignore[attr-defined]
    function = kind in _FUNCTIONS
    below = visible or kind is ast.ClassDef or (function and bool(node.decorator_list))  # type: ignore[attr-defined]
    parts = []
    for field in _fields.get(kind) or _learn(kind):
        value = getattr(node, field, None)
        if value is None or value == [] or (field in _HINTS and not below):
            continue
        seen = below
        if field in _STATEMENTS and type(value) is list:
            seen = below and not function
            value = _that_do_something(value, kind in _DOCUMENTED, seen)
        elif kind is ast.JoinedStr:  # some versions end a format in an empty text
            value = [child for child in value if type(child) is not ast.Constant or child.value]
        if value != []:
            parts.append((field, value, seen))
    return parts


def _learn(kind: type[ast.AST]) -> tuple[str, ...]:
    fields = _fields[kind] = tuple(sorted(field for field in kind._fields if field not in _IGNORED))
    return fields


def _that_do_something(body: list[ast.AST], documented: bool, visible: bool) -> list[ast.AST]:
    """The statements of a body without `pass`, docstrings, and hints that nobody sees."""
    return [
        statement
        for statement in body
        if type(statement) is not ast.Pass
        and not (documented and _is_text(statement))
        and (visible or not isinstance(statement, ast.AnnAssign) or statement.value is not None)
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
