import pytest

import crew_py


def test_it_calls_until_the_function_returns_exactly_true():
    answers = iter([1, None, "yes", True])
    crew_py.crew_retry(lambda: next(answers), seconds_interval=0)
    assert next(answers, "none left") == "none left"


def test_it_calls_once_even_without_time():
    calls = []
    with pytest.raises(crew_py.crew_expire, match="so long"):
        crew_py.crew_retry(lambda: calls.append(1), seconds_timeout=0, message="so long")
    assert len(calls) == 1


def test_max_tries_is_the_number_of_calls():
    calls = []
    with pytest.raises(crew_py.crew_expire, match="5 tries"):
        crew_py.crew_retry(lambda: calls.append(1), seconds_interval=0, max_tries=5)
    assert len(calls) == 5


def test_error_false_returns_none():
    assert crew_py.crew_retry(lambda: False, seconds_interval=0, max_tries=2, error=False) is None


@pytest.mark.parametrize("args", [[2, 2], {"a": 2, "b": 2}])
def test_arguments_are_passed(args):
    crew_py.crew_retry(lambda a, b: a == b, args=args)


def test_arguments_are_checked():
    with pytest.raises(crew_py.crew_error, match="`fun`"):
        crew_py.crew_retry(3)
    with pytest.raises(crew_py.crew_error, match="`seconds_interval`"):
        crew_py.crew_retry(lambda: True, seconds_interval=-1)
