"""The commands that read the data store and never the script."""

from __future__ import annotations

import math

import click

import targets_py
from targets_py.cli.output import save_value, show_json, show_names, show_table, show_value
from targets_py.cli.scope import NAME, NAMES, Scope, command, fields_selector, selector


def add_readers(cli: click.Group) -> None:
    """Add the commands that read."""

    @command(cli, "read")
    @NAME
    @click.option("--branches", metavar="0,1", help="Positions of branches of a pattern.")
    @click.option("-o", "--output", metavar="FILE", help="Write to a .parquet, .csv or .json file.")
    def read(scope: Scope, name: str, branches: str | None, output: str | None) -> None:
        """Show the value of a target."""
        value = targets_py.tar_read(name, branches=_positions(branches), store=scope.store)
        if output is not None:
            save_value(value, output)
        else:
            show_value(value, as_json=scope.json)

    @command(cli, "meta")
    @NAMES
    @click.option("--fields", metavar="A,B", help="Columns besides name.")
    @click.option("--complete", is_flag=True, help="Only rows without missing values.")
    @click.option("--targets-only", is_flag=True, help="No functions and other globals.")
    def meta(
        scope: Scope, names: tuple[str, ...], fields: str | None, complete: bool, targets_only: bool
    ) -> None:
        """Show the metadata of NAMES, or of everything."""
        frame = targets_py.tar_meta(
            selector(names), fields_selector(fields), targets_only, complete, store=scope.store
        )
        show_table(frame, as_json=scope.json)

    @command(cli, "errors")
    @NAMES
    def errors(scope: Scope, names: tuple[str, ...]) -> None:
        """Show the errors of the last runs; with -v also their tracebacks."""
        frame = targets_py.tar_meta(selector(names), "error", complete_only=True, store=scope.store)
        if not scope.verbose:
            show_table(frame, as_json=scope.json)
            return
        kept = set(targets_py.tar_workspaces(store=scope.store))
        rows = [
            row | {"traceback": _traceback(row["name"], scope) if row["name"] in kept else []}
            for row in frame.to_dicts()
        ]
        if scope.json:
            show_json(rows)
            return
        for row in rows:
            click.echo("\n".join([f"{row['name']}: {row['error']}", *row["traceback"], ""]))

    @command(cli, "progress")
    @NAMES
    @click.option("--branches", is_flag=True, help="Count the branches of patterns.")
    @click.option("--summary", is_flag=True, help="Count targets.")
    def progress(scope: Scope, names: tuple[str, ...], branches: bool, summary: bool) -> None:
        """Show how far the last run got."""
        if summary:
            frame = targets_py.tar_progress_summary(None, store=scope.store)
        elif branches:
            frame = targets_py.tar_progress_branches(selector(names), store=scope.store)
        else:
            frame = targets_py.tar_progress(selector(names), None, store=scope.store)
        show_table(frame, as_json=scope.json)

    @command(cli, "objects")
    @NAMES
    def objects(scope: Scope, names: tuple[str, ...]) -> None:
        """List the stored values."""
        show_names(targets_py.tar_objects(selector(names), store=scope.store), as_json=scope.json)

    @command(cli, "traceback")
    @NAME
    def traceback(scope: Scope, name: str) -> None:
        """Show the traceback of a failed target."""
        show_names(_traceback(name, scope), as_json=scope.json)

    @command(cli, "poll")
    @click.option("--interval", type=float, default=1.0, show_default=True, help="Seconds between two looks.")
    @click.option("--timeout", type=float, default=math.inf, help="Seconds after which to end.")
    def poll(scope: Scope, interval: float, timeout: float) -> None:
        """Show the progress of a run as it goes on, until Ctrl-C."""
        targets_py.tar_poll(interval, timeout, store=scope.store)

    @command(cli, "process")
    def process(scope: Scope) -> None:
        """Show which process ran the pipeline last."""
        show_table(targets_py.tar_process(store=scope.store), as_json=scope.json)

    @command(cli, "crew")
    def crew(scope: Scope) -> None:
        """Show what the workers of the last run did."""
        show_table(targets_py.tar_crew(store=scope.store), as_json=scope.json)


def _traceback(name: str, scope: Scope) -> list[str]:
    return targets_py.tar_traceback(name, store=scope.store)


def _positions(branches: str | None) -> list[int] | None:
    if branches is None:
        return None
    try:
        return [int(number) for number in branches.split(",")]
    except ValueError:
        raise click.BadParameter(f"{branches!r} must be whole numbers between commas") from None
