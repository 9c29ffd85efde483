import os
from pathlib import Path

import pytest

from targets_py import tar_option_get, tar_option_set
from targets_py.testing import tar_dir, tar_test


def test_a_folder_of_ones_own():
    before = Path.cwd()
    with tar_dir() as folder:
        assert Path.cwd() == folder
        Path("file").write_text("")
    assert Path.cwd() == before
    assert not folder.exists()


def test_the_folder_goes_after_an_error_too():
    before = Path.cwd()

    def fail():
        with tar_dir():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert Path.cwd() == before


def test_a_test_starts_afresh_and_leaves_nothing(monkeypatch):
    monkeypatch.setenv("TAR_PROJECT", "p")
    before = tar_option_get("seed")

    @tar_test
    def inside(value):
        """What it tests."""
        assert os.environ["TAR_ASK"] == "false"
        assert "TAR_PROJECT" not in os.environ
        assert tar_option_get("format") == "pickle"
        tar_option_set(seed=123)
        os.environ["TAR_CONFIG"] = "x"
        return value, Path.cwd()

    value, folder = inside(value=5)
    assert value == 5
    assert not folder.exists()
    assert tar_option_get("seed") == before
    assert os.environ["TAR_PROJECT"] == "p"
    assert "TAR_CONFIG" not in os.environ
    assert "TAR_ASK" not in os.environ
    assert inside.__doc__ == "What it tests."
