import pickle
import re

import pytest

from targets_py.errors import TarValidateError, TarWarning
from targets_py.selection import (
    all_of,
    any_of,
    contains,
    ends_with,
    everything,
    last_col,
    matches,
    num_range,
    one_of,
    starts_with,
    tar_tidyselect_eval,
)

NAMES = ["data", "fit_1", "fit_2", "x1", "x2", "x10", "Alpha", "report"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, None),
        ("data", ["data"]),
        ("fit_*", ["fit_1", "fit_2"]),
        ("x?", ["x1", "x2"]),
        ("x[12]", ["x1", "x2"]),
        ("nothing_*", []),
        ("alpha*", []),
        ("!fit_*", ["data", "x1", "x2", "x10", "Alpha", "report"]),
        (re.compile("^x"), ["x1", "x2", "x10"]),
        (lambda name: name.endswith("2"), ["fit_2", "x2"]),
        (starts_with("a"), ["Alpha"]),
        (starts_with("a", ignore_case=False), []),
        (starts_with("fit", "rep"), ["fit_1", "fit_2", "report"]),
        (starts_with("."), []),
        (ends_with("T"), ["report"]),
        (contains("ph", "it"), ["fit_1", "fit_2", "Alpha"]),
        (contains(), []),
        (matches("^X[0-9]$"), ["x1", "x2"]),
        (matches(re.compile("^X")), []),
        (all_of(["x2", "data", "x2"]), ["x2", "data"]),
        (any_of(["x2", "nope"]), ["x2"]),
        (num_range("x", range(1, 4)), ["x1", "x2"]),
        (num_range("x", [10], width=2), ["x10"]),
        (num_range("x", [1], width=2), []),
        (everything(), NAMES),
        (last_col(), ["report"]),
        (last_col(offset=1), ["Alpha"]),
        (["report", "data"], ["report", "data"]),
        (["x*", "x1", "!x2"], ["x1", "x10"]),
        (["!x*", "!fit_*"], ["data", "Alpha", "report"]),
        (starts_with("x") | "data", ["x1", "x2", "x10", "data"]),
        ("data" | starts_with("x"), ["data", "x1", "x2", "x10"]),
        (starts_with("x") & "x2", ["x2"]),
        (starts_with("x") - "x2", ["x1", "x10"]),
        ("x*" - any_of("x1"), ["x2", "x10"]),
        (~starts_with("x", "fit", "a"), ["data", "report"]),
        ([], []),
    ],
)
def test_selectors(selector, expected):
    assert tar_tidyselect_eval(selector, NAMES) == expected


def test_an_exact_name_beats_a_glob():
    assert tar_tidyselect_eval("a[1]", ["a[1]", "a1"]) == ["a[1]"]


@pytest.mark.parametrize(
    "selector", ["dta", "!dta", ["data", "dta"], all_of("dta"), starts_with("x") | "dta"]
)
def test_an_unknown_name_is_named_with_what_comes_close(selector):
    with pytest.raises(TarValidateError, match=r"unknown name 'dta'.*'data'.*There are: data, fit_1"):
        tar_tidyselect_eval(selector, NAMES)
    assert "dta" not in tar_tidyselect_eval(selector, NAMES, strict=False)


def test_many_choices_are_not_listed():
    with pytest.raises(TarValidateError) as caught:
        tar_tidyselect_eval("nope", [f"target{i}" for i in range(20)])
    assert "There are" not in str(caught.value)


def test_nothing_to_choose_from_is_no_error():
    assert tar_tidyselect_eval("x", []) == []


def test_one_of_warns_about_unknown_names():
    with pytest.warns(TarWarning, match="nope"):
        assert tar_tidyselect_eval(one_of("data", "nope"), NAMES) == ["data"]


def test_last_col_beyond_the_first_name():
    with pytest.raises(TarValidateError, match="only 8 names"):
        tar_tidyselect_eval(last_col(offset=8), NAMES)
    with pytest.raises(TarValidateError, match="0 or more"):
        last_col(offset=-1)


@pytest.mark.parametrize("selector", [3, ["data", 3.5]])
def test_what_is_no_selector(selector):
    with pytest.raises(TarValidateError, match=r"cannot select names by 3"):
        tar_tidyselect_eval(selector, NAMES)


def test_bad_arguments_of_helpers():
    with pytest.raises(TarValidateError, match="must be a str, not 1"):
        any_of(["data", 1])
    with pytest.raises(TarValidateError, match="not a regular expression"):
        matches("(")


def test_selections_travel_and_show_what_they_are():
    selection = (starts_with("fit") | any_of(["data"])) - "fit_2"
    copy = pickle.loads(pickle.dumps(selection))
    assert tar_tidyselect_eval(copy, NAMES) == ["fit_1", "data"]
    assert repr(selection) == "((starts_with('fit') | any_of(['data'])) - 'fit_2')"


def test_a_long_list_of_names_is_quick():
    names = [f"target_{i}" for i in range(20_000)]
    assert tar_tidyselect_eval(names[::-1], names) == names[::-1]
