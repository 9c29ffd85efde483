"""What a run shows on stderr while it goes on."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from targets_py.errors import TarDeprecateWarning, TarValidateError
from targets_py.units import pretty_bytes, pretty_sec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.live import Live
    from rich.text import Text

    from targets_py.engine.events import Counts, Event, RunSummary

FLUSH_SECONDS = 0.1  # least time between two writes
SKIP_SECONDS = 1.0  # least time between two lines about skipped targets
BAR_SECONDS = 0.3  # a run that does nothing is over by then and shows no bar
MANY = 10_000  # preparing more records or files than this is worth a word
BAR_WIDTH = 20
NOUNS = {"stem": "target", "branch": "branch", "pattern": "pattern"}
COLORS = {"✔": "32", "✖": "31", "!": "33", "+": "90", "→": "36"}
MAKE_REPORTERS = ("balanced", "terse", "verbose", "timestamp", "silent")
OUTDATED_REPORTERS = ("balanced", "terse", "silent")
SUCCESSORS = {
    "timestamp_positives": "timestamp",
    "verbose_positives": "verbose",
    "summary": "balanced",
}
OUTDATED_SUCCESSORS = {"forecast": "balanced", "forecast_interactive": "balanced", "summary": "balanced"}


def reporter_name(name: str, outdated: bool = False) -> str:
    """The reporter's present name, after a warning if that one is deprecated.

    Args:
        name: What the user asked for.
        outdated: Whether it is for a function that only looks, which has fewer of them.

    Raises:
        TarValidateError: There is no such reporter.
    """
    known = OUTDATED_REPORTERS if outdated else MAKE_REPORTERS
    if name in known:
        return name
    successor = (OUTDATED_SUCCESSORS if outdated else SUCCESSORS).get(name)
    if successor is None:
        raise TarValidateError(f"unknown reporter {name!r}: choose one of {', '.join(known)}")
    warnings.warn(f"reporter {name!r} is deprecated: using {successor!r}", TarDeprecateWarning, stacklevel=3)
    return successor


def default_reporter() -> str:
    """The reporter that is used unless one is asked for: balanced where a person watches, else terse."""
    if os.environ.get("CI") == "true":
        return "terse"
    notebook = "ipykernel" in sys.modules
    return "balanced" if notebook or _is_terminal(sys.stderr) else "terse"


def create_reporter(name: str, error_modes: Mapping[str, str] | None = None) -> SilentReporter:
    """A reporter by its name.

    Args:
        name: balanced, terse, verbose, timestamp or silent.
        error_modes: Target -> its `error=` option, which decides whether an error's text is shown at once.
    """
    modes = error_modes or {}
    if name == "silent":
        return SilentReporter()
    if name == "verbose":
        return VerboseReporter(modes)
    if name == "timestamp":
        return TimestampReporter(modes)
    if name == "balanced" and _is_terminal(sys.stderr):
        return BalancedReporter(modes)
    return TerseReporter(modes)


class Lines:
    """Lines on stderr: written at once, or together soon after if something was written a moment ago."""

    def __init__(self) -> None:
        self.color = use_color(sys.stderr)
        self._waiting: list[str] = []
        self._written = float("-inf")
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def add(self, text: str, mark: str = "") -> None:
        """Show one line, after a mark such as ✔ if one is given."""
        if mark:
            painted = f"\x1b[{COLORS[mark]}m{mark}\x1b[0m" if self.color else mark
            text = f"{painted} {text}"
        with self._lock:
            self._waiting.append(text)
            wait = self._written + FLUSH_SECONDS - time.monotonic()
            if wait <= 0:
                self._flush()
            elif self._timer is None:
                self._timer = threading.Timer(wait, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Write what waits and end."""
        timer = self._timer
        self.flush()
        if timer is not None:
            timer.join()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            text = "\n".join(self._waiting)
            self._waiting.clear()
            self._written = time.monotonic()
            self.write(text)

    def write(self, text: str) -> None:
        """Put one or more whole lines on the screen."""
        with contextlib.suppress(OSError, ValueError):  # a reader that went away must not end the run
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


