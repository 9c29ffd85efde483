"""The commands that set up a project."""

from __future__ import annotations

import json
from typing import Any

import click

import targets_py
from targets_py.cli.output import show_json, show_names
from targets_py.cli.scope import Scope, command

SHELLS = ("bash", "zsh", "fish")


def add_setup(cli: click.Group) -> None:
    """Add the commands that set up."""

    @command(cli, "init")
    @click.option("--overwrite", is_flag=True, help="Replace an existing script.")
    def init(scope: Scope, overwrite: bool) -> None:
        """Write a script to start from."""
        targets_py.use_targets(scope.script, overwrite=overwrite)

    @command(cli, "edit")
    def edit(scope: Scope) -> None:
        """Open the script in $VISUAL or $EDITOR."""
        targets_py.tar_edit(scope.script)

    @command(cli, "completion")
    @click.argument("shell", type=click.Choice(SHELLS))
    def completion(scope: Scope, shell: str) -> None:  # noqa: ARG001 - each command has a scope
        """Show the code that makes a shell complete commands, options and names of targets."""
        from click.shell_completion import get_completion_class

        found = get_completion_class(shell)
        assert found is not None
        click.echo(found(cli, {}, "targets", "_TARGETS_COMPLETE").source())

    _add_config(cli)


def _add_config(cli: click.Group) -> None:
    @cli.group("config")
    def config() -> None:
        """Look at and change the settings in _targets.yaml."""

    @command(config, "get")
    @click.argument("name")
    def get(scope: Scope, name: str) -> None:
        """Show one setting."""
        value = targets_py.tar_config_get(name)
        if scope.json:
            show_json(value)
        else:
            click.echo(_text(value))

    @command(config, "set")
    @click.argument("assignments", nargs=-1, required=True, metavar="NAME=VALUE...")
    def set_(scope: Scope, assignments: tuple[str, ...]) -> None:  # noqa: ARG001 - each command has a scope
        """Set settings: `targets config set store=results label=time,size`."""
        targets_py.tar_config_set(**dict(map(_assignment, assignments)))

    @command(config, "unset")
    @click.argument("names", nargs=-1, required=True)
    def unset(scope: Scope, names: tuple[str, ...]) -> None:  # noqa: ARG001 - each command has a scope
        """Remove settings, so that inherited values or defaults hold."""
        targets_py.tar_config_unset(names)

    @command(config, "projects")
    def projects(scope: Scope) -> None:
        """List the projects."""
        show_names(targets_py.tar_config_projects(), as_json=scope.json)

    @command(config, "show")
    def show(scope: Scope) -> None:
        """Show all settings and where each value comes from: a project, or the default."""
        from targets_py.config import SETTINGS, setting_with_source

        found = {name: setting_with_source(name) for name in SETTINGS}
        if scope.json:
            show_json({name: {"value": value, "source": source} for name, (value, source) in found.items()})
            return
        for name, (value, source) in found.items():
            click.echo(f"{name:20} {_text(value):20} {source}")


def _assignment(text: str) -> tuple[str, Any]:
    from targets_py.config import SETTINGS

    name, equals, value = text.partition("=")
    if not equals or name not in SETTINGS:
        raise click.BadParameter(f"{text!r} must be NAME=VALUE, with a name of {', '.join(SETTINGS)}")
    if name == "label":
        return name, [part for part in value.split(",") if part]
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
