"""What all ways to start a daemon elsewhere have in common."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mirai_py.errors import MiraiTypeError, MiraiValueError
from mirai_py.handshake import TOKEN_VARIABLE
from mirai_py.launch import daemon_source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class LaunchCmd(list[str]):
    """The shell commands that start daemons, one for each; prints them ready to be pasted.

    They carry the token of the host: who has one may run code with the host's rights.

    Example:
        >>> commands = LaunchCmd(["env MIRAI_PY_TOKEN=... python -c ..."])  # as launch_remote() gives them
        >>> print(commands, end="")
        [1]
        env MIRAI_PY_TOKEN=... python -c ...
    """

    def __repr__(self) -> str:
        return "\n".join(f"[{i}]\n{command}\n" for i, command in enumerate(self, 1))

    __str__ = __repr__


@dataclass(frozen=True)
class Target:
    """The host that daemons are to dial.

    Attributes:
        url: where to dial.
        token: what they must know.
        options: keyword arguments of `daemon`.
        is_set: whether the host still waits for daemons.
    """

    url: str
    token: str = field(repr=False)
    options: Mapping[str, Any]
    is_set: Callable[[], bool]

    def command(self, python: str) -> str:
        """The shell command that is a daemon of this host.

        The token goes by the environment, so that it stands on no command line while the daemon runs.
        """
        source = shlex.quote(daemon_source(self.url, self.options))
        return f"env {TOKEN_VARIABLE}={shlex.quote(self.token)} {python} -c {source}"


class RemoteConfig(ABC):
    """A way to start daemons elsewhere, for `daemons()` and `launch_remote()`.

    Made by `remote_config`, `ssh_config`, `cluster_config` or `http_config`.
    """

    @abstractmethod
    def launch(self, n: int, target: Target) -> list[Any]:
        """Start `n` daemons of a host.

        Returns:
            The launch commands, or the answers of a service.

        Raises:
            MiraiLaunchError: they cannot be started.
            ValueError: `n` or the URL does not suit this way.
        """


def words_of(text: str, name: str) -> list[str]:
    """Split as a shell would.

    Raises:
        TypeError, ValueError: it is no text, or its quotes are not closed.
    """
    if not isinstance(text, str):
        raise MiraiTypeError(f"`{name}` must be a str, not {text!r}")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise MiraiValueError(f"`{name}` cannot be split into words: {error} in {text!r}") from None


def python_of(python: str) -> str:
    """The interpreter, if it is one.

    Raises:
        TypeError, ValueError: it is not.
    """
    if not words_of(python, "python"):
        raise MiraiValueError("`python` must name an interpreter, not be empty")
    return python
