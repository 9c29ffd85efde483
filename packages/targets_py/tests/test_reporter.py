import io
import os
import pty
import re
import subprocess
import sys
import threading

import pytest

from targets_py.engine.events import Counts, Event, RunSummary
from targets_py.errors import TarDeprecateWarning, TarValidateError
from targets_py.reporter import create_reporter, default_reporter, reporter_name, use_color


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)


def play(reporter):
    """The reference run in small: a stem, a pattern with a failing branch, something canceled and skipped."""
    counts = Counts(total=6, completed=2, skipped=1, errored=1, canceled=1)

    def event(name, kind="stem", parent=None, seconds=0.0, size=0):
        return Event(name, kind, parent or name, counts, seconds, size)

    reporter.preparing("reading metadata", 20_000)
    reporter.skipped(event("old"))
    reporter.dispatched(event("x"))
    reporter.completed(event("x", seconds=0.0012, size=4371))
    reporter.declared(event("y", "pattern"), 2)
    reporter.dispatched(event("y", "pattern"))
    reporter.dispatched(event("y_1", "branch", "y"))
    reporter.completed(event("y_1", "branch", "y", 1.2, 5))
    reporter.dispatched(event("y_2", "branch", "y"))
    reporter.retried(event("y_2", "branch", "y"), "")
    reporter.errored(event("y_2", "branch", "y"), "four is bad")
    reporter.workspace(event("y_2", "branch", "y"))
    reporter.errored(event("y", "pattern"), "four is bad")
    reporter.canceled(event("c"))
    reporter.warning(event("x"), "careful")
    reporter.end(RunSummary(0.267, counts, {"y_2": "four is bad", "y": "four is bad"}))


TERSE = """\
+ x dispatched
✔ x completed [2ms, 4.37 kB]
+ y declared [2 branches]
✖ y_2 errored
Error: four is bad
x: Warning: careful
✖ errored pipeline [267ms, 2 completed, 1 skipped]
"""

