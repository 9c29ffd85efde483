"""What all commands share: their common options, exit codes, and how errors are shown."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from targets_py.cli.output import show_json
from targets_py.errors import TarError, TarValidateError

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED, WRONG, INTERRUPTED = 1, 2, 130


@dataclass(frozen=True, slots=True)
class Scope:
    """The common options of a command.

    Attributes:
        script, store: Paths, None: those of the project.
        json: Whether to write one JSON document.
        quiet, verbose: Whether less or more than usual is wanted.
    """

    script: str | None
    store: str | None
    json: bool
    quiet: bool
    verbose: bool

    def runner(self) -> dict[str, Any]:
        """Arguments for functions that read the script; what the script prints must not end up in JSON."""
        extra = {"stdout": "1>&2"} if self.json else {}
        return {"script": self.script, "store": self.store, "callr_arguments": extra}


def command(group: click.Group, name: str) -> Callable[[Callable[..., int | None]], click.Command]:
    """Make a function a command: the scope is its first argument, what it returns the exit code.

    Args:
        group: Where the command belongs.
        name: As users write it.
    """

    def decorate(function: Callable[..., int | None]) -> click.Command:
        @functools.wraps(function)
        def run(
            script: str | None,
            store: str | None,
            config: str | None,
            project: str | None,
            as_json: bool,
            quiet: bool,
            verbose: bool,
            **arguments: Any,
        ) -> int:
            for variable, value in (("TAR_CONFIG", config), ("TAR_PROJECT", project)):
                if value is not None:
                    os.environ[variable] = value
            scope = Scope(script, store, as_json, quiet, verbose)
            try:
                return function(scope, **arguments) or 0
            except (TarError, KeyboardInterrupt) as error:
                return _failed(error, as_json=as_json)

        for option in reversed(_COMMON):
            run = option(run)
        return group.command(name)(run)

    return decorate


def complete_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - the form that click wants
    """Names of targets in the last metadata; the script is not run."""
    from targets_py.places import store_path
    from targets_py.storage.metadata import Metadata
    from targets_py.storage.store import Store

    records = Metadata.load(Store(store_path(context.params.get("store")))).records
    kinds = ("stem", "pattern")
    return [name for name, record in records.items() if record.type in kinds and name.startswith(incomplete)]


NAMES = click.argument("names", nargs=-1, shell_complete=complete_names)
NAME = click.argument("name", shell_complete=complete_names)


def selector(names: tuple[str, ...]) -> list[str] | None:
    """The names of a command line as a selector; none given means all."""
    return list(names) or None


def fields_selector(fields: str | None) -> list[str] | None:
    """Names between commas as a selector."""
    return None if fields is None else [field.strip() for field in fields.split(",") if field.strip()]


def _failed(error: BaseException, *, as_json: bool) -> int:
    if isinstance(error, KeyboardInterrupt):
        code, text = INTERRUPTED, "interrupted"
    else:
        code, text = (WRONG if isinstance(error, TarValidateError) else FAILED), str(error)
    if as_json:
        about = {"class": type(error).__name__, "message": text, "target": getattr(error, "target", None)}
        show_json({"error": about})
    else:
        click.echo(text, err=True)
    return code


_COMMON = (
    click.option("--script", metavar="PATH", help="The script; else that of the project."),
    click.option("--store", metavar="PATH", help="The data store; else that of the project."),
    click.option("--config", metavar="PATH", help="The configuration file; else _targets.yaml."),
    click.option("--project", metavar="NAME", help="The project in it; else main."),
    click.option("--json", "as_json", is_flag=True, help="Write one JSON document."),
    click.option("-q", "--quiet", is_flag=True, help="Show less."),
    click.option("-v", "--verbose", is_flag=True, help="Show more."),
)
