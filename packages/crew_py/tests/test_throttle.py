import math

import pytest

import crew_py


def test_the_first_poll_only_notes_the_time():
    throttle = crew_py.crew_throttle(seconds_min=1e-9, seconds_max=1e-9)
    assert throttle.polled is None
    assert throttle.poll() is False
    assert throttle.polled is not None
    assert throttle.poll() is True


def test_a_poll_within_the_interval_is_false_and_leaves_the_time():
    throttle = crew_py.crew_throttle(seconds_min=1000, seconds_max=1000)
    throttle.poll()
    noted = throttle.polled
    assert throttle.poll() is False
    assert throttle.polled == noted


def test_the_interval_grows_and_shrinks_between_its_limits():
    throttle = crew_py.crew_throttle(seconds_max=4, seconds_min=1, seconds_start=2, base=2)
    seen = []
    for change in [throttle.decelerate] * 2 + [throttle.accelerate] * 3:
        change()
        seen.append(throttle.seconds_interval)
    assert seen == [4, 4, 2, 1, 1]


def test_reset_makes_the_next_poll_true():
    throttle = crew_py.crew_throttle(seconds_max=2000, seconds_min=1000)
    throttle.poll()
    throttle.decelerate()
    throttle.reset()
    assert throttle.seconds_interval == 1000
    assert throttle.polled == -math.inf
    assert throttle.poll() is True


def test_update_resets_after_activity_and_decelerates_without():
    throttle = crew_py.crew_throttle(seconds_max=8, seconds_min=1)
    throttle.update(activity=False)
    throttle.update(activity=False)
    assert throttle.seconds_interval == 4
    throttle.update(activity=True)
    assert throttle.seconds_interval == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"seconds_min": 0},
        {"seconds_min": 2, "seconds_max": 1},
        {"seconds_start": 5, "seconds_max": 1},
        {"base": 1},
        {"seconds_max": math.nan},
    ],
)
def test_contradicting_arguments_are_refused(arguments):
    with pytest.raises(crew_py.crew_error):
        crew_py.crew_throttle(**arguments)
