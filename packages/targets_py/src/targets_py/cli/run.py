"""`targets make`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from targets_py.cli.output import show_json
from targets_py.cli.scope import FAILED, NAMES, Scope, command, selector

if TYPE_CHECKING:
    from targets_py.engine.events import RunSummary


def add_runners(cli: click.Group) -> None:
    """Add the commands that run the pipeline."""

    @command(cli, "make")
    @NAMES
    @click.option("--shortcut", is_flag=True, default=None, help="Only the named targets, nothing upstream.")
    @click.option("--reporter", help="balanced, terse, verbose, timestamp or silent.")
    @click.option("--no-crew", is_flag=True, help="Run here although the script has a controller.")
    @click.option("--in-process", is_flag=True, help="Run without a child process, for debugging.")
    @click.option(
        "--debug", multiple=True, metavar="NAME", help="Stop before NAME in the debugger, in-process."
    )
    @click.option("--background", is_flag=True, default=None, help="Return at once; output to meta/job.log.")
    @click.option(
        "--metrics",
        is_flag=False,
        flag_value="metrics/main.log",
        metavar="[FILE]",
        help="Log cpu and memory of main to FILE, of the workers beside it.  [metrics/main.log]",
    )
    @click.option("--seconds-meta-append", type=float, help="Least seconds between writes of metadata.")
    def make(
        scope: Scope,
        names: tuple[str, ...],
        shortcut: bool | None,
        reporter: str | None,
        no_crew: bool,
        in_process: bool,
        debug: tuple[str, ...],
        background: bool | None,
        metrics: str | None,
        seconds_meta_append: float | None,
    ) -> int:
        """Build what is missing or outdated: NAMES and what they need, or everything."""
        from targets_py.child import callr_r
        from targets_py.engine.events import RunSummary
        from targets_py.make import run_make, warn_about
        from targets_py.metrics import log_run

        arguments: dict[str, Any] = scope.runner()
        if debug:  # the debugger needs this terminal, and no bar on it
            in_process, reporter = True, reporter or "terse"
        if in_process:
            arguments["callr_arguments"] = None
        if background:  # it goes on when this process has returned
            arguments["callr_arguments"] = {"supervise": False}
        if background and metrics:
            raise click.UsageError("--metrics follows a run to its end: it does not go with --background")
        with log_run(metrics) if metrics else nullcontext():
            outcome = run_make(
                selector(names),
                shortcut=shortcut,
                reporter=reporter or ("silent" if scope.quiet else "verbose" if scope.verbose else None),
                seconds_meta_append=seconds_meta_append,
                callr_function=None if in_process else callr_r,
                use_crew=False if no_crew else None,
                as_job=background,
                debug=debug,
                **arguments,
            )
        if not isinstance(outcome, RunSummary):
            return 0
        if scope.json:
            show_json(_document(outcome))
        elif not scope.quiet:
            for text in warn_about(outcome):
                click.echo(f"Warning: {text}", err=True)
        return FAILED if outcome.errors else 0


def _document(summary: RunSummary) -> dict[str, Any]:
    counts = summary.counts
    return {
        "seconds": summary.seconds,
        "completed": counts.completed,
        "skipped": counts.skipped,
        "errored": counts.errored,
        "canceled": counts.canceled,
        "warned": counts.warned,
        "errors": summary.errors,
    }