class SilentReporter:
    """Shows nothing but the warnings of workers; the base of the other reporters."""

    def preparing(self, text: str, n: int) -> None:
        """A preparation step starts that works through `n` records, files or targets."""

    def dispatched(self, event: Event) -> None:
        """A target's command starts."""

    def declared(self, event: Event, branches: int) -> None:
        """A pattern was expanded."""

    def completed(self, event: Event) -> None:
        """A target was built."""

    def skipped(self, event: Event) -> None:
        """A target is up to date."""

    def errored(self, event: Event, message: str) -> None:
        """A target failed."""

    def canceled(self, event: Event) -> None:
        """A target canceled itself."""

    def retried(self, event: Event, message: str) -> None:
        """A target is run again because its worker died."""

    def workspace(self, event: Event) -> None:
        """A workspace was saved."""

    def warning(self, event: Event, message: str) -> None:
        """A target warned on a worker."""
        sys.stderr.write(f"{event.name}: Warning: {message}\n")

    def end(self, summary: RunSummary) -> None:
        """The run is over."""

    def close(self) -> None:
        """Leave the screen as it was, for functions that run nothing and so have no end to tell of."""


class TerseReporter(SilentReporter):
    """A line as a stem or pattern starts and ends, none for branches that succeed and what is skipped."""

    def __init__(self, error_modes: Mapping[str, str]) -> None:
        self._modes = error_modes
        self._lines = Lines()
        self._failed_parents: set[str] = set()

    def dispatched(self, event: Event) -> None:
        """A target's command starts."""
        if event.kind == "stem":
            self._lines.add(f"{event.name} dispatched", "+")

    def declared(self, event: Event, branches: int) -> None:
        """A pattern was expanded."""
        self._lines.add(f"{event.name} declared [{branches} branches]", "+")

    def completed(self, event: Event) -> None:
        """A target was built."""
        if event.kind != "branch":
            self._lines.add(f"{event.name} completed {metrics(event)}", "✔")

    def errored(self, event: Event, message: str) -> None:
        """A target failed; a pattern is named only if it is not for a branch that already was."""
        if event.kind == "pattern" and event.name in self._failed_parents:
            return
        self._failed_parents.add(event.parent)
        self._add_errored(event)
        if self._modes.get(event.parent) in {"continue", "abridge"}:
            self._lines.add(f"Error: {message}")

    def _add_errored(self, event: Event) -> None:
        self._lines.add(f"{event.name} errored", "✖")

    def warning(self, event: Event, message: str) -> None:
        """A target warned on a worker."""
        self._lines.add(f"{event.name}: Warning: {message}")

    def end(self, summary: RunSummary) -> None:
        """Say how the run went."""
        mark, text = conclusion(summary)
        self._lines.add(text, mark)
        self.close()

    def close(self) -> None:
        """Write what waits."""
        self._lines.close()


class BalancedReporter(TerseReporter):
    """What terse shows, above a live bar at the bottom of the terminal."""

    def __init__(self, error_modes: Mapping[str, str]) -> None:
        super().__init__(error_modes)
        self._started = time.monotonic()
        self._counts: Counts | None = None
        self._step = ""
        self._live: Live | None = None

    def preparing(self, text: str, n: int) -> None:
        """Name a step that may take long."""
        if n > MANY:
            self._step = text
            self._start_bar()

    def dispatched(self, event: Event) -> None:
        """A target's command starts."""
        self._update(event)
        self._start_bar()
        super().dispatched(event)

    def completed(self, event: Event) -> None:
        """A target was built."""
        self._update(event)
        super().completed(event)

    def skipped(self, event: Event) -> None:
        """A target is up to date."""
        self._update(event)
        if self._live is None and time.monotonic() - self._started > BAR_SECONDS:
            self._start_bar()

    def end(self, summary: RunSummary) -> None:
        """Clear the bar and say how the run went."""
        self._clear_bar()
        super().end(summary)

    def close(self) -> None:
        """Clear the bar."""
        self._clear_bar()
        super().close()

    def _clear_bar(self) -> None:
        self._lines.flush()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _update(self, event: Event) -> None:
        self._counts = event.counts
        self._step = ""

    def _start_bar(self) -> None:
        if self._live is not None:
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, no_color=not self._lines.color)
        self._live = Live(
            console=console, get_renderable=self._bar, transient=True, refresh_per_second=1 / FLUSH_SECONDS
        )
        self._lines.flush()
        self._live.start()

    def _bar(self) -> Text:
        from rich.text import Text

        elapsed = pretty_sec(time.monotonic() - self._started)
        if self._counts is None or self._step:
            return Text(f"→ {self._step} [{elapsed}]", overflow="ellipsis", no_wrap=True)
        counts = self._counts
        done = counts.completed + counts.skipped + counts.errored + counts.canceled
        filled = BAR_WIDTH * done // max(counts.total, 1)
        bar = "■" * filled + " " * (BAR_WIDTH - filled)
        text = f"→ {counts.total} targets {bar} [{elapsed}, {counts.completed}+, {counts.skipped}-]"
        return Text(text, overflow="ellipsis", no_wrap=True)


