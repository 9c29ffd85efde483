"""The examples in docstrings, and in the README, run."""

import doctest
import inspect
import re
from pathlib import Path

import pytest

import autometric_py

DOCUMENTED = [
    name
    for name in autometric_py.__all__
    if callable(getattr(autometric_py, name)) and name.startswith("log_")
]


@pytest.mark.parametrize("name", [*DOCUMENTED, "LogHandle"])
def test_the_example_of_a_function_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {n: getattr(autometric_py, n) for n in autometric_py.__all__}
    text = inspect.getdoc(getattr(autometric_py, name))
    test = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    assert test.examples, f"{name} has no example"
    output = []
    result = doctest.DocTestRunner().run(test, out=output.append)
    assert result.failed == 0, "".join(output)


@pytest.mark.parametrize("name", [n for n in DOCUMENTED if n != "log_scan"])
def test_every_argument_is_documented(name):
    function = getattr(autometric_py, name)
    text = inspect.getdoc(function)
    for argument in inspect.signature(function).parameters:
        assert re.search(rf"^\s+\**{argument}: ", text, re.MULTILINE), argument


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    readme = Path(__file__).parents[1] / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(block, str(readme), "exec"), names)
    assert names["ax"].get_title().startswith("process ID: ")
