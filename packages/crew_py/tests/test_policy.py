import pytest

import crew_py
from crew_py import policy

GOOD = {"name": "good", "status": "success", "error": None, "warnings": None}
BAD = {"name": "bad", "status": "error", "error": "zap", "warnings": "careful"}


@pytest.mark.parametrize("error", [None, "silent"])
def test_silent_does_nothing(error):
    assert policy.first_failure([BAD], error) is None


def test_stop_gives_the_first_message():
    failure = policy.first_failure([GOOD, BAD], "stop")
    assert isinstance(failure, crew_py.crew_error)
    assert "zap" in str(failure)
    assert policy.first_failure([GOOD], "stop") is None


def test_warn_warns():
    with pytest.warns(crew_py.crew_warning, match="zap"):
        assert policy.first_failure([GOOD, BAD], "warn") is None


def test_a_map_counts_its_failures():
    failure = policy.map_failures([BAD, GOOD, BAD], "stop")
    assert "2 tasks were not successful. First error message: zap" in str(failure)
    assert policy.map_failures([BAD], "silent") is None
    with pytest.warns(crew_py.crew_warning, match="1 tasks were not"):
        assert policy.map_failures([BAD], "warn") is None


def test_warnings_of_tasks_are_told_once():
    policy.warn_of_warnings([GOOD])
    with pytest.warns(crew_py.crew_warning, match="2 tasks encountered warnings.*careful"):
        policy.warn_of_warnings([BAD, GOOD, BAD])


def test_an_unknown_mode_is_refused():
    with pytest.raises(crew_py.crew_error, match="`error`"):
        policy.check_mode("loud")
    with pytest.raises(crew_py.crew_error, match="`error`"):
        policy.check_mode(None, optional=False)
