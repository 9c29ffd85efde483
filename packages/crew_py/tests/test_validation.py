import math

import pytest

import crew_py
from crew_py import validation


def test_assert_passes_when_all_conditions_hold():
    crew_py.crew_assert(3, lambda x: x > 2, lambda x: x < 4)


@pytest.mark.parametrize("condition", [lambda x: x > 3, lambda x: None, lambda x: x.missing])
def test_assert_fails_when_a_condition_is_false_or_raises(condition):
    with pytest.raises(crew_py.crew_error, match="told so"):
        crew_py.crew_assert(3, condition, message="told so")


def test_assert_without_conditions_wants_a_true_value():
    crew_py.crew_assert(True)
    with pytest.raises(crew_py.crew_error, match="does not meet"):
        crew_py.crew_assert(None)


def test_deprecate_says_nothing_about_what_was_not_used():
    crew_py.crew_deprecate("argument", "2026-01-01", "0.1.0", "another", value=None)


def test_deprecate_names_the_alternative():
    with pytest.warns(crew_py.crew_deprecate_warning, match=r"argument .*2026-01-01.*0\.1\.0.*another"):
        crew_py.crew_deprecate("argument", "2026-01-01", "0.1.0", "another")
    with pytest.raises(crew_py.crew_error, match="another"):
        crew_py.crew_deprecate("argument", "2026-01-01", "0.1.0", "another", condition="error")


def test_deprecate_once_speaks_once_per_name(capsys):
    for _ in range(2):
        crew_py.crew_deprecate("seldom", "2026", "0.1.0", "x", condition="message", frequency="once")
    assert capsys.readouterr().err.count("seldom") == 1


@pytest.mark.parametrize(
    ("check", "value", "builtin"),
    [
        (validation.number, math.nan, ValueError),
        (validation.number, "1", TypeError),
        (validation.number, True, TypeError),
        (validation.finite, math.inf, ValueError),
        (validation.whole, 1.5, ValueError),
        (validation.whole, -1, ValueError),
        (validation.whole, None, TypeError),
        (validation.flag, 1, TypeError),
        (validation.text, "", ValueError),
        (validation.text, 5, TypeError),
        (validation.texts, [1], TypeError),
        (validation.named, [("a", 1)], TypeError),
        (validation.named, {1: 2}, TypeError),
        (validation.path, 5, TypeError),
    ],
)
def test_a_bad_argument_is_named(check, value, builtin):
    with pytest.raises(crew_py.crew_error, match="`argument`") as caught:
        check("argument", value)
    assert isinstance(caught.value, builtin)


def test_good_arguments_are_returned_in_one_form():
    assert validation.whole("n", 3.0) == 3
    assert validation.whole_or_inf("n", math.inf) == math.inf
    assert validation.texts("names", "one") == ("one",)
    assert validation.named("data", None) == {}
