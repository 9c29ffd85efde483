"""Hashes of the code of each target: its command, and the globals that the command uses."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

from targets_py.errors import TarError, TarValidateError
from targets_py.hashing.digest import digest
from targets_py.hashing.value import UnhashableValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from targets_py.definition.targets import Target
    from targets_py.engine.graph import Node
    from targets_py.hashing.code import Code


class CodeHashes:
    """Code hashes of all targets, computed once.

    Args:
        nodes: The targets.
        code: Hashes of the project's code.

    Attributes:
        commands: Target -> hash of its command.
        references: Target -> {global that its command uses: hash}.

    Raises:
        TarValidateError: A command cannot be hashed; the message names its target.
    """

    def __init__(self, nodes: Iterable[Node], code: Code) -> None:
        self.commands: dict[str, str] = {}
        self.references: dict[str, dict[str, str]] = {}
        for node in nodes:
            try:
                self.commands[node.name] = command_hash(node.target, code)
                self.references[node.name] = _references(node, code)
            except (TarError, SyntaxError) as error:
                raise TarValidateError(f"command of {node.name}: {error}") from error

    def __repr__(self) -> str:
        return f"<CodeHashes of {len(self.commands)} targets>"


def command_hash(target: Target, code: Code) -> str:
    """Hash of a target's command: its own code, or the text given instead, and the constants bound to it."""
    command = target.command
    assert command is not None
    if command.string is not None:
        own = digest(b"string", command.string.encode())
    elif command.kind == "constant":
        own = _constant_hash(command.value, code)
    else:
        own = code.command_hash(command.value)
    if not command.bound:
        return own
    bound = {name: _constant_hash(value, code) for name, value in command.bound.items()}
    return digest(own.encode(), combine(bound).encode())


def _constant_hash(value: object, code: Code) -> str:
    try:
        return code.value_hash(value)
    except UnhashableValueError:
        pass
    try:
        return digest(pickle.dumps(value))
    except Exception as error:
        raise TarValidateError(
            f"a constant of type {type(value).__name__} can be neither hashed nor stored"
        ) from error


def _references(node: Node, code: Code) -> dict[str, str]:
    command = node.target.command
    assert command is not None
    if node.target.deps is not None:
        return {name: code.global_hash(name) for name in node.imports}
    found = {} if command.kind == "constant" else dict(code.references(command.value))
    if command.kind == "source":
        for name in (*node.loads, *command.bound):
            found.pop(name, None)
    for name in command.extra:
        if name in node.imports:
            found[name] = code.global_hash(name)
    return found


def combine(depends: Mapping[str, str]) -> str:
    """One hash of names and their hashes, in no particular order."""
    return digest("\n".join([f"{name}={value}" for name, value in sorted(depends.items())]).encode())
