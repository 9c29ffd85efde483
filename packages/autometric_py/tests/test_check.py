import os
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import autometric_py
from autometric_py.check import check_extras, check_label, check_path, check_pids, check_seconds


@pytest.mark.parametrize("path", [None, 3, ["a", "b"], b"x"])
def test_a_path_is_one_text(path):
    with pytest.raises(TypeError, match="path"):
        check_path(path)


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_names_a_file(path):
    with pytest.raises(ValueError, match="path"):
        check_path(path)


def test_a_path_is_made_absolute():
    assert check_path(Path("x") / ".." / "y.log") == str(Path.cwd() / "y.log")
    assert check_path("/dev/stdout") == "/dev/stdout"


@pytest.mark.parametrize("seconds", [0, -1, 0.0, float("nan"), float("inf")])
def test_an_interval_is_positive_and_finite(seconds):
    with pytest.raises(ValueError, match="seconds"):
        check_seconds(seconds)


@pytest.mark.parametrize("seconds", [True, "1", None, [1], Decimal(1)])
def test_an_interval_is_a_number(seconds):
    with pytest.raises(TypeError, match="seconds"):
        check_seconds(seconds)


@pytest.mark.parametrize(
    ("pids", "pairs"),
    [
        (None, (("local", os.getpid()),)),
        (12, (("", 12),)),
        (np.int64(12), (("", 12),)),
        ([1, 2], (("", 1), ("", 2))),
        (range(3, 5), (("", 3), ("", 4))),
        (np.array([7, 8]), (("", 7), ("", 8))),
        ({"a": 1, "b": 2}, (("a", 1), ("b", 2))),
        ([("a", 1), ("a", 2)], (("a", 1), ("a", 2))),
        ({"#1 'quoted'": 1}, (("#1 'quoted'", 1),)),
    ],
)
def test_pids_come_in_many_forms(pids, pairs):
    assert check_pids(pids) == pairs


@pytest.mark.parametrize("pids", [[], {}, -1, [1, -2], {"a|b": 1}, {"a\nb": 1}, [("a", 1, 2)]])
def test_pids_that_cannot_be(pids):
    with pytest.raises(ValueError, match=r"pids|name"):
        check_pids(pids)


@pytest.mark.parametrize("pids", [True, 1.5, 2.0, "12", [True], {"a": "1"}, {1: 2}, [None]])
def test_pids_of_the_wrong_type(pids):
    with pytest.raises(TypeError, match=r"pids|name"):
        check_pids(pids)


@pytest.mark.parametrize("label", ["a|b", "a\nb", "a\rb", "x__AUTOMETRIC__y", "\ud800"])
def test_a_label_must_fit_a_field(label):
    with pytest.raises(ValueError, match="phase"):
        check_label("phase", label)


@pytest.mark.parametrize("label", [None, 3, b"x"])
def test_a_label_is_a_text(label):
    with pytest.raises(TypeError, match="phase"):
        check_label("phase", label)


def test_extra_columns_have_one_order():
    assert check_extras(["written", "threads"]) == ("threads", "written")
    assert check_extras("files") == ("files",)
    with pytest.raises(ValueError, match=r"threads.*not 'thread'"):
        check_extras(["thread"])


@pytest.mark.parametrize("function", [autometric_py.log_start, autometric_py.log_print])
def test_all_errors_derive_from_one_base(function, tmp_path):
    with pytest.raises(autometric_py.AutometricError):
        function(tmp_path / "x.log", seconds=0)
    with pytest.raises(autometric_py.AutometricError):
        function(None)
    with pytest.raises(ValueError, match="error"):
        function(tmp_path / "x.log", error="yes")
    assert not autometric_py.log_active()
    assert not (tmp_path / "x.log").exists()


def test_an_unknown_mode_names_the_choices(tmp_path):
    with pytest.raises(ValueError, match="'process', 'thread'"):
        autometric_py.log_start(tmp_path / "x.log", mode="greenlet")
