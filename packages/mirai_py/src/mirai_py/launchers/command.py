"""Start daemons with a command of the user's: any program that runs another one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirai_py.arguments import flag
from mirai_py.errors import MiraiTypeError, MiraiValueError
from mirai_py.launchers.config import LaunchCmd, RemoteConfig, Target, python_of, words_of
from mirai_py.launchers.process import Course, Invocation, run

if TYPE_CHECKING:
    from collections.abc import Sequence

PLACEHOLDER = "."


@dataclass(frozen=True)
class CommandConfig(RemoteConfig):
    """Start each daemon with a program.

    Attributes:
        command: the program, as words; empty if nothing is to be started.
        args: its arguments for each launch; one alone stands for any number of them.
        python: the interpreter at the other end.
        quote: whether the daemon's command is one argument, or several.
        course: what becomes of the program.
    """

    command: tuple[str, ...]
    args: tuple[tuple[str, ...], ...]
    python: str
    quote: bool
    course: Course = Course.LASTS

    def launch(self, n: int, target: Target) -> LaunchCmd:
        """Run the program for each launch; see `RemoteConfig`."""
        launches = self.launches(n)
        commands = LaunchCmd(target.command(self.python) for _ in launches)
        if self.command:
            leading = self.leading(target)
            invocations = [
                Invocation([*self.command, *leading, *self._filled(args, command)])
                for args, command in zip(launches, commands, strict=True)
            ]
            show = target.options.get("output") is True
            run(invocations, course=self.course, show=show, is_set=target.is_set)
        return commands

    def launches(self, n: int) -> list[tuple[str, ...]]:
        """The arguments of each of `n` launches.

        Raises:
            ValueError: there are several, but not `n`.
        """
        if len(self.args) == 1:
            return [self.args[0]] * n
        if n not in (1, len(self.args)):
            raise MiraiValueError(
                f"`n` must equal the length of `args`, or either must be 1: they are {n} and {len(self.args)}"
            )
        return list(self.args)

    def leading(self, target: Target) -> list[str]:
        """What this host needs before the arguments."""
        del target
        return []

    def _filled(self, args: Sequence[str], command: str) -> list[str]:
        words: list[str] = []
        for arg in args:
            if arg != PLACEHOLDER:
                words += shlex.split(arg)
            elif self.quote:
                words.append(command)
            else:
                words += shlex.split(command)
        return words


def remote_config(
    command: str | None = None,
    args: Sequence[str] | Sequence[Sequence[str]] = ("", PLACEHOLDER),
    python: str = "python",
    quote: bool = False,
) -> RemoteConfig:
    """Start daemons elsewhere with any program that runs another one.

    Args:
        command: the program, for example "srun"; None starts nothing: `launch_remote` only returns the
            commands, to be run by hand.
        args: its arguments, in which "." stands for the command of the daemon. Each is split as a shell
            would; no shell is involved. A list of such lists makes as many launches.
        python: the interpreter there, in which mirai-nng is installed; may hold flags, or be
            "uv run python".
        quote: whether the daemon's command is to be one argument (ssh, sbatch --wrap) or words (srun).

    Raises:
        ValueError: "." is missing in `args`.
        TypeError: an argument has the wrong type.

    Example:
        >>> with daemons(url=local_url(tcp=True)):
        ...     commands = launch_remote(2, remote_config(python="python3"))
        >>> len(commands)
        2
    """
    return CommandConfig(
        () if command is None else tuple(words_of(command, "command")),
        _checked(args),
        python_of(python),
        quote=flag("quote", quote),
    )


def _checked(args: Any) -> tuple[tuple[str, ...], ...]:
    if isinstance(args, str) or not args:
        raise MiraiTypeError(f"`args` must be a list of str, or of such lists, not {args!r}")
    lists = (args,) if isinstance(args[0], str) else args
    for one in lists:
        if isinstance(one, str):
            raise MiraiTypeError(f"`args` must be a list of str, or of such lists, not a mixture: {args!r}")
        for arg in one:
            words_of(arg, "args")
        if PLACEHOLDER not in one:
            raise MiraiValueError(
                f"`.` must be an element of `args`, as the place of the daemon's command: {one!r} lacks it"
            )
    return tuple(tuple(one) for one in lists)
