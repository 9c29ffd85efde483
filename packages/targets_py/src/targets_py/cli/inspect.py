"""The commands that read the script and look at the pipeline without running it."""

from __future__ import annotations

import click

import targets_py
from targets_py.cli.output import show_json, show_names, show_table
from targets_py.cli.scope import FAILED, NAME, NAMES, Scope, command, fields_selector, selector

OUTPUT = click.option(
    "-o", "--output", metavar="FILE", default="graph.html", show_default=True, help="Where to write it."
)
OPEN = click.option("--open", "open_", is_flag=True, help="Open it in a browser.")


def add_inspectors(cli: click.Group) -> None:
    """Add the commands that inspect."""

    @command(cli, "outdated")
    @NAMES
    @click.option("--branches", is_flag=True, help="List branches too.")
    @click.option("--all", "everything", is_flag=True, help="List changed functions and other globals too.")
    @click.option("--shortcut", is_flag=True, default=None, help="Only the named targets, nothing upstream.")
    @click.option("--exit-code", is_flag=True, help="Exit with 1 if something is outdated.")
    def outdated(
        scope: Scope,
        names: tuple[str, ...],
        branches: bool,
        everything: bool,
        shortcut: bool | None,
        exit_code: bool,
    ) -> int:
        """List what `targets make` would build."""
        found = targets_py.tar_outdated(
            selector(names),
            shortcut=shortcut,
            branches=branches,
            targets_only=not everything,
            reporter="silent" if scope.quiet else None,
            **scope.runner(),
        )
        show_names(found, as_json=scope.json)
        return FAILED if exit_code and found else 0

    @command(cli, "sitrep")
    @NAMES
    @click.option("--fields", metavar="A,B", help="Columns besides name.")
    @click.option("--shortcut", is_flag=True, default=None, help="Only the named targets, nothing upstream.")
    def sitrep(scope: Scope, names: tuple[str, ...], fields: str | None, shortcut: bool | None) -> None:
        """Show what each cue says of each target."""
        frame = targets_py.tar_sitrep(
            selector(names), fields_selector(fields), shortcut=shortcut, **scope.runner()
        )
        show_table(frame, as_json=scope.json)

    @command(cli, "why")
    @NAME
    def why(scope: Scope, name: str) -> None:
        """Say why a target would run."""
        text = targets_py.tar_why(name, **scope.runner())
        if scope.json:
            show_json(text)
        else:
            click.echo(text)

    @command(cli, "validate")
    def validate(scope: Scope) -> None:
        """Check the script."""
        targets_py.tar_validate(**scope.runner())
        if scope.json:
            show_json({"valid": True})

    @command(cli, "manifest")
    @NAMES
    @click.option("--fields", metavar="A,B", help="Columns besides name; 'all' for all of them.")
    def manifest(scope: Scope, names: tuple[str, ...], fields: str | None) -> None:
        """Show the targets that the script declares."""
        from targets_py.manifest import DEFAULT_FIELDS

        chosen = DEFAULT_FIELDS if fields is None else None if fields == "all" else fields_selector(fields)
        frame = targets_py.tar_manifest(selector(names), chosen, **scope.runner())
        show_table(frame, as_json=scope.json)

    @command(cli, "network")
    @NAMES
    @click.option("--targets-only", is_flag=True, help="No functions and other globals.")
    @click.option("--no-outdated", is_flag=True, help="Do not find out what is up to date.")
    def network(scope: Scope, names: tuple[str, ...], targets_only: bool, no_outdated: bool) -> None:
        """Show the vertices and edges of the graph."""
        found = targets_py.tar_network(
            targets_only, selector(names), outdated=not no_outdated, **scope.runner()
        )
        if scope.json:
            show_json(found)
            return
        for frame in found.values():
            show_table(frame, as_json=False)

    @command(cli, "mermaid")
    @NAMES
    @click.option("--targets-only", is_flag=True, help="No functions and other globals.")
    @click.option("--no-outdated", is_flag=True, help="Do not find out what is up to date.")
    def mermaid(scope: Scope, names: tuple[str, ...], targets_only: bool, no_outdated: bool) -> None:
        """Write the graph as text for mermaid."""
        text = targets_py.tar_mermaid(
            targets_only, selector(names), outdated=not no_outdated, **scope.runner()
        )
        if scope.json:
            show_json(str(text))
        else:
            click.echo(text)

    @command(cli, "visnetwork")
    @NAMES
    @OUTPUT
    @OPEN
    @click.option("--targets-only", is_flag=True, help="No functions and other globals.")
    @click.option("--no-outdated", is_flag=True, help="Do not find out what is up to date.")
    def visnetwork(
        scope: Scope,
        names: tuple[str, ...],
        output: str,
        open_: bool,
        targets_only: bool,
        no_outdated: bool,
    ) -> None:
        """Draw the graph as a page (.html) or a picture (.svg)."""
        graph = targets_py.tar_visnetwork(
            targets_only, selector(names), outdated=not no_outdated, **scope.runner()
        )
        _deliver(graph, scope, output, open_=open_)

    @command(cli, "glimpse")
    @NAMES
    @OUTPUT
    @OPEN
    @click.option("--all", "everything", is_flag=True, help="Functions and other globals too.")
    def glimpse(scope: Scope, names: tuple[str, ...], output: str, open_: bool, everything: bool) -> None:
        """Draw the graph without looking at what is up to date."""
        graph = targets_py.tar_glimpse(not everything, selector(names), **scope.runner())
        _deliver(graph, scope, output, open_=open_)


def _deliver(graph: targets_py.TarGraph, scope: Scope, output: str, *, open_: bool) -> None:
    graph.save(output)
    if scope.json:
        show_json({"path": output})
    elif not scope.quiet:
        click.echo(output)
    if open_:
        click.launch(output)
