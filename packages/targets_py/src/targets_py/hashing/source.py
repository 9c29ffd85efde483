"""From functions and classes back to their syntax trees."""

from __future__ import annotations

import ast
import linecache
import sys
from dataclasses import dataclass, field
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeAlias

from targets_py.errors import TarValidateError
from targets_py.hashing.tree import FunctionNode, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CodeNode: TypeAlias = FunctionNode | ast.Lambda
Span: TypeAlias = tuple[int, int, int, int]  # first line, last line, first column, last column


@dataclass(slots=True)
class FileIndex:
    """The definitions in one file.

    Attributes:
        tree: All of it.
        functions: First line (that of the first decorator) -> functions and lambdas that start there.
        classes: Qualified name -> classes of that name.
    """

    tree: ast.Module
    functions: dict[int, list[CodeNode]] = field(default_factory=dict)
    classes: dict[str, list[ast.ClassDef]] = field(default_factory=dict)


class SourceIndex:
    """Finds the syntax tree of functions, lambdas, classes and modules; parses each file once.

    Args:
        sources: Path -> text of files that are not read from disk.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._files: dict[str, FileIndex | None] = {}

    def __repr__(self) -> str:
        return f"<SourceIndex of {len(self._files)} files>"

    def file(self, path: str, namespace: Mapping[str, Any] | None = None) -> FileIndex | None:
        """The definitions in a file.

        Args:
            path: As in `co_filename`.
            namespace: Globals of the module, whose loader may have the text.

        Returns:
            The index, or None if there is no text or it does not parse.
        """
        if path not in self._files:
            text = self._sources.get(path)
            if text is None:
                linecache.checkcache(path)
                text = "".join(linecache.getlines(path, dict(namespace) if namespace is not None else None))
            self._files[path] = _index(text) if text else None
        return self._files[path]

    def function(self, code: CodeType, namespace: Mapping[str, Any]) -> CodeNode | None:
        """The tree of a function or lambda.

        Args:
            code: Its code object.
            namespace: Its globals.

        Returns:
            The node, or None if its source is not known.

        Raises:
            TarValidateError: Lambdas on one line that cannot be told apart.
        """
        index = self.file(code.co_filename, namespace)
        if index is None:
            return None
        nodes = index.functions.get(code.co_firstlineno, [])
        if code.co_name == "<lambda>":
            return _pick_lambda([node for node in nodes if isinstance(node, ast.Lambda)], code)
        named = [node for node in nodes if not isinstance(node, ast.Lambda) and node.name == code.co_name]
        return named[0] if named else None

    def find_class(self, cls: type) -> ast.ClassDef | None:
        """The tree of a class, or None if its source is not known."""
        module = sys.modules.get(cls.__module__)
        namespace = vars(module) if module else {}
        codes = list(_codes_of(cls))
        paths = dict.fromkeys([code.co_filename for code in codes] + [namespace.get("__file__") or ""])
        for path in filter(None, paths):
            index = self.file(path, namespace)
            found = index.classes.get(cls.__qualname__, []) if index else []
            if found:
                return _pick_class(found, cls, [code for code in codes if code.co_filename == path])
        return None


def _index(text: str) -> FileIndex | None:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # edited since it was imported, or no Python
        return None
    index = FileIndex(tree)
    todo: list[tuple[ast.AST, str]] = [(tree, "")]
    while todo:
        node, prefix = todo.pop()
        if isinstance(node, ast.ClassDef):
            index.classes.setdefault(prefix + node.name, []).append(node)
            prefix += f"{node.name}."
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            index.functions.setdefault(first, []).append(node)
            prefix += f"{node.name}.<locals>."
        elif isinstance(node, ast.Lambda):
            index.functions.setdefault(node.lineno, []).append(node)
        for value in vars(node).values():  # quicker than ast.iter_child_nodes()
            if type(value) is list:
                todo += [(child, prefix) for child in value if isinstance(child, ast.AST)]
            elif isinstance(value, ast.AST) and value._fields and type(value) is not ast.Name:
                todo.append((value, prefix))
    return index


def _pick_lambda(candidates: list[ast.Lambda], code: CodeType) -> ast.Lambda | None:
    """Of the lambdas that start on a line, the one that was compiled to this code."""
    if len(candidates) > 1:
        spans = _spans(code)
        around = [node for node in candidates if all(map(_Inside(node.body), spans))]
        candidates = _tightest(around) if spans else around
    if len(candidates) > 1:
        candidates = [node for node in candidates if _parameters(node) == _parameters_of(code)]
    if len(candidates) > 1:  # of a constant alone, some versions keep no columns
        candidates = [node for node in candidates if _compiles_to(node, code)]
    if len({canonical(node) for node in candidates}) > 1:
        raise TarValidateError(
            f"{code.co_filename}, line {code.co_firstlineno}: the lambdas on this line cannot be told apart; "
            "write one lambda per line"
        )
    return candidates[0] if candidates else None


def _spans(code: CodeType) -> list[Span]:
    """Where the instructions stand, without those that have no real columns (some versions: all)."""
    return [
        (line, last, column, end)
        for line, last, column, end in code.co_positions()
        if line is not None and last is not None and column is not None and end  # None or 0: no column
    ]


class _Inside:
    """Whether a span lies inside a node."""

    def __init__(self, node: ast.expr) -> None:
        self._start = (node.lineno, node.col_offset)
        self._end = (node.end_lineno, node.end_col_offset)

    def __call__(self, span: Span) -> bool:
        line, last, column, end = span
        return self._start <= (line, column) and (last, end) <= self._end


def _tightest(nodes: list[ast.Lambda]) -> list[ast.Lambda]:
    """The innermost of nested lambdas; side by side, none holds the other and all stay."""
    return [
        node
        for node in nodes
        if not any(other is not node and _Inside(node.body)(_span_of(other)) for other in nodes)
    ]


def _span_of(node: ast.expr) -> Span:
    return node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0


def _parameters(node: ast.Lambda) -> list[str]:
    a = node.args
    ordered = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    return [argument.arg for argument in ordered]


def _parameters_of(code: CodeType) -> list[str]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)  # *args, **kwargs
    return list(code.co_varnames[:count])


def _compiles_to(node: ast.Lambda, code: CodeType) -> bool:
    compiled = compile(ast.Expression(node), code.co_filename, "eval", dont_inherit=True).co_consts
    found = [const for const in compiled if isinstance(const, CodeType)][-1]  # after those of its defaults
    if _constants(found) != _constants(code):
        return False
    if code.co_freevars:  # these are globals here, with other instructions
        return set(found.co_names) - set(code.co_freevars) == set(code.co_names)
    return found.co_code == code.co_code and found.co_names == code.co_names


def _constants(code: CodeType) -> list[str]:
    return ["code" if isinstance(const, CodeType) else ascii(const) for const in code.co_consts]


def _codes_of(cls: type) -> Iterable[CodeType]:
    """Code of the methods that the class itself defines."""
    for member in vars(cls).values():
        function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        code = getattr(function, "__code__", None)
        if code is not None and getattr(function, "__qualname__", "").startswith(f"{cls.__qualname__}."):
            yield code


def _pick_class(found: list[ast.ClassDef], cls: type, codes: list[CodeType]) -> ast.ClassDef:
    """Of the classes of one qualified name in one file, the one that was run; the last if nothing tells."""
    lines = {code.co_firstlineno for code in codes}
    first = vars(cls).get("__firstlineno__")  # since Python 3.13
    for node in reversed(found):
        start = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        if first == start or (lines and all(start <= line <= (node.end_lineno or start) for line in lines)):
            return node
    return found[-1]
