import doctest
import importlib
import inspect
import pkgutil

import pytest

import nngsock

MODULES = [m.name for m in pkgutil.walk_packages(nngsock.__path__, "nngsock.")]
# The packages that modules of extras need, by how the module's name begins.
NEEDS = {
    "nngsock.cert": "cryptography",
    "nngsock.http": "aiohttp",
    "nngsock.rserial": "rdata",
    "nngsock.rwriting": "rdata",
}


def needed_by(module):
    return [package for start, package in NEEDS.items() if module.startswith(start)]


def imported(module):
    for package in needed_by(module):
        pytest.importorskip(package)
    return importlib.import_module(module)


def test_everything_that_is_exported_exists_and_is_documented():
    assert isinstance(nngsock.__all__, tuple)
    assert len(set(nngsock.__all__)) == len(nngsock.__all__)
    for name in nngsock.__all__:
        value = getattr(nngsock, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__doc__, name


@pytest.mark.parametrize("name", [n for n in nngsock.__all__ if inspect.isfunction(getattr(nngsock, n))])
def test_every_function_has_an_example(name):
    assert "    >>> " in getattr(nngsock, name).__doc__


def test_nothing_public_is_forgotten():
    exported = set(nngsock.__all__)
    for name, value in vars(nngsock).items():
        if not name.startswith("_") and not inspect.ismodule(value):
            assert name in exported, name


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_the_docstrings_run(module):
    results = doctest.testmod(imported(module), extraglobs={"nngsock": nngsock})
    assert results.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(m) for m in MODULES if not needed_by(m)]
    examples = [t for m in modules for t in finder.find(m) if t.examples]
    assert len(examples) > 10