VERBOSE = """\
dispatched target x
completed target x [2ms, 4.37 kB]
declared pattern y
dispatched branch y_1
completed branch y_1 [1.2s, 5 B]
dispatched branch y_2
retry branch y_2
errored branch y_2
Error: four is bad
record workspace y_2
canceled target c
x: Warning: careful
skipped 1 targets
✖ errored pipeline [267ms, 2 completed, 1 skipped]
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [("terse", TERSE), ("balanced", TERSE), ("verbose", VERBOSE), ("silent", "x: Warning: careful\n")],
)
def test_what_reporters_write(name, expected, capsys):
    play(create_reporter(name, {"y": "continue"}))
    captured = capsys.readouterr()
    assert captured.err == expected
    assert captured.out == ""


def test_a_timestamp_stands_before_each_line_and_after_the_last_mark(capsys):
    play(create_reporter("timestamp", {"y": "continue"}))
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d\d "
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(stamp + "dispatched target x", lines[0])
    assert re.fullmatch(f"✖ {stamp}" + r"errored pipeline \[.*\]", lines[-1])
    assert re.sub(stamp, "", "\n".join(lines) + "\n") == VERBOSE


@pytest.mark.parametrize("mode", ["stop", "null", "trim", None])
def test_the_text_of_an_error_is_left_to_the_end_where_the_mode_says_so(mode, capsys):
    play(create_reporter("terse", {"y": mode} if mode else None))
    assert "Error: four is bad" not in capsys.readouterr().err


def test_a_pattern_that_fails_itself_is_shown(capsys):
    reporter = create_reporter("terse", {"y": "continue"})
    counts = Counts(total=1)
    reporter.errored(Event("y", "pattern", "y", counts), "unequal lengths")
    reporter.end(RunSummary(0.1, counts, {"y": "unequal lengths"}))
    assert capsys.readouterr().err == (
        "✖ y errored\nError: unequal lengths\n✖ errored pipeline [100ms, 0 completed, 0 skipped]\n"
    )


@pytest.mark.parametrize(
    ("summary", "line"),
    [
        (RunSummary(1.3, Counts(completed=9)), "✔ ended pipeline [1.3s, 9 completed, 0 skipped]"),
        (RunSummary(1.3, Counts(canceled=1, skipped=2)), "✔ ended pipeline [1.3s, 0 completed, 2 skipped]"),
        (RunSummary(1.3, Counts(skipped=4)), "✔ skipped pipeline [1.3s, 4 skipped]"),
        (RunSummary(0.02, Counts()), "! empty pipeline [20ms]"),
        (
            RunSummary(1, Counts(completed=1, errored=1), {"x": "no"}, failed="x"),
            "✖ errored pipeline [1s, 1 completed, 0 skipped]",
        ),
        (
            RunSummary(1, Counts(completed=1), interrupted=True),
            "✖ interrupted pipeline [1s, 1 completed, 0 skipped]",
        ),
    ],
)
def test_the_last_line(summary, line, capsys):
    create_reporter("terse").end(summary)
    assert capsys.readouterr().err == f"{line}\n"


def test_many_skips_give_few_lines(capsys):
    reporter = create_reporter("verbose")
    counts = Counts(total=1000)
    for number in range(1000):
        counts.skipped = number + 1
        reporter.skipped(Event(f"x{number}", "stem", f"x{number}", counts))
    reporter.end(RunSummary(0.5, counts))
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2] == "skipped 1000 targets"
    assert len(lines) <= 3


def test_many_lines_are_few_writes(monkeypatch):
    class Counting(io.StringIO):
        writes = 0

        def write(self, text):
            self.writes += 1
            return super().write(text)

    stream = Counting()
    monkeypatch.setattr(sys, "stderr", stream)
    reporter = create_reporter("verbose")
    counts = Counts(total=20_000)
    for number in range(20_000):
        reporter.completed(Event(f"y_{number}", "branch", "y", counts))
    reporter.end(RunSummary(0.5, counts))
    assert stream.getvalue().count("\n") == 20_001
    assert stream.writes < 200


def test_a_line_that_waits_is_shown_soon_without_another_event(monkeypatch):
    seen = threading.Event()

    class Watching(io.StringIO):
        def write(self, text):
            if "second" in text:
                seen.set()
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Watching())
    reporter = create_reporter("terse")
    counts = Counts(total=2)
    for name in ("first", "second"):
        reporter.dispatched(Event(name, "stem", name, counts))
    assert seen.wait(10)
    reporter.end(RunSummary(1, counts))


def test_a_stream_that_went_away_does_not_stop_the_run(monkeypatch):
    source, sink = os.pipe()
    os.close(source)
    with os.fdopen(sink, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        create_reporter("terse").end(RunSummary(1, Counts()))
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sink)


def test_colours_follow_the_terminal_and_two_variables(monkeypatch, capsys):
    assert not use_color(sys.stderr)
    monkeypatch.setenv("FORCE_COLOR", "1")
    create_reporter("terse").end(RunSummary(1, Counts(completed=1)))
    assert capsys.readouterr().err.startswith("\x1b[32m✔\x1b[0m ended")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not use_color(sys.stderr)


TERMINAL = """
import threading
from targets_py.engine.events import Counts, Event, RunSummary
from targets_py.reporter import create_reporter
counts = Counts(total=6)
reporter = create_reporter("balanced")
reporter.dispatched(Event("x", "stem", "x", counts))
counts.completed, counts.skipped = 2, 1
print("users line")
reporter._live.refresh()
reporter.completed(Event("x", "stem", "x", counts))
reporter.end(RunSummary(1, counts))
"""


def test_a_terminal_shows_a_live_bar_below_the_lines():
    pytest.importorskip("rich")
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    child = subprocess.Popen(
        [sys.executable, "-c", TERMINAL], stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    output = b""
    try:
        while data := os.read(master, 65536):
            output += data
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(master)
    assert child.wait(20) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output.decode())
    assert re.search(r"→ 6 targets ■{10} {10} \[\d+ms, 2\+, 1-\]", text)
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    assert "users line" in lines
    assert lines[-1] == "✔ ended pipeline [1s, 2 completed, 1 skipped]"


def test_names_of_reporters():
    assert reporter_name("timestamp") == "timestamp"
    for old, new in [
        ("timestamp_positives", "timestamp"), ("verbose_positives", "verbose"), ("summary", "balanced")
    ]:  # fmt: skip
        with pytest.warns(TarDeprecateWarning, match=f"'{old}' is deprecated: using '{new}'"):
            assert reporter_name(old) == new
    with pytest.warns(TarDeprecateWarning):
        assert reporter_name("forecast_interactive", outdated=True) == "balanced"
    with pytest.raises(TarValidateError, match="choose one of balanced, terse, verbose, timestamp, silent"):
        reporter_name("loud")
    with pytest.raises(TarValidateError, match="choose one of balanced, terse, silent"):
        reporter_name("verbose", outdated=True)


def test_the_default_is_terse_unless_a_person_watches(monkeypatch):
    assert default_reporter() == "terse"
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert default_reporter() == "balanced"
    monkeypatch.setenv("CI", "true")
    assert default_reporter() == "terse"


def test_no_reporter_needs_rich_without_a_terminal():
    code = (
        "import sys\n"
        "from targets_py.engine.events import Counts, Event, RunSummary\n"
        "from targets_py.reporter import create_reporter\n"
        "reporter = create_reporter('balanced')\n"
        "reporter.dispatched(Event('x', 'stem', 'x', Counts()))\n"
        "reporter.end(RunSummary(1, Counts()))\n"
        "sys.exit('rich' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
