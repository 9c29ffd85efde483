"""Hashes of code: what a command does, and what it reaches.

Each function, class, module and constant of the project is a node. Its own hash is that of its canonical
syntax tree, default values and closed-over values. Its full hash adds the full hashes of what it names (a
Merkle tree); nodes that reach each other are hashed together.
"""

from __future__ import annotations

import inspect
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarValidateError
from targets_py.hashing.digest import digest
from targets_py.hashing.merkle import Node, full_hash
from targets_py.hashing.nodes import External, NodeMaker
from targets_py.hashing.project import Project
from targets_py.hashing.source import SourceIndex
from targets_py.hashing.value import hash_value, is_code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that a command can be given a value for (`*args` and `**kwargs` are left out).

    Attributes:
        name: Its name.
        required: It has no default.
        default: Its default, None if it has none.
        positional_only: It cannot be passed by name.
    """

    name: str
    required: bool
    default: Any = None
    positional_only: bool = False


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a command uses.

    Attributes:
        parameters: Of a callable, in order; empty for source.
        globals: First parts of the free names, builtins left out unless the script shadows them.
        called: Those of `globals` that are never used but to call them.
    """

    parameters: tuple[Parameter, ...]
    globals: frozenset[str]
    called: frozenset[str]


@dataclass(frozen=True, slots=True)
class Dependency:
    """A piece of project code and what it uses.

    Attributes:
        name: As written where it is used, for example "helpers.clean".
        hash: Of it and of all it reaches.
        depends: What it uses; empty where that was listed before.
    """

    name: str
    hash: str
    depends: tuple[Dependency, ...] = ()


