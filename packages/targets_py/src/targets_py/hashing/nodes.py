"""From objects to nodes of the code graph: what counts as an object itself, and what it names."""

from __future__ import annotations

import ast
import builtins
import copy
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarWarning
from targets_py.hashing import names
from targets_py.hashing.digest import digest
from targets_py.hashing.merkle import Node
from targets_py.hashing.names import Chain, Import, Usage
from targets_py.hashing.tree import canonical, without_docstrings
from targets_py.hashing.value import UnhashableValueError, Walker, class_name, is_code, package_of

if TYPE_CHECKING:
    from targets_py.hashing.project import Project
    from targets_py.hashing.source import CodeNode, SourceIndex

Namespace = Mapping[str, Any]
_ABSENT = object()
# Where a module lies and how it was loaded is no part of what its code does, nor is its docstring.
_OF_MODULES = frozenset(vars(types.ModuleType("m"))) | {"__file__", "__cached__", "__builtins__", "__path__"}


@dataclass(frozen=True, slots=True)
class External:
    """A function, class or module outside the project: it counts by its name alone."""

    name: str


@dataclass(frozen=True, slots=True)
class _Shape:
    """What all functions of one code object have in common."""

    form: bytes
    usage: Usage
    code: types.CodeType  # keeps its id


class NodeMaker:
    """Makes the node of each object once.

    Args:
        namespace: Globals of the script.
        project: Says what belongs to the project.
        source: Finds syntax trees.
    """

    def __init__(self, namespace: Namespace, project: Project, source: SourceIndex) -> None:
        self._namespace = namespace
        self._project = project
        self._source = source
        self._nodes: dict[int, tuple[Any, Node]] = {}  # with the object, so that ids stay theirs
        self._externals: dict[str, Node] = {}
        self._shapes: dict[int, _Shape] = {}
        self._sources: dict[str, Node] = {}

    def __repr__(self) -> str:
        return f"<NodeMaker: {len(self._nodes)} nodes>"

    def node(self, obj: Any, name: str = "") -> Node:
        """The node of an object.

        Args:
            obj: A function, class, module, other object, or `External`.
            name: How warnings call it.
        """
        if isinstance(obj, External):
            node = self._externals.get(obj.name)
            if node is None:
                node = self._externals[obj.name] = Node(digest(b"external", obj.name.encode()))
            return node
        known = self._nodes.get(id(obj))
        if known is None:
            known = self._nodes[id(obj)] = (obj, self._make(obj, name))
        return known[1]

    def source(self, text: str) -> Node:
        """The node of a command that is source.

        Raises:
            SyntaxError: It does not parse.
        """
        node = self._sources.get(text)
        if node is None:
            tree = ast.parse(text)
            code = compile(tree, "<command>", "exec", dont_inherit=True)
            free = names.global_names(code) - names.assigned_first(tree)
            usage = names.usage_of([tree]).only(free)
            node = self._sources[text] = Node(digest(b"source", canonical(tree)))
            self._link(node, usage, self._namespace)
        return node

    def resolve(self, chain: Chain, namespace: Namespace) -> tuple[str, Any] | None:
        """Follow a name through modules.

        Args:
            chain: The name and the attributes that are taken from it.
            namespace: Where it is looked up.

        Returns:
            The part of the name that was needed, and what it stands for; None for a name that is not there.
        """
        if chain[0] not in namespace:
            return None
        obj = namespace[chain[0]]
        used = 1
        while isinstance(obj, types.ModuleType):
            if not self._project.has_module(obj):
                return ".".join(chain[:used]), External(obj.__name__)
            if used == len(chain):
                break
            obj = _attribute(obj, chain[used])
            if obj is _ABSENT:
                return None
            used += 1
        return ".".join(chain[:used]), obj

    def _make(self, obj: Any, name: str) -> Node:
        if isinstance(obj, types.FunctionType):
            return self._function(obj) if self._project.has_function(obj) else self._foreign_function(obj)
        if isinstance(obj, types.ModuleType):
            return self._module(obj)
        if isinstance(obj, type):
            return self._class(obj)
        if obj is os.environ:  # the environment is no part of the code, however it is imported
            return self.node(External("os:environ"))
        function = _function_of_target(obj)
        if function is not None:
            return self.node(function, name)
        for attribute in ("__wrapped__", "py_func") if callable(obj) else ():  # lru_cache; compiled functions
            wrapped = _attribute(obj, attribute)
            if is_code(wrapped):
                return Node(digest(b"wrapper", class_name(type(obj))), parts={"wrapped": wrapped})
        if is_code(obj):
            return self.node(External(_name_of(obj)))
        node = Node("")
        node.own = digest(b"constant", self._part(obj, "value", node.parts, name))
        return node

    def _function(self, function: types.FunctionType) -> Node:
        shape = self._shape(function)
        node = Node("")
        own = [b"function", shape.form]
        values: dict[str, Any] = {}
        for position, value in enumerate(function.__defaults__ or ()):
            values[f"default {position}"] = value
        for key, value in (function.__kwdefaults__ or {}).items():
            values[f"default {key}"] = value
        values.update(_closed_over(function))
        for place, value in values.items():
            own += [place.encode(), self._part(value, place, node.parts, f"{function.__qualname__}: {place}")]
        node.own = digest(*own)
        self._link(node, shape.usage, function.__globals__)
        return node

    def _foreign_function(self, function: types.FunctionType) -> Node:
        """A function outside the project, which may wrap one of the project."""
        code = function.__code__
        name = f"{package_of(function.__globals__.get('__name__', ''))}:{code.co_qualname}"
        parts: dict[str, Any] = {}
        own = [b"wrapper", name.encode()]
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:  # what else it closes over stands in the decorator of the function it wraps
            parts["wrapped"] = wrapped
            registry = getattr(function, "registry", None)  # functools.singledispatch
            for kind, implementation in registry.items() if isinstance(registry, Mapping) else ():
                if isinstance(kind, type) and implementation is not wrapped:
                    parts[f"registry {class_name(kind).decode()}"] = implementation
        else:
            for place, value in _closed_over(function).items():
                own += [place.encode(), self._part(value, place, parts, None)]
        if len(own) == 2 and not parts:
            return self.node(External(_name_of(function)))
        return Node(digest(*own), parts=parts)

    def _shape(self, function: types.FunctionType) -> _Shape:
        code = function.__code__
        shape = self._shapes.get(id(code))
        if shape is None:
            tree = self._source.function(code, function.__globals__)
            form, usage = self._without_source(function) if tree is None else self._read(tree, function)
            shape = self._shapes[id(code)] = _Shape(form, usage, code)
        return shape

    def _read(self, tree: CodeNode, function: types.FunctionType) -> tuple[bytes, Usage]:
        usage = names.usage_of(names.inside(tree)).only(names.global_names(function.__code__))
        if not isinstance(tree, ast.Lambda):
            kept = [node for node in tree.decorator_list if not self._is_ours(node, function.__globals__)]
            if len(kept) < len(tree.decorator_list):
                tree = copy.copy(tree)
                tree.decorator_list = kept
            outer = names.usage_of([*kept, *names.hints(tree)] if kept else [], visible=True)
            usage = Usage(usage.chains | outer.chains, usage.values | outer.values, usage.imports)
        return canonical(tree), usage

    def _is_ours(self, decorator: ast.expr, namespace: Namespace) -> bool:
        """Whether a decorator makes a target, and so is no part of the command."""
        chain = names.dotted(decorator)
        obj = namespace.get(chain[0]) if chain else None
        for attribute in chain[1:] if chain else ():
            obj = getattr(obj, attribute, None)
        return (getattr(obj, "__module__", None) or "").partition(".")[0] == __name__.partition(".")[0]

    def _without_source(self, function: types.FunctionType) -> tuple[bytes, Usage]:
        warnings.warn(
            f"the source of function {function.__qualname__} ({function.__code__.co_filename}) is not known: "
            "it is tracked by its byte code, which changes with the version of Python",
            TarWarning,
            stacklevel=2,
        )
        chains: set[Chain] = {(name,) for name in names.global_names(function.__code__)}
        return _byte_code(function.__code__), Usage(chains, {chain[0] for chain in chains})

    def _class(self, cls: type) -> Node:
        if not self._project.has_class(cls):
            return self.node(External(class_name(cls).decode()))
        tree = self._source.find_class(cls)
        node = Node("")
        own = [b"class", canonical(tree) if tree else self._members(cls, node.parts)]
        for position, base in enumerate(cls.__bases__):
            node.parts[f"base {position}"] = base
        for member, function in _methods(cls):
            if not self._project.has_file(function.__code__.co_filename):  # made by a decorator of the class
                continue
            for place, value in _closed_over(function).items():
                if place != "closure __class__":
                    inner = f"{member} {place}"
                    own += [inner.encode(), self._part(value, inner, node.parts, None)]
        node.own = digest(*own)
        if tree:
            code = names.compile_alone(tree)
            usage = names.usage_of([tree])
            self._link(node, usage.only(names.global_names(code)) if code else usage, _globals_of(cls))
        return node

    def _members(self, cls: type, parts: dict[str, Any]) -> bytes:
        """What tells a class without source, such as a namedtuple, from another."""
        lines = [class_name(cls)]
        for member, value in sorted(vars(cls).items()):
            if member.startswith("__") and member != "__slots__":
                continue
            function = value if isinstance(value, types.FunctionType) else None
            if function is None:
                lines += [member.encode(), self._part(value, member, parts, None)]
            elif self._project.has_file(function.__code__.co_filename):  # not what the library generates
                parts[f"member {member}"] = function
        return digest(*lines).encode()

    def _module(self, module: types.ModuleType) -> Node:
        path = getattr(module, "__file__", None)
        index = self._source.file(path, vars(module)) if path and self._project.has_module(module) else None
        if index is None:
            return self.node(External(module.__name__))
        tree = without_docstrings(index.tree)
        node = Node(digest(b"module", canonical(tree)))
        code = names.compile_alone(tree)
        usage = names.usage_of([tree])
        self._link(node, usage.only(names.global_names(code)) if code else usage, vars(module))
        return node

    def _part(self, value: Any, place: str, parts: dict[str, Any], name: str | None) -> bytes:
        """Hash of a value that an object holds; functions and classes in it become parts of the object.

        Args:
            value: The value.
            place: Where the object holds it.
            parts: Gets the functions and classes.
            name: How a warning calls it, None for no warning, where nobody could do something about it.
        """
        found: dict[int, tuple[str, Any]] = {}

        def refer(obj: Any) -> bytes:
            if id(obj) not in found:
                found[id(obj)] = (f"{place} #{len(found)}", obj)
            return found[id(obj)][0].encode()

        def refer_class(cls: type) -> bytes:
            return refer(cls) if self._project.has_class(cls) else class_name(cls)

        try:
            hashed = Walker(refer, refer_class).top(value)
        except UnhashableValueError as error:
            if name is not None:
                warnings.warn(
                    f"{name or 'a global'} cannot be hashed and is tracked by its type only: {error}",
                    TarWarning,
                    stacklevel=2,
                )
            found.clear()
            return b"type " + refer_class(type(value))
        else:
            return hashed.encode()
        finally:
            parts.update(found.values())

    def _link(self, node: Node, usage: Usage, namespace: Namespace) -> None:
        """Let a node lead to what it names."""
        local = dict(self._import_all(usage.imports, namespace))
        home = namespace is self._namespace or namespace.get("__file__") == self._namespace.get(
            "__file__", ""
        )
        free = set()
        for chain in sorted(usage.chains):
            root = chain[0]
            if root in _OF_MODULES:
                continue
            imported = root in usage.imports
            found = self.resolve(chain, local if imported else namespace)
            if found is not None:
                node.names[found[0]] = found[1]
            known = root in namespace
            if not imported and (home if known else not hasattr(builtins, root)):
                free.add(root)
        node.free = frozenset(free)
        node.called = frozenset(free - usage.values)

    def _import_all(self, imports: Mapping[str, Import], namespace: Namespace) -> Iterable[tuple[str, Any]]:
        """What imports inside a function bind, as far as it belongs to the project."""
        for local, what in imports.items():
            try:
                package = namespace.get("__package__") or namespace.get("__name__", "")
                module = f"{_package_above(package, what.level)}{what.module}".rstrip(".")
                found: Any = self._project.imported(module)
                if found is not None and what.name is not None:
                    if hasattr(found, what.name):
                        found = getattr(found, what.name)
                    else:
                        found = self._project.imported(f"{module}.{what.name}")
            except Exception as error:
                message = (
                    f"cannot import {what.module or what.name}, so changes in it are not seen: {error!r}"
                )
                warnings.warn(message, TarWarning, stacklevel=2)
                continue
            if found is not None:
                yield local, found


