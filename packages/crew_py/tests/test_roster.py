import pytest

from crew_py import roster
from crew_py.roster import Roster, Streak, last_words
from crew_py.scaling import LaunchRound


class Handle:
    def __init__(self, alive=True, pid=7, status=None, log=None, text=""):
        self.alive, self.pid, self.status, self.log, self.text = alive, pid, status, log, text

    def is_alive(self):
        return self.alive

    def get_pid(self):
        return self.pid

    def get_exit_status(self):
        return self.status

    def tail(self):
        return self.text


class Job:
    lost = False

    def failed(self):
        return self.lost


@pytest.fixture(autouse=True)
def no_settling(monkeypatch):
    monkeypatch.setattr(roster, "SETTLED_SECONDS", 0.0)


def status(connections=0, cumulative=0):
    return {"connections": connections, "cumulative": cumulative}


def test_a_process_that_ended_without_connecting_has_failed_once():
    workers = Roster()
    handle = Handle()
    workers.add([handle], 1)
    assert workers.newly_failed(status(), total=1, failed=0) == 0
    handle.alive = False
    assert workers.newly_failed(status(), total=1, failed=0) == 1
    assert workers.newly_failed(status(), total=1, failed=1) == 0
    assert workers.exited == 1
    assert workers.last is handle


def test_an_end_counts_only_when_its_connections_end_must_be_known(monkeypatch):
    monkeypatch.setattr(roster, "SETTLED_SECONDS", 1000.0)
    workers = Roster()
    workers.add([Handle(alive=False)], 1)
    assert workers.newly_failed(status(), total=1, failed=0) == 0


def test_a_process_that_connected_and_left_has_not_failed():
    workers = Roster()
    workers.add([Handle(alive=False), Handle()], 2)
    assert workers.newly_failed(status(0, 1), total=2, failed=0) == 0


def test_a_handle_may_say_itself_that_it_failed():
    workers = Roster()
    job = Job()
    workers.add(job, 3)
    assert workers.newly_failed(status(), total=3, failed=0) == 0
    job.lost = True
    assert workers.newly_failed(status(1, 1), total=3, failed=0) == 2


def test_handles_that_tell_nothing_are_not_judged():
    workers = Roster()
    workers.add([{"call": "x"}, Handle(alive=False)], 2)
    assert workers.newly_failed(status(), total=2, failed=0) == 0


def rounds(*counts):
    total, found = 0, []
    for count in counts:
        total += count
        found.append(LaunchRound(None, 0.0, count, total))
    return found


def test_rounds_without_any_connection_are_counted():
    streak = Streak()
    for n in range(1, 4):
        streak.judge(rounds(*[2] * n), cumulative=0, failed=2 * n, exited=0)
    assert (streak.rounds, streak.exits) == (3, 0)


def test_a_round_counts_once_and_only_when_it_is_over():
    streak = Streak()
    for failed in (1, 2, 2):
        streak.judge(rounds(2), cumulative=0, failed=failed, exited=failed)
    assert (streak.rounds, streak.exits) == (1, 1)


def test_any_connection_ends_the_streak():
    streak = Streak()
    streak.judge(rounds(1, 1), cumulative=0, failed=2, exited=2)
    streak.judge(rounds(1, 1, 1), cumulative=1, failed=2, exited=2)
    assert (streak.rounds, streak.exits) == (0, 0)


def test_a_worker_that_was_only_late_ends_the_streak_of_exits():
    streak = Streak()
    streak.judge(rounds(1), cumulative=0, failed=1, exited=1)
    streak.judge(rounds(1, 1), cumulative=0, failed=2, exited=1)
    assert (streak.rounds, streak.exits) == (2, 0)


def test_last_words_tell_how_a_process_ended():
    words = last_words(Handle(status=3, log="/x.log", text="no module"))
    assert words == "worker process 7 exited with code 3; log: /x.log; last lines of its output:\nno module"
    assert "was ended by SIGKILL" in last_words(Handle(status=-9))
    assert last_words({"call": "x"}) == ""
