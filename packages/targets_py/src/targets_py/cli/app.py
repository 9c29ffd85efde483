"""The group of all commands, and the entry point."""

from __future__ import annotations

import sys

import click

import targets_py
from targets_py.cli.clean import add_cleaners
from targets_py.cli.inspect import add_inspectors
from targets_py.cli.read import add_readers
from targets_py.cli.run import add_runners
from targets_py.cli.scope import INTERRUPTED
from targets_py.cli.setup import add_setup


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(targets_py.__version__, prog_name="targets")
def cli() -> None:
    """Pipelines that redo only what changed.

    NAMES are selectors: names, globs like 'fit_*', and '!fit_old' to take out.

    Exit codes: 0 fine, 1 a target failed, 2 wrong usage, script or name, 130 interrupted.
    """


for add in (add_runners, add_inspectors, add_readers, add_cleaners, add_setup):
    add(cli)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What stands after `targets`; None: those of this process.

    Returns:
        The exit code.
    """
    try:
        outcome = cli.main(arguments, prog_name="targets", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    return outcome if isinstance(outcome, int) else 0
