from datetime import UTC, datetime, timedelta

import pytest

from targets_py import (
    TarRunError,
    TarValidateError,
    any_of,
    tar_make,
    tar_newer,
    tar_older,
    tar_read,
    tar_timestamp,
)

SCRIPT = """
f = 1
pipeline = [tar_target("x", [1, 2]), tar_target("y", lambda x: x, pattern=map("x"))]
"""


def test_times_of_values(project):
    before = datetime.now(UTC) - timedelta(seconds=1)
    project.make(SCRIPT)
    time = tar_timestamp("x")
    assert before < time < datetime.now(UTC) + timedelta(seconds=1)
    assert time.tzinfo is UTC
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert [tar_timestamp(name) for name in ("nope", "f", "y")] == [epoch] * 3
    with pytest.raises(TarValidateError, match="needs the name"):
        tar_timestamp()


def test_newer_and_older(project):
    project.make(SCRIPT)
    now = datetime.now(UTC)
    week = timedelta(days=7)
    branches = list(project.records["y"].children)
    assert tar_newer(now + week) == []
    assert tar_newer(now - week) == ["x", *branches]
    assert tar_older(now + week) == ["x", *branches]
    assert tar_older(now - week) == []
    assert tar_newer(week, names=["x"]) == ["x"]
    assert tar_newer(now - week, names=any_of("y")) == []
    assert tar_newer((now - week).date().isoformat()) == ["x", *branches]
    assert tar_newer((now - week).astimezone().replace(tzinfo=None)) == ["x", *branches]


def test_the_very_time_counts_if_wanted(project):
    project.make(SCRIPT)
    time = tar_timestamp("x")
    assert tar_newer(time, names="x") == []
    assert tar_newer(time, names="x", inclusive=True) == ["x"]
    assert tar_older(time, names="x") == []
    assert tar_older(time, names="x", inclusive=True) == ["x"]


@pytest.mark.parametrize("time", ["yesterday", 5, None])
def test_what_is_no_time(project, time):
    with pytest.raises(TarValidateError, match="time must be a datetime"):
        tar_newer(time)


def test_a_target_may_ask_for_its_own_previous_time(project):
    project.script("""
    tar_option_set(cue=tar_cue("always"))
    pipeline = [
        tar_target("x", lambda: tar_timestamp().year), tar_target("y", lambda: tar_timestamp("y").year)
    ]
    """)
    for year in (1970, datetime.now(UTC).year):
        tar_make(callr_function=None, reporter="silent")
        assert (tar_read("x"), tar_read("y")) == (year, year)
    project.script('pipeline = [tar_target("x", lambda: tar_timestamp("y"))]')
    with pytest.raises(TarRunError, match="must not look into the data store"):
        tar_make(callr_function=None, reporter="silent")