class VerboseReporter(TerseReporter):
    """One line for whatever happens to a target or branch."""

    def __init__(self, error_modes: Mapping[str, str]) -> None:
        super().__init__(error_modes)
        self._skips = 0
        self._unsaid_skips = False
        self._said = time.monotonic()

    def dispatched(self, event: Event) -> None:
        """A target's command starts."""
        if event.kind != "pattern":
            self._add(f"dispatched {_noun(event)}")

    def declared(self, event: Event, branches: int) -> None:  # noqa: ARG002 - terse shows the number
        """A pattern was expanded."""
        self._add(f"declared {_noun(event)}")

    def completed(self, event: Event) -> None:
        """A target was built."""
        self._add(f"completed {_noun(event)} {metrics(event)}")

    def skipped(self, event: Event) -> None:
        """A target is up to date: said for all of the last second together."""
        self._skips = event.counts.skipped
        self._unsaid_skips = True
        if time.monotonic() - self._said >= SKIP_SECONDS:
            self._say_skips()

    def canceled(self, event: Event) -> None:
        """A target canceled itself."""
        self._add(f"canceled {_noun(event)}")

    def retried(self, event: Event, message: str) -> None:
        """A target is run again because its worker died."""
        self._add(f"retry {_noun(event)}: {message}" if message else f"retry {_noun(event)}")

    def workspace(self, event: Event) -> None:
        """A workspace was saved."""
        self._add(f"record workspace {event.name}")

    def end(self, summary: RunSummary) -> None:
        """Say how the run went."""
        if self._unsaid_skips:
            self._say_skips()
        mark, text = conclusion(summary)
        self._lines.add(f"{self._stamp()}{text}", mark)
        self.close()

    def _add_errored(self, event: Event) -> None:
        self._add(f"errored {_noun(event)}")

    def _say_skips(self) -> None:
        self._said = time.monotonic()
        self._unsaid_skips = False
        self._add(f"skipped {self._skips} targets")

    def _add(self, text: str) -> None:
        self._lines.add(f"{self._stamp()}{text}")

    def _stamp(self) -> str:
        return ""


class TimestampReporter(VerboseReporter):
    """What verbose shows, each line after the local time."""

    def _stamp(self) -> str:
        return f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-4] + " "


def metrics(event: Event) -> str:
    """Run time and size of what was built, as in `[1.2s, 4.37 kB]`."""
    return f"[{pretty_sec(event.seconds)}, {pretty_bytes(event.bytes)}]"


def conclusion(summary: RunSummary) -> tuple[str, str]:
    """Mark and text of a run's last line."""
    counts, time_taken = summary.counts, pretty_sec(summary.seconds)
    done = f"[{time_taken}, {counts.completed} completed, {counts.skipped} skipped]"
    if summary.interrupted:
        return "✖", f"interrupted pipeline {done}"
    if counts.errored or summary.errors or summary.failed is not None:
        return "✖", f"errored pipeline {done}"
    if counts.completed or counts.canceled:
        return "✔", f"ended pipeline {done}"
    if counts.skipped:
        return "✔", f"skipped pipeline [{time_taken}, {counts.skipped} skipped]"
    return "!", f"empty pipeline [{time_taken}]"


def use_color(stream: TextIO) -> bool:
    """Whether to write ANSI codes: on terminals, unless NO_COLOR or FORCE_COLOR say otherwise."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or _is_terminal(stream)


def _is_terminal(stream: TextIO) -> bool:
    return bool(stream) and stream.isatty() and os.environ.get("TERM") != "dumb"


def _noun(event: Event) -> str:
    return f"{NOUNS[event.kind]} {event.name}"
