import subprocess
import sys

import pytest

import autometric_py
from autometric_py import support


def test_this_machine_is_supported():
    assert autometric_py.log_support()


@pytest.fixture
def unsupported(monkeypatch):
    monkeypatch.setenv("AUTOMETRIC_MOCK_NO_SUPPORT", "1")


@pytest.mark.usefixtures("unsupported")
@pytest.mark.parametrize("function", [autometric_py.log_start, autometric_py.log_print])
def test_without_support_logging_raises(function, tmp_path):
    with pytest.raises(autometric_py.AutometricError, match="AUTOMETRIC_MOCK_NO_SUPPORT"):
        function(tmp_path / "x.log", seconds=0.1)
    assert not autometric_py.log_support()


@pytest.mark.usefixtures("unsupported")
@pytest.mark.parametrize("function", [autometric_py.log_start, autometric_py.log_print])
def test_without_support_nothing_happens_when_asked_so(function, tmp_path, monkeypatch):
    function(tmp_path / "x.log", seconds=0.1, error=False)
    monkeypatch.setenv("AUTOMETRIC_ERROR", "0")
    function(tmp_path / "x.log", seconds=0.1, error=None)
    assert not autometric_py.log_active()
    assert not (tmp_path / "x.log").exists()


@pytest.mark.usefixtures("unsupported")
def test_the_handle_of_a_log_that_did_not_start_is_inactive(tmp_path):
    with autometric_py.log_start(tmp_path / "x.log", error=False) as log:
        assert not log.active
        assert log.sampler_pid is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [("platform", "emscripten", "emscripten"), ("folder_of", lambda _: None, "psutil")],
)
def test_what_stands_in_the_way_is_named(monkeypatch, name, value, reason):
    monkeypatch.setattr(support.sys if name == "platform" else support, name, value)
    assert not autometric_py.log_support()
    assert reason in support.why_unsupported()


def test_the_import_is_light():
    heavy = {"psutil", "polars", "matplotlib", "numpy"}
    code = f"import sys, autometric_py; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert autometric_py.log_version() == version("autometric-py")