def _attribute(obj: Any, name: str) -> Any:
    """An attribute, or `_ABSENT`: proxies and modules may raise whatever they like when asked."""
    try:
        return getattr(obj, name)
    except Exception:
        return _ABSENT


def _package_above(package: str, level: int) -> str:
    """The package that a relative import of this level starts at, with a dot; "" for an absolute one."""
    if level == 0:
        return ""
    parts = package.split(".")
    return ".".join(parts[: len(parts) - level + 1]) + "."


def _closed_over(function: types.FunctionType) -> dict[str, Any]:
    """Values of a function's free variables; those that are not set yet are left out."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[f"closure {name}"] = cell.cell_contents
        except ValueError:
            continue
    return found


def _methods(cls: type) -> Iterable[tuple[str, types.FunctionType]]:
    """The functions that a class holds, also below staticmethod, classmethod and property."""
    for name, member in vars(cls).items():
        for function in (member, getattr(member, "__func__", None), getattr(member, "fget", None)):
            if isinstance(function, types.FunctionType):
                yield name, function


def _globals_of(cls: type) -> Namespace:
    """Globals of the code that defines a class."""
    for _, function in _methods(cls):
        if function.__globals__.get("__name__") == cls.__module__:
            return function.__globals__
    module = sys.modules.get(cls.__module__)
    return vars(module) if module else {}


def _function_of_target(obj: Any) -> Callable[..., Any] | None:
    """The function that a decorated target still is; None for all other objects."""
    if type(obj).__module__.partition(".")[0] != __name__.partition(".")[0]:
        return None
    command = getattr(obj, "command", None)
    return command.value if getattr(command, "kind", None) == "callable" else None  # type: ignore[union-attr]


def _name_of(obj: Any) -> str:
    """Name of a function outside the project."""
    module = getattr(obj, "__module__", None) or type(getattr(obj, "__self__", obj)).__module__
    name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None) or type(obj).__qualname__
    return f"{package_of(module)}:{name}"


def _byte_code(code: types.CodeType) -> bytes:
    """A code object as it counts where its source is not known; differs between versions of Python."""
    consts = [
        _byte_code(const) if isinstance(const, types.CodeType) else ascii(const).encode()
        for const in code.co_consts
    ]
    version = f"{sys.version_info.major}.{sys.version_info.minor}".encode()
    return digest(version, code.co_code, ascii(code.co_names).encode(), *consts).encode()
