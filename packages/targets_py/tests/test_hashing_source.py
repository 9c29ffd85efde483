import linecache
import sys
import textwrap
import types

import pytest

from targets_py.errors import TarValidateError
from targets_py.hashing.source import SourceIndex
from targets_py.hashing.tree import canonical


def run(source, path="script.py"):
    source = textwrap.dedent(source)
    namespace = {"__name__": "script_under_test"}
    exec(compile(source, path, "exec"), namespace)
    return namespace, SourceIndex({path: source})


def forms(functions, index):
    return [canonical(index.function(f.__code__, f.__globals__)) for f in functions]


@pytest.mark.parametrize(
    "line",
    [
        "[lambda x: x + 1, lambda x: x + 2]",
        "[lambda: 5, lambda: 6]",
        "[lambda: 5, lambda: '5', lambda: 5.0, lambda: None]",
        "[lambda: -5, lambda: -6]",
        "[lambda: (1, 2), lambda: (1, 3)]",
        "[lambda x: x, lambda y: y]",
        "[lambda *a: a, lambda **a: a]",
        "[lambda: (lambda: 1), lambda: (lambda: 2)]",
        "[f := (lambda: (lambda: 5)), f()]",
        "[f := (lambda a: lambda b: a + b), f(1)]",
        "[lambda x=(lambda: 1): x, lambda x=(lambda: 2): x]",
        "[(lambda: y)() or (lambda: y) for y in (0,)] + [lambda: 1]",
        "[lambda x: (x +\n    1), lambda x: (x -\n    1)]",
        "[lambda é: é, lambda x: 'ü' + x, lambda x: 'ä' + x]",
    ],
)
def test_lambdas_on_one_line_are_told_apart(line):
    namespace, index = run(f"found = {line}")
    found = forms(namespace["found"], index)

    assert len(set(found)) == len(found)


@pytest.mark.skipif(sys.version_info[:2] != (3, 12), reason="other versions keep the columns of constants")
def test_lambdas_of_constants_that_nothing_tells_apart_are_refused():
    namespace, index = run("found = [lambda x=(lambda: 1): 2, lambda x=(lambda: 2): 2]")
    with pytest.raises(TarValidateError, match="one lambda per line"):
        forms(namespace["found"], index)


def test_equal_lambdas_on_one_line_are_one():
    namespace, index = run("found = [lambda: 1, lambda: 1, lambda x: x, lambda x: x]")
    found = forms(namespace["found"], index)

    assert found[0] == found[1]
    assert found[2] == found[3]


def without_columns(function):
    """Its code as under `python -X no_debug_ranges`."""
    return function.__code__.replace(co_linetable=b"")


def test_without_columns_lambdas_are_told_apart_by_what_they_do():
    namespace, index = run("found = [lambda x: x.one, lambda x: x.two, lambda x: one + x, lambda x: one - x]")
    nodes = [index.function(without_columns(f), namespace) for f in namespace["found"]]

    assert len({canonical(node) for node in nodes}) == 4


def test_lambdas_that_nothing_tells_apart_are_refused():
    namespace, index = run("def make(a, b): return lambda: a(b), lambda: b(a)\nfound = make(1, 2)")

    with pytest.raises(TarValidateError, match=r"line 1: the lambdas on this line .* one lambda per line"):
        index.function(without_columns(namespace["found"][0]), namespace)


def test_functions_are_found_below_decorators_and_in_blocks():
    namespace, index = run(
        """
        def d(f): return f

        if True:
            @d
            @d
            def f(x):
                def inner(): return 1
                return inner
        else:
            def f(x): return 2

        class A:
            @staticmethod
            async def m(): return 3
        """
    )
    f, inner, m = namespace["f"], namespace["f"](1), namespace["A"].m
    nodes = [index.function(each.__code__, namespace) for each in (f, inner, m)]

    assert [node.name for node in nodes] == ["f", "inner", "m"]
    assert len(nodes[0].decorator_list) == 2


def test_of_classes_of_one_name_the_one_that_ran_is_taken(monkeypatch):
    namespace, index = run(
        """
        import sys
        if sys:
            class A:
                def m(self): return 1
        else:
            class A:
                def m(self): return 2
        """
    )
    module = types.ModuleType("script_under_test")
    monkeypatch.setitem(sys.modules, "script_under_test", module)

    assert index.find_class(namespace["A"]).body[0].body[0].value.value == 1


def test_without_source_there_is_no_node():
    namespace = {}
    exec("def f(): return 1", namespace)

    assert SourceIndex({}).function(namespace["f"].__code__, namespace) is None


def test_source_that_does_not_parse_any_more_is_none():
    namespace, _ = run("def f(): return 1")

    assert SourceIndex({"script.py": "def f(: edited"}).function(namespace["f"].__code__, namespace) is None


def test_notebook_cells_have_their_source_in_the_line_cache(monkeypatch):
    text = "g = lambda x: x * 2\n"
    monkeypatch.setitem(linecache.cache, "<cell 1>", (len(text), None, [text], "<cell 1>"))
    namespace = {}
    exec(compile(text, "<cell 1>", "exec"), namespace)

    assert canonical(SourceIndex({}).function(namespace["g"].__code__, namespace)).count(b"Mult") == 1
