import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import mirai_py


def test_everything_public_is_there_documented_and_listed_once():
    assert isinstance(mirai_py.__all__, tuple)
    assert len(set(mirai_py.__all__)) == len(mirai_py.__all__)
    for name in mirai_py.__all__:
        value = getattr(mirai_py, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert inspect.getdoc(value), name


def test_every_function_and_every_class_that_is_no_exception_has_an_example():
    lacking = []
    for name in mirai_py.__all__:
        value = getattr(mirai_py, name)
        is_exception = inspect.isclass(value) and issubclass(value, BaseException)
        if not callable(value) or is_exception or not value.__module__.startswith("mirai_py"):
            continue
        if inspect.isabstract(value):
            continue  # what makes its subclasses has one
        if ">>> " not in inspect.getdoc(value):
            lacking.append(name)
    assert lacking == []


def test_importing_it_imports_nothing_heavy():
    source = (
        "import sys, mirai_py; print(*{'numpy', 'polars', 'pandas', 'rich', 'psutil'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", source], text=True).strip() == ""


MODULES = [found.name for found in pkgutil.walk_packages(mirai_py.__path__, "mirai_py.")]
EXTRAS = {"mirai_py.joblib_backend": "joblib", "mirai_py.spans": "opentelemetry"}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_run(name, monkeypatch):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    module = importlib.import_module(name)
    monkeypatch.setattr(mirai_py.custom, "_registered", None)  # what an example registers ends with it
    found = doctest.testmod(module, extraglobs={name: getattr(mirai_py, name) for name in mirai_py.__all__})
    assert not found.failed


def test_the_promised_types_are_checked():
    """By `nox -s types`; here too, where a checker is installed."""
    from pathlib import Path

    pytest.importorskip("mypy", reason="`nox -s types` checks them")
    file = Path(__file__).with_name("typed_api.py")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", str(file)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
