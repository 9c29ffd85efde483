"""Hashes of code: what a command does, and what it reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
        globals: First parts of the free names, builtins left out unless the project shadows them.
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
    """Hashes of the code of one project.

    Args:
        namespace: Where the names of source commands and of `deps=` are looked up.
        root: Folder whose Python files are project code.
        imports: Top-level modules that count as project code wherever they lie.
        sources: Path -> text of files that are not to be read from disk; these are project code too.
    """

    def __init__(
        self,
        namespace: Mapping[str, Any],
        root: Path,
        imports: Sequence[str] = (),
        sources: Mapping[str, str] | None = None,
    ) -> None:
        raise NotImplementedError

    def dependencies(self, command: Any) -> Names:
        """The names that a callable or a source string uses.

        Raises:
            SyntaxError: A source string that does not parse.
        """
        raise NotImplementedError

    def command_hash(self, command: Any) -> str:
        """Hash of a command alone: a callable, a source string (every str is source), or a constant.

        Raises:
            TarValidateError: Lambdas on one line that cannot be told apart.
            UnhashableValueError: A constant without a canonical form.
        """
        raise NotImplementedError

    def references(self, command: Any) -> dict[str, str]:
        """Full hash of each global that a callable or source uses, by its name as written there.

        Names of modules are written with what is taken from them, "helpers.clean"; names that are not found
        are left out. Sorted by name.
        """
        raise NotImplementedError

    def global_hash(self, name: str) -> str:
        """Full hash of a name of the namespace: of its own code or value and of all that it reaches.

        Raises:
            TarValidateError: There is no such name.
        """
        raise NotImplementedError

    def global_names(self, name: str) -> frozenset[str]:
        """Names of the namespace that the global of this name uses directly."""
        raise NotImplementedError

    def value_hash(self, value: Any) -> str:
        """`hash_value()` with this project's functions."""
        raise NotImplementedError

    def dependency_tree(self, name: str) -> Dependency:
        """What a global uses, directly and indirectly."""
        raise NotImplementedError
