"""The package as a whole: what it exports, and what importing it costs."""

import subprocess
import sys

import pytest

import targets_py


def modules_after(code):
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(shown.stdout.split())


@pytest.mark.parametrize("code", ["import targets_py", "from targets_py import *", "import targets_py.make"])
def test_importing_is_cheap(code):
    heavy = {"polars", "rich", "click", "crew_py", "numpy", "yaml", "pandas", "pyarrow", "matplotlib"}
    assert not modules_after(code) & heavy


def test_the_command_line_imports_nothing_but_click():
    assert not modules_after("import targets_py.cli") & {
        "polars",
        "rich",
        "crew_py",
        "numpy",
        "cloudpickle",
        "yaml",
    }


@pytest.mark.parametrize("name", targets_py.__all__)
def test_every_exported_name_is_there_and_documented(name):
    value = getattr(targets_py, name)
    assert name in dir(targets_py)
    if callable(value):
        assert value.__doc__


def test_a_star_import_keeps_the_builtins_usable():
    namespace = {}
    exec("from targets_py import *\nxs = list(map(str, [1]))\npart = [1, 2, 3][slice(1, 3)]", namespace)
    assert namespace["xs"] == ["1"]
    assert namespace["part"] == [2, 3]
