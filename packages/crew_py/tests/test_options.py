import importlib.util
import math
from pathlib import Path

import pytest

import crew_py


def test_local_options_expand_the_home_folder():
    options = crew_py.crew_options_local(log_directory="~/logs", log_join=False)
    assert options.directory() == Path.home() / "logs"
    assert options.log_join is False
    assert crew_py.crew_options_local().directory() is None


@pytest.mark.parametrize("arguments", [{"log_directory": 1}, {"log_directory": ""}, {"log_join": 1}])
def test_local_options_are_checked(arguments):
    with pytest.raises(crew_py.crew_error):
        crew_py.crew_options_local(**arguments)


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan, "1"])
def test_the_interval_of_metrics_is_checked(seconds):
    with pytest.raises(crew_py.crew_error, match="`seconds_interval`"):
        crew_py.crew_options_metrics(seconds_interval=seconds)


def test_metrics_without_autometric_name_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(crew_py.crew_error, match=r"crew-py\[metrics\]"):
        crew_py.crew_options_metrics(path="logs")
    assert crew_py.crew_options_metrics(path=None).path is None


def test_the_call_makes_the_same_options_even_where_autometric_is_missing(monkeypatch):
    options = crew_py.crew_options_metrics(path="logs", seconds_interval=2, validate=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert eval(options.call(), {"crew_py": crew_py}) == options
    assert eval(crew_py.crew_options_metrics().call(), {"crew_py": crew_py}).path is None


def test_devices_are_refused_on_windows(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(crew_py.crew_error, match="Windows"):
        crew_py.crew_options_metrics(path="/dev/stdout", validate=False)
