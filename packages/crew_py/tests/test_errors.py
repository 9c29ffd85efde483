import pytest

import crew_py


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (crew_py.CrewValueError, ValueError),
        (crew_py.CrewTypeError, TypeError),
        (crew_py.CrewExpireError, TimeoutError),
        (crew_py.CrewLaunchError, RuntimeError),
        (crew_py.CrewCrashError, RuntimeError),
    ],
)
def test_every_exception_is_a_crew_error_and_a_builtin_one(error, builtin):
    assert issubclass(error, crew_py.crew_error)
    assert issubclass(error, builtin)


def test_an_error_carries_no_rows_by_default():
    assert crew_py.crew_error("message").result is None


def test_names_of_the_original_are_the_same_classes():
    assert crew_py.crew_error is crew_py.CrewError
    assert crew_py.crew_expire is crew_py.CrewExpireError
    assert issubclass(crew_py.crew_deprecate_warning, DeprecationWarning)
    assert issubclass(crew_py.crew_deprecate_warning, crew_py.crew_warning)
