import pytest

import nngsock
from crew_py.inbox import Inbox, crash_error
from crew_py.monad import FIELDS

CRASH = nngsock.ErrorValue(19, {"pid": 7})


class Handle:
    def __init__(self, data):
        self.data = data

    def done(self):
        return True


def record(name, **fields):
    return dict.fromkeys(FIELDS) | {"name": name, "status": "success", "code": 0} | fields


@pytest.fixture
def inbox():
    return Inbox("main", 2, lambda pid: None)


def add(inbox, **values):
    for name, value in values.items():
        inbox.table.add(name, Handle(value), "1", (), None, None)


def test_crashes_in_a_row_are_counted_and_any_other_outcome_clears_them(inbox):
    for expected in (1, 2):
        add(inbox, a=CRASH)
        assert inbox.take_oldest()["crashes"] == expected
        assert inbox.crashes("a") == expected
    add(inbox, a=nngsock.ErrorValue(5))
    inbox.take_oldest()
    assert inbox.crashes("a") == 0


def test_the_crash_beyond_the_limit_is_final(inbox):
    found = []
    for _ in range(3):
        add(inbox, a=CRASH)
        found.append(inbox.take_oldest()["final"])
    assert found == [False, False, True]


def test_only_the_offender_is_taken(inbox):
    for _ in range(2):
        add(inbox, bad=CRASH)
        inbox.take_all()
    add(inbox, one=record("one"), bad=CRASH, two=record("two"))
    assert inbox.take_offender()["name"] == "bad"
    assert inbox.take_offender() is None
    assert [monad["name"] for monad in inbox.take_all()] == ["one", "two"]
    assert inbox.tally.crash == 3


def test_totals_count_what_was_taken(inbox):
    add(
        inbox,
        a=record("a", seconds=1.5, warnings="w"),
        b=record("b", status="error", seconds=0.5),
        c=CRASH,
        d=nngsock.ErrorValue(20),
    )
    assert inbox.tally.tasks == 0
    inbox.take_all()
    tally = inbox.tally
    assert (tally.tasks, tally.success, tally.error, tally.crash, tally.cancel) == (4, 1, 1, 1, 1)
    assert (tally.seconds, tally.warning) == (2.0, 1)


def test_clear_keeps_the_totals_alone(inbox):
    add(inbox, a=CRASH)
    inbox.take_all()
    add(inbox, b=CRASH)
    inbox.clear()
    assert len(inbox.table) == inbox.crashes("a") == 0
    assert inbox.tally.tasks == 1


def test_the_exception_says_what_to_do(inbox):
    add(inbox, a=CRASH)
    monad = inbox.take_oldest() | {"log": "/x.log"}
    error = crash_error(monad, 0)
    assert (error.name, error.crashes, error.log) == ("a", 1, "/x.log")
    assert "'a'" in str(error)
    assert "'main'" in str(error)
    assert "log" in str(error)
