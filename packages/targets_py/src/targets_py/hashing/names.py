"""The names that code takes from outside."""

from __future__ import annotations

import ast
import dis
from dataclasses import dataclass, field
from types import CodeType
from typing import TYPE_CHECKING, TypeAlias

from targets_py.hashing.tree import FunctionNode, counted_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Chain: TypeAlias = tuple[str, ...]  # "a.b.c" as ("a", "b", "c")

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class Import:
    """What an import statement binds: a module, or a name in one.

    Attributes:
        module: Its name; relative to the package if `level` is not 0.
        name: What is taken from it, None for the module.
        level: Number of leading dots.
    """

    module: str
    name: str | None = None
    level: int = 0


@dataclass(slots=True)
class Usage:
    """Names in a piece of code.

    Attributes:
        chains: Names that are read, each with the attributes that are taken from it.
        values: First names of those that are used otherwise than by calling them.
        imports: Local name -> what an import statement inside binds to it.
    """

    chains: set[Chain] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    imports: dict[str, Import] = field(default_factory=dict)

    def only(self, names: frozenset[str]) -> Usage:
        """The part about these names and about what is imported."""
        return Usage(
            {chain for chain in self.chains if chain[0] in names or chain[0] in self.imports},
            self.values,
            self.imports,
        )


def usage_of(nodes: Iterable[ast.AST], *, visible: bool = False) -> Usage:
    """The names in pieces of code; what does not count in their canonical form is not looked at.

    Args:
        nodes: Any nodes.
        visible: Whether hints in them can be seen at run time.

    Returns:
        All of them, local ones too.
    """
    usage = Usage()
    todo: list[tuple[ast.AST, bool]] = [(node, visible) for node in nodes]
    while todo:
        node, seen = todo.pop()
        if isinstance(node, ast.Call):
            chain = _chain(node.func)
            if chain is not None:
                usage.chains.add(chain)
                if len(chain) > 1:
                    usage.values.add(chain[0])
                todo += [(child, seen) for child in (*node.args, *node.keywords)]
                continue
        elif isinstance(node, (ast.Name, ast.Attribute)):
            chain = _chain(node)
            if chain is not None:
                usage.chains.add(chain)
                usage.values.add(chain[0])
                continue
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            usage.imports.update(_imports(node))
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            usage.chains.add((node.target.id,))
            usage.values.add(node.target.id)
        for _, value, below in counted_parts(node, seen):
            children = value if isinstance(value, list) else [value]
            todo += [(child, below) for child in children if isinstance(child, ast.AST) and child._fields]
    return usage


def inside(node: FunctionNode | ast.Lambda) -> list[ast.AST]:
    """The parts of a function that run when it is called: neither its defaults nor its decorators."""
    return [node.body] if isinstance(node, ast.Lambda) else list(node.body)


def hints(node: FunctionNode | ast.Lambda) -> list[ast.AST]:
    """The hints of a function's own parameters and result."""
    if isinstance(node, ast.Lambda):
        return []
    a = node.args
    arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    found = [argument.annotation for argument in arguments] + [node.returns]
    return [hint for hint in found if hint is not None]


def dotted(node: ast.AST) -> Chain | None:
    """The name that an expression like `a.b(1)(2)` starts with: ("a", "b")."""
    while isinstance(node, ast.Call):
        node = node.func
    return _chain(node)


def _chain(node: ast.AST) -> Chain | None:
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or not (attributes or isinstance(node.ctx, ast.Load)):
        return None
    return (node.id, *reversed(attributes))


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Import]]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, Import(node.module or "", alias.name, node.level)
        elif alias.asname:
            yield alias.asname, Import(alias.name)
        else:  # `import a.b` binds a
            yield alias.name.partition(".")[0], Import(alias.name.partition(".")[0])


def global_names(code: CodeType) -> frozenset[str]:
    """Names that code, nested functions and classes included, may look up in its globals."""
    codes = list(_nested(code))
    names = {name for each in codes for name in each.co_names}
    local = {name for each in codes for name in (*each.co_varnames, *each.co_cellvars, *each.co_freevars)}
    doubtful = names & local  # also a local somewhere: `co_names` holds attributes as well
    if doubtful:
        names -= doubtful - _looked_up(codes)
    return frozenset(names)


def _nested(code: CodeType) -> Iterator[CodeType]:
    todo = [code]
    while todo:
        each = todo.pop()
        yield each
        todo += [const for const in each.co_consts if isinstance(const, CodeType)]


def _looked_up(codes: list[CodeType]) -> set[str]:
    return {
        instruction.argval
        for code in codes
        for instruction in dis.get_instructions(code)
        if instruction.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))
    }


def compile_alone(node: ast.ClassDef | ast.Module) -> CodeType | None:
    """Code of a class or module by itself; None for a class that only compiles inside its function."""
    tree = node if isinstance(node, ast.Module) else ast.Module([node], [])
    try:
        return compile(tree, "<alone>", "exec", dont_inherit=True)
    except SyntaxError:
        return None


def assigned_first(tree: ast.Module) -> frozenset[str]:
    """Names that source gives a value before it reads them; reads inside functions come later."""
    one_expression = len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr)
    if one_expression and not any(isinstance(node, ast.NamedExpr) for node in ast.walk(tree)):
        return frozenset()  # most commands
    read: set[str] = set()
    assigned: set[str] = set()
    for name, stores in _in_order(tree):
        if stores and name not in read:
            assigned.add(name)
        elif not stores and name not in assigned:
            read.add(name)
    return frozenset(assigned)


def _in_order(node: ast.AST) -> Iterator[tuple[str, bool]]:
    """(name, whether it is assigned) at the top level of source, in the order in which it runs."""
    if isinstance(node, ast.Name):
        yield node.id, isinstance(node.ctx, ast.Store)
        return
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for name, _ in _imports(node):
            yield name, True
        return
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        inner = [item for child in ast.iter_child_nodes(node) for item in _in_order(child)]
        own = {name for name, stores in inner if stores}
        yield from ((name, False) for name, stores in inner if not stores and name not in own)
        return
    if isinstance(node, ast.AugAssign):
        yield from ((name, False) for name, _ in _in_order(node.target))
    bound = _binds(node)
    if bound and isinstance(node, ast.ExceptHandler):  # its body reads the name
        yield bound, True
    for child in _children_in_order(node):
        if isinstance(node, ast.ClassDef):  # what its body assigns are attributes
            yield from ((name, stores) for name, stores in _in_order(child) if not stores)
        else:
            yield from _in_order(child)
    if bound:
        yield bound, True


def _children_in_order(node: ast.AST) -> list[ast.AST]:
    """Children as they run: values before what they are assigned to; bodies of functions never."""
    if isinstance(node, _FUNCTIONS):
        decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
        return [*decorators, *node.args.defaults, *filter(None, node.args.kw_defaults)]
    children = list(ast.iter_child_nodes(node))
    first = [
        child
        for child in (getattr(node, "value", None), getattr(node, "iter", None))
        if isinstance(child, ast.AST)
    ]
    return [*first, *(child for child in children if child not in first)]


def _binds(node: ast.AST) -> str | None:
    """The name that a node gives a value without a Name node."""
    if isinstance(
        node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs)
    ):
        return node.name
    if isinstance(node, ast.MatchStar):
        return node.name
    return node.rest if isinstance(node, ast.MatchMapping) else None
