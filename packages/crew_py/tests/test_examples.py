"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import crew_py

MODULES = [module.name for module in pkgutil.iter_modules(crew_py.__path__)]
NAMES = {name: getattr(crew_py, name) for name in crew_py.__all__} | {
    "subprocess": subprocess,
    "sys": sys,
}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_say(name):
    module = importlib.import_module(f"crew_py.{name}")
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    report = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=NAMES):
        if any("crew_rng" in example.source for example in test.examples):
            pytest.importorskip("numpy")
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
