import math

import pytest

from crew_py.scaling import LaunchRound, plan, vanished


class Pool:
    """Apply plan after plan, as a launcher does."""

    def __init__(self, workers, seconds_launch):
        self.workers, self.seconds_launch = workers, seconds_launch
        self.rounds, self.failed = (), 0

    def scale(self, now, *, connections=0, cumulative=0, awaiting=0, executing=0):
        status = {
            "connections": connections,
            "cumulative": cumulative,
            "awaiting": awaiting,
            "executing": executing,
        }
        planned = plan(
            status,
            self.rounds,
            self.failed,
            workers=self.workers,
            seconds_launch=self.seconds_launch,
            now=now,
        )
        self.rounds, self.failed = planned.rounds, planned.failed
        self.launch(planned.n, now)
        return planned.n

    def launch(self, n, now):
        if n:
            self.rounds += (LaunchRound(None, now, n, self.total + n),)

    @property
    def total(self):
        return self.rounds[-1].total if self.rounds else 0


def test_the_trace_measured_on_the_original():
    pool = Pool(workers=5, seconds_launch=2)
    assert pool.scale(0.0, awaiting=3) == 3
    assert pool.total == 3
    assert pool.scale(0.1, awaiting=3) == 0
    assert pool.scale(0.2, awaiting=20) == 2
    assert pool.total == 5
    assert pool.scale(0.3, connections=2, cumulative=2, awaiting=20) == 0
    assert pool.scale(2.5, connections=2, cumulative=2, awaiting=18, executing=2) == 3
    assert (pool.failed, pool.total) == (3, 8)
    assert pool.scale(2.6, connections=5, cumulative=5, awaiting=15, executing=5) == 0
    assert [r.total for r in pool.rounds] == [5, 8]
    assert pool.scale(2.7, connections=4, cumulative=5, awaiting=15, executing=4) == 1
    assert pool.total == 9
    assert pool.scale(2.8, connections=4, cumulative=5) == 0
    assert pool.scale(2.9, connections=7, cumulative=8, awaiting=15, executing=7) == 0
    assert pool.scale(9.0, connections=0, cumulative=8, awaiting=1) == 1
    assert pool.total == 10


def test_the_last_round_is_never_forgotten():
    pool = Pool(workers=1, seconds_launch=30)
    pool.scale(0.0, awaiting=1)
    pool.scale(0.1, connections=1, cumulative=1, executing=1)
    pool.scale(0.2, connections=0, cumulative=1)
    assert pool.total == 1
    assert pool.scale(0.3, connections=0, cumulative=1, awaiting=1) == 1
    assert pool.scale(0.4, connections=0, cumulative=1, awaiting=1) == 0
    assert pool.total == 2


def test_workers_launched_by_hand_count_as_supply():
    pool = Pool(workers=4, seconds_launch=30)
    pool.launch(2, 0.0)
    assert pool.scale(0.1, awaiting=3) == 1


def test_zero_workers_never_launch():
    assert Pool(workers=0, seconds_launch=30).scale(0.0, awaiting=10) == 0


def test_failed_workers_that_come_late_may_exceed_the_limit_and_launch_nothing():
    pool = Pool(workers=1, seconds_launch=1)
    pool.scale(0.0, awaiting=5)
    assert pool.scale(2.0, awaiting=5) == 1
    assert pool.failed == 1
    assert pool.scale(2.1, connections=2, cumulative=2, awaiting=5) == 0


def test_without_a_limit_workers_are_waited_for():
    pool = Pool(workers=1, seconds_launch=math.inf)
    pool.scale(0.0, awaiting=1)
    assert pool.scale(1e9, awaiting=1) == 0


@pytest.mark.parametrize(
    ("connections", "cumulative", "total", "failed", "alive", "expected"),
    [
        (0, 0, 1, 0, 0, 1),  # the only worker has ended
        (0, 0, 1, 0, 1, 0),  # it is still on its way
        (1, 1, 2, 0, 1, 1),  # one works, the other has ended
        (1, 1, 3, 0, 2, 1),  # one works, one is on its way
        (0, 1, 1, 0, 0, 0),  # it worked and left
        (0, 0, 2, 2, 0, 0),  # known already
        (1, 1, 1, 0, 0, 0),  # its connection outlives it for a moment
        (3, 3, 1, 0, 1, 0),  # workers that someone else started
    ],
)
def test_vanished_workers_are_those_that_can_no_longer_come(
    connections, cumulative, total, failed, alive, expected
):
    status = {"connections": connections, "cumulative": cumulative}
    assert vanished(status, total, failed, alive) == expected