class Code:
    """Hashes of the code of one project, as it is when it is first looked at.

    Args:
        namespace: Where the names of source commands and of `deps=` are looked up: the globals of the script.
        root: Folder whose Python files are project code.
        imports: Top-level modules that count as project code wherever they lie.
        sources: Path -> text of files that are not to be read from disk; these are project code too.

    Example:
        >>> code = Code({"double": lambda v: 2 * v}, Path("."))
        >>> sorted(code.dependencies("double(x) + y").globals)
        ['double', 'x', 'y']
    """

    def __init__(
        self,
        namespace: Mapping[str, Any],
        root: Path,
        imports: Sequence[str] = (),
        sources: Mapping[str, str] | None = None,
    ) -> None:
        self._namespace = namespace
        texts = {} if sources is None else sources  # the caller may still add to it
        self._maker = NodeMaker(namespace, Project(root, namespace, imports, texts), SourceIndex(texts))
        self._root = root

    def __repr__(self) -> str:
        return f"<Code of {self._root}>"

    def dependencies(self, command: Any) -> Names:
        """The names that a callable or a source string uses.

        Args:
            command: A callable or source.

        Returns:
            Its parameters and free names.

        Raises:
            SyntaxError: A source string that does not parse.
        """
        nodes = [node for _, node in self._structure(self._node(command))]
        free = frozenset().union(*(node.free for node in nodes))
        used_as_value = frozenset().union(*(node.free - node.called for node in nodes))
        parameters = () if isinstance(command, str) else _parameters(command)
        return Names(parameters, free, free - used_as_value)

    def command_hash(self, command: Any) -> str:
        """Hash of a command alone.

        Args:
            command: A callable, a source string (every str is source), or a constant.

        Returns:
            16 hexadecimal digits.

        Raises:
            SyntaxError: A source string that does not parse.
            TarValidateError: Lambdas on one line that cannot be told apart.
            UnhashableValueError: A constant without a canonical form.
        """
        if not isinstance(command, str) and not callable(command):
            return digest(b"constant", self.value_hash(command).encode())
        # What it wraps or closes over is part of the command as well.
        parts = [f"{place} {node.own}".encode() for place, node in self._structure(self._node(command))]
        return digest(b"command", *parts)

    def references(self, command: Any) -> dict[str, str]:
        """Full hash of each global that a callable or source uses.

        Args:
            command: A callable or source; a constant uses none.

        Returns:
            Name as written there -> 16 hexadecimal digits, sorted by name. Names of project modules come with
            what is taken from them, "helpers.clean"; other modules count by name; unknown names are left out.
        """
        if not isinstance(command, str) and not callable(command):
            return {}
        found: dict[str, str] = {}
        for place, node in self._structure(self._node(command)):
            for name, obj in node.names.items():
                full = self._full(obj, name)
                # A wrapper and what it wraps may use one name for two things.
                found[name if found.get(name, full) == full else f"{name} ({place})"] = full
        return dict(sorted(found.items()))

    def global_hash(self, name: str) -> str:
        """Full hash of a global: of its own code or value and of all that it reaches.

        Args:
            name: A name of the namespace; with dots for what a module of the project holds.

        Returns:
            16 hexadecimal digits.

        Raises:
            TarValidateError: There is no such name.
        """
        return self._full(self._find(name), name)

    def global_names(self, name: str) -> frozenset[str]:
        """Names of the namespace that a global uses directly.

        Args:
            name: A name of the namespace.

        Returns:
            Names of functions, classes and constants, its own too if it calls itself.

        Raises:
            TarValidateError: There is no such name.
        """
        named = {id(value): key for key, value in self._namespace.items() if is_code(value)}
        used: set[str] = set()
        todo = [self._maker.node(self._find(name), name)]
        while todo:
            node = todo.pop()
            used |= node.free
            for place, part in node.parts.items():
                if id(part) in named:
                    used.add(named[id(part)])
                elif not isinstance(part, External):
                    todo.append(self._maker.node(part, place))
        return frozenset(used & self._namespace.keys())

    def value_hash(self, value: Any) -> str:
        """`hash_value()` with this project's functions."""
        return hash_value(value, self)

    def object_hash(self, obj: Any) -> str:
        """Full hash of any object, whatever its name."""
        return self._full(obj, "")

    def dependency_tree(self, name: str) -> Dependency:
        """What a global uses, directly and indirectly.

        Args:
            name: A name of the namespace.

        Returns:
            A tree in which each dependency's own dependencies are listed once.

        Raises:
            TarValidateError: There is no such name.
        """
        return self._tree(self._find(name), name, set())

    def _tree(self, obj: Any, name: str, listed: set[int]) -> Dependency:
        node = self._maker.node(obj, name)
        children: list[Dependency] = []
        if id(node) not in listed:
            listed.add(id(node))
            for key, used in sorted({**node.parts, **node.names}.items(), key=lambda item: item[0]):
                children.append(self._tree(used, key, listed))
        return Dependency(name, self._full(obj, name), tuple(children))

    def _node(self, command: Any) -> Node:
        return (
            self._maker.source(command) if isinstance(command, str) else self._maker.node(command, "command")
        )

    def _full(self, obj: Any, name: str) -> str:
        return full_hash(self._maker.node(obj, name), self._maker.node)

    def _find(self, name: str) -> Any:
        found = self._maker.resolve(tuple(name.split(".")), self._namespace)
        if found is None:
            raise TarValidateError(f"there is no global {name!r} in the script")
        return found[1]

    def _structure(self, node: Node) -> Iterator[tuple[str, Node]]:
        """A command's node and those of its parts, and theirs, each once."""
        seen = set()
        todo = [("", node)]
        while todo:
            place, each = todo.pop()
            if id(each) in seen:
                continue
            seen.add(id(each))
            yield place, each
            parts = [
                (f"{place}/{key}", part) for key, part in each.parts.items() if not isinstance(part, External)
            ]
            todo += [(key, self._maker.node(part, key)) for key, part in reversed(parts)]


def _parameters(command: Any) -> tuple[Parameter, ...]:
    if isinstance(command, types.FunctionType) and not command.__dict__:  # 20 us less than a signature
        return _own_parameters(command)
    try:
        signature = inspect.signature(command)
    except (TypeError, ValueError):  # some builtins do not tell
        return ()
    return tuple(
        Parameter(
            p.name,
            p.default is p.empty,
            None if p.default is p.empty else p.default,
            p.kind is p.POSITIONAL_ONLY,
        )
        for p in signature.parameters.values()
        if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
    )


def _own_parameters(function: types.FunctionType) -> tuple[Parameter, ...]:
    """The parameters of a function that pretends to be no other one."""
    code = function.__code__
    names = code.co_varnames
    positional = names[: code.co_argcount]
    defaults: dict[str, Any] = {}
    if function.__defaults__:
        defaults.update(zip(positional[-len(function.__defaults__) :], function.__defaults__, strict=True))
    if function.__kwdefaults__:
        defaults.update(function.__kwdefaults__)
    return tuple(
        [
            Parameter(name, name not in defaults, defaults.get(name), position < code.co_posonlyargcount)
            for position, name in enumerate(names[: code.co_argcount + code.co_kwonlyargcount])
        ]
    )
