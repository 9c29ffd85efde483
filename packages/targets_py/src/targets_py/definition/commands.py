"""Commands: what a target runs."""

from __future__ import annotations

import ast
import linecache
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from targets_py.errors import TarValidateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import CodeType

    from targets_py.hashing.code import Parameter

CommandKind = Literal["callable", "source", "constant"]


@dataclass(frozen=True, slots=True)
class Command:
    """What a target runs: a callable, source whose last expression is the value, or a constant.

    Attributes:
        kind: "callable", "source" or "constant".
        value: The callable, the source text, or the constant itself.
        bound: Parameter (source: name) -> constant that it has instead of an upstream value.
        renames: Parameter (source: name) -> name of the target whose value it gets.
        extra: Further names it depends on; they are not passed.
        string: Text that is hashed instead of the code, or None.
    """

    kind: CommandKind
    value: Any
    bound: Mapping[str, Any] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    string: str | None = None

    def bind(self, constants: Mapping[str, Any]) -> Command:
        """Give parameters constant values, which count for the hash.

        Args:
            constants: Parameter -> value.

        Returns:
            Another command.

        Example:
            >>> as_command(lambda a: a + 1).bind({"a": 2}).bound
            {'a': 2}
        """
        return replace(self, bound={**self.bound, **constants})

    def rename(self, mapping: Mapping[str, str]) -> Command:
        """Let parameters take the values of other targets.

        Args:
            mapping: Name of a target that a parameter takes now -> the target it shall take.

        Returns:
            Another command.

        Example:
            >>> as_command(lambda data: data).rename({"data": "data_b"}).upstream_of("data")
            'data_b'
        """
        moved = {name: mapping.get(target, target) for name, target in self.renames.items()}
        return replace(self, renames={**mapping, **moved})

    def also(self, names: Sequence[str]) -> Command:
        """Add names it depends on without getting their values.

        Args:
            names: Targets or globals.

        Returns:
            Another command.

        Example:
            >>> as_command(lambda: 1).also(["settings"]).extra
            ('settings',)
        """
        return replace(self, extra=(*self.extra, *names))

    def upstream_of(self, parameter: str) -> str:
        """The name of the target that a parameter (source: a name) stands for."""
        return self.renames.get(parameter, parameter)

    def run(
        self, name: str, values: Mapping[str, Any], parameters: Sequence[Parameter], namespace: dict[str, Any]
    ) -> Any:
        """Run the command.

        Args:
            name: Name of the target, for tracebacks.
            values: Parameter (source: name) -> upstream value.
            parameters: The callable's parameters; not used otherwise.
            namespace: Globals of source.

        Returns:
            Its value.
        """
        if self.kind == "constant":
            return self.value
        if self.bound:
            values = {**values, **self.bound}
        if self.kind == "callable":
            return _call(self.value, values, parameters)
        body, last = compile_source(self.value, name)
        scope = {**namespace, **values}
        exec(body, scope)  # noqa: S102 - running the user's code is the purpose
        return None if last is None else eval(last, scope)  # noqa: S307


def as_command(value: Any) -> Command:
    """The command that an argument of `tar_target()` means: a callable, source, or a constant.

    Raises:
        TarValidateError: Source with a syntax error.
    """
    if isinstance(value, Command):
        return value
    if callable(value):
        return Command("callable", value)
    if not isinstance(value, str):
        return Command("constant", value)
    try:
        ast.parse(value)
    except SyntaxError as error:
        line = f"line {error.lineno}"
        raise TarValidateError(f"command {value!r} is no valid source: {error.msg}, {line}") from error
    return Command("source", value)


def _call(function: Any, values: Mapping[str, Any], parameters: Sequence[Parameter]) -> Any:
    positional = []
    named = {}
    for parameter in parameters:
        key = parameter.name
        if parameter.positional_only:
            positional.append(values.get(key, parameter.default))
        elif key in values:
            named[key] = values[key]
    return function(*positional, **named)


@lru_cache(maxsize=1024)
def compile_source(source: str, name: str) -> tuple[CodeType, CodeType | None]:
    """Code of all statements, and of the last expression if source ends in one."""
    file = f"<command of {name}>"
    tree = ast.parse(source)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = compile(ast.Expression(tree.body.pop().value), file, "eval")  # type: ignore[attr-defined]
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    return compile(tree, file, "exec"), last
