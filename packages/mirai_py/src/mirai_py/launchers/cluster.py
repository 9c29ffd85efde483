"""Start daemons as jobs of a batch system: Slurm, SGE, PBS or Torque, LSF."""

from __future__ import annotations

from dataclasses import dataclass

from mirai_py.errors import MiraiTypeError, MiraiValueError
from mirai_py.launchers.config import LaunchCmd, RemoteConfig, Target, python_of, words_of
from mirai_py.launchers.process import Course, Invocation, run


@dataclass(frozen=True)
class ClusterConfig(RemoteConfig):
    """Submit each daemon as a job, whose script goes to the submitter's stdin.

    A file would have to be kept from other users: the script holds the token.
    """

    command: tuple[str, ...]
    options: str
    python: str

    def launch(self, n: int, target: Target) -> LaunchCmd:
        """Submit `n` jobs; see `RemoteConfig`."""
        commands = LaunchCmd(target.command(self.python) for _ in range(n))
        invocations = [Invocation(list(self.command), self.script(command)) for command in commands]
        run(invocations, course=Course.RETURNS, show=False, is_set=target.is_set)
        return commands

    def script(self, command: str) -> str:
        """The script of a job."""
        return f"#!/bin/sh\n{self.options}\n{command}\n"


def cluster_config(command: str = "sbatch", options: str = "", python: str = "python") -> RemoteConfig:
    """Start daemons as jobs of a batch system. Each daemon is a job of its own.

    Args:
        command: what submits a script that it reads from stdin: "sbatch" (Slurm), "qsub" (SGE, PBS, Torque)
            or "bsub" (LSF); may hold options.
        options: lines that the script starts with, "#SBATCH --mem=4G" and the like, and shell commands such
            as "module load python". Indentation is removed. For a job array, give its option here and
            launch one: all launch commands of a profile are the same.
        python: the interpreter there, in which mirai-nng is installed; may hold flags.

    Raises:
        TypeError, ValueError: an argument has the wrong type, or is empty.

    Example:
        >>> config = cluster_config(
        ...     "sbatch",
        ...     options='''#SBATCH --job-name=mirai
        ...                #SBATCH --mem=4G
        ...                module load python''',
        ... )
        >>> # daemons(8, url=host_url(tls=True), remote=config)
    """
    words = words_of(command, "command")
    if not words:
        raise MiraiValueError('`command` must be a program that submits jobs, for example "sbatch"')
    if not isinstance(options, str):
        raise MiraiTypeError(f"`options` must be a str of lines, not {options!r}")
    lines = "\n".join(line.lstrip(" \t") for line in options.split("\n"))
    return ClusterConfig(tuple(words), lines, python_of(python))
