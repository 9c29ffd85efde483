"""The commands that forget and delete."""

from __future__ import annotations

import click

import targets_py
from targets_py.cli.output import show_names
from targets_py.cli.scope import Scope, command, complete_names

SOME_NAMES = click.argument("names", nargs=-1, required=True, shell_complete=complete_names)


def add_cleaners(cli: click.Group) -> None:
    """Add the commands that clean."""

    @command(cli, "invalidate")
    @SOME_NAMES
    def invalidate(scope: Scope, names: tuple[str, ...]) -> None:
        """Forget targets, so that they run again; their values stay."""
        targets_py.tar_invalidate(list(names), store=scope.store)

    @command(cli, "delete")
    @SOME_NAMES
    def delete(scope: Scope, names: tuple[str, ...]) -> None:
        """Delete the stored values of targets."""
        targets_py.tar_delete(list(names), verbose=not scope.quiet, store=scope.store)

    @command(cli, "prune")
    @click.option("--list", "only_list", is_flag=True, help="Only show what would go.")
    def prune(scope: Scope, only_list: bool) -> None:
        """Delete what does not belong to the present script."""
        if only_list:
            show_names(targets_py.tar_prune_list(**scope.runner()), as_json=scope.json)
        else:
            targets_py.tar_prune(verbose=not scope.quiet, **scope.runner())

    @command(cli, "destroy")
    @click.argument("what", default="all")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    def destroy(scope: Scope, what: str, yes: bool) -> None:
        """Delete the data store or a part of it.

        WHAT is all (the default), cloud, local, meta, process, progress, objects, scratch, workspaces
        or user.
        """
        targets_py.tar_destroy(what, ask=False if yes else None, script=scope.script, store=scope.store)

    @command(cli, "unblock")
    def unblock(scope: Scope) -> None:
        """Remove what a dead process has left that keeps others from running."""
        targets_py.tar_unblock_process(store=scope.store)
