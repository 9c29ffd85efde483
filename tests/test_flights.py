"""The main job: 336,776 flights, 28 branches, two workers; second runs, edits and kills."""

import os
import signal
from pathlib import Path

import pytest

STEPS = {
    "flights_file",
    "weather_file",
    "airlines_file",
    "flights",
    "weather",
    "delays",
    "by_carrier",
    "by_month",
    "carrier_effects",
    "month_effects",
    "carriers",
    "table",
    "figure",
}


@pytest.mark.timeout(240)
def test_a_second_run_does_nothing_and_edits_rerun_exactly_what_they_reach(flights):
    assert flights.make().built == STEPS
    assert (flights.folder / "results" / "effects.csv").read_text().count("\n") == 1 + 5 * (16 + 12)
    assert (flights.folder / "results" / "delays.png").read_bytes().startswith(b"\x89PNG")

    again = flights.make()
    assert again.built == set()
    assert again.skipped_all

    flights.edit("functions/report.py", 'label="median"', 'label="half are later"')
    assert flights.make().built == {"figure"}

    flights.edit("functions/model.py", "[2.5, 97.5]", "[5.0, 95.0]")
    assert flights.make().built == {"carrier_effects", "month_effects", "carriers", "table", "figure"}

    # The helper changes, its value does not: what depends on that value is left alone.
    flights.edit("functions/load.py", "return 60 * hours", "return hours * 60")
    assert flights.make().built == {"flights"}

    flights.edit("functions/model.py", "def fit(", "# Solve the normal equations.\n\ndef fit(")
    assert flights.make().built == set()


@pytest.mark.timeout(240)
def test_after_a_kill_of_the_main_process_only_what_was_unfinished_is_built(flights, report):
    flights.environment["FLIGHTS_EFFORT"] = "0.1"
    run = flights.start("make", "--reporter", "verbose")
    for line in run.stderr:
        report.lines.append(line)
        if sum(name.startswith("carrier_effects_") for name in report.completed) == 4:
            break
    os.kill(flights.main_process(), signal.SIGKILL)
    report.lines += run.stderr.readlines()
    assert run.wait(timeout=60) != 0
    run.stderr.close()

    after = flights.make()
    assert not set(after.completed) & set(report.completed)
    assert {"carriers", "table", "figure"} <= after.built
    assert (flights.folder / "results" / "effects.csv").exists()


@pytest.mark.timeout(240)
def test_a_killed_worker_costs_only_the_target_that_it_ran(flights, report):
    flights.environment["FLIGHTS_EFFORT"] = "0.1"
    run = flights.start("make", "--reporter", "verbose")
    killed = False
    for line in run.stderr:
        report.lines.append(line)
        if not killed and line.startswith("completed branch carrier_effects_"):
            os.kill(worker_in(flights.folder), signal.SIGKILL)
            killed = True
    assert run.wait(timeout=60) == 0, "".join(report.lines)
    run.stderr.close()
    assert killed
    assert len(report.completed) == len(set(report.completed)), "a target was built twice"
    assert report.built == STEPS
    assert flights.make().built == set()


def worker_in(folder):
    """The pid of a worker whose working directory is this folder."""
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
            if b"crew_py.crew_worker" in command and (entry / "cwd").readlink() == folder:
                return int(entry.name)
        except OSError:
            continue
    raise AssertionError("no worker of this project is alive")
