"""The command line: measure a command or processes, and look at logs."""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from autometric_py.control import log_print
from autometric_py.errors import AutometricError
from autometric_py.measure import NotStartedError, count_records, follow, run_command, summary_text
from autometric_py.support import log_version

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after the program's name; None takes those of this process.

    Returns:
        The exit status: that of the command for `run`, else 0, or 1 after an error.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Everything behind the first "--" belongs to the command, whatever it looks like.
    command = words[words.index("--") + 1 :] if "--" in words else []
    options = _parser().parse_args(words[: words.index("--")] if "--" in words else words)
    options.command = command
    try:
        status: int = options.action(options)
    except AutometricError as error:
        print(f"autometric: {error}", file=sys.stderr)
        return error.status if isinstance(error, NotStartedError) else 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autometric", description="Log and plot what processes use.")
    parser.add_argument("--version", action="version", version=log_version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="measure a command, or processes, until they end",
        description="Run a command and log it and its descendants, or log running processes until they end; "
        "then print a summary on standard error. The exit status is the command's.",
        usage="autometric run [--path P] [--seconds S] [--pid N ...] [-- command ...]",
    )
    run.add_argument("--path", default="autometric.log", help="the log, appended to (default: %(default)s)")
    run.add_argument("--seconds", type=float, default=1.0, help="the interval (default: %(default)s)")
    run.add_argument("--pid", type=int, action="append", default=[], help="a process to log; may be repeated")
    run.add_argument("--no-children", action="store_true", help="leave the descendants out")
    run.add_argument("--quiet", action="store_true", help="print no summary")
    run.set_defaults(action=_run)

    plot = commands.add_parser("plot", help="draw a picture of logs")
    _add_logs(plot)
    plot.add_argument("--output", "-o", default="autometric.png", help="the picture (default: %(default)s)")
    plot.add_argument("--metric", default="resident", help="resident, virtual, core or cpu")
    plot.add_argument("--pid", type=int, help="only this process")
    plot.add_argument("--name", help="only the process of this name")
    plot.add_argument("--phase", help="only this phase")
    plot.add_argument("--all", action="store_true", help="every process, in panels")
    plot.set_defaults(action=_plot)

    once = commands.add_parser("print", help="measure processes over one interval, a line each")
    once.add_argument("--pid", type=int, action="append", required=True, help="a process; may be repeated")
    once.add_argument(
        "--path", default="/dev/stdout", help="where to append the lines (default: %(default)s)"
    )
    once.add_argument("--seconds", type=float, default=1.0, help="the interval (default: %(default)s)")
    once.set_defaults(action=_print)

    report = commands.add_parser("report", help="make a page of logs: plots and tables")
    _add_logs(report)
    report.add_argument("--output", "-o", default="autometric.html", help="the page (default: %(default)s)")
    report.add_argument("--title", default="Resource use", help="its heading")
    report.set_defaults(action=_report)
    return parser


def _add_logs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", nargs="+", help="files, or folders to search through")


def _print(options: argparse.Namespace) -> int:
    log_print(options.path, options.seconds, options.pid)
    return 0


def _plot(options: argparse.Namespace) -> int:
    import matplotlib as mpl

    mpl.use("agg")
    from autometric_py.overview import log_plot_all
    from autometric_py.plot import log_plot
    from autometric_py.read import log_read

    log = log_read(options.log)
    if options.all:
        figure = log_plot_all(log, options.metric)
    else:
        ax = log_plot(log, options.pid, options.name, options.phase, options.metric, phase_bands=True)
        figure = ax.figure.figure
    try:
        figure.savefig(options.output, dpi=120)
    except (OSError, ValueError) as error:  # the latter: a format that matplotlib does not know
        raise AutometricError(f"the picture cannot be written to {options.output!r}: {error}") from error
    print(options.output)
    return 0


def _report(options: argparse.Namespace) -> int:
    from autometric_py.read import log_read
    from autometric_py.report import log_report

    print(log_report(log_read(options.log), options.output, options.title))
    return 0


def _run(options: argparse.Namespace) -> int:
    if bool(options.command) == bool(options.pid):
        raise AutometricError("give processes with --pid, or a command behind '--'")
    before = count_records(options.path)
    children = not options.no_children
    if options.command:
        outcome = run_command(options.command, options.path, options.seconds, children=children)
    else:
        outcome = follow(options.pid, options.path, options.seconds, children=children)
    if not options.quiet:
        print(summary_text(options.path, outcome, before), file=sys.stderr)
    return outcome.status
