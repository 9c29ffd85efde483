"""The graph: what a target needs, and what is refused."""

from __future__ import annotations

import pytest

from targets_py import TarValidateError
from targets_py.engine.graph import build_graph, topological_order
from targets_py.script import open_script


def graph_of(project, text, *names, **options):
    project.script(text)
    with open_script("_targets.py") as pipeline:
        return build_graph(pipeline, names or None, **options)


def test_what_a_command_needs(project):
    graph = graph_of(
        project,
        """
        k = 1

        def f(v):
            return v

        pipeline = [
            tar_target("a", 1),
            tar_target("b", lambda a, other=5: f(a) + k),
            tar_target("c", "d = a\\nf(d) + sum(b)"),
            tar_target("e", lambda a: a, pattern=map("b")),
            tar_target("self_default", lambda self_default=1: 1),
            tar_target("ordered", lambda b=2: b, deps=["a", "k"]),
        ]
        """,
    )

    needs = {name: (node.upstreams, node.imports) for name, node in graph.items()}
    assert needs == {
        "a": ((), ()),
        "b": (("a",), ("f", "k")),
        "c": (("a", "b"), ("f",)),
        "e": (("b", "a"), ()),
        "self_default": ((), ()),
        "ordered": (("a",), ("k",)),
    }
    assert graph["b"].branched
    assert not graph["a"].branched


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "pipeline = [tar_target('data', 1), tar_target('report', lambda dat: dat)]",
            'command of report needs "dat", which is no target. Did you mean "data"?',
        ),
        ("pipeline = [tar_target('x', lambda x: x)]", 'command of x needs "x", which is its own name'),
        (
            "pipeline = [tar_target('a', 1), tar_target('x', lambda a: a, deps=[])]",
            'command of x needs "a", which is not among its deps',
        ),
        (
            "pipeline = [tar_target('y', lambda: 1, pattern=map('x'))]",
            "target y branches over 'x', which is no target",
        ),
        (
            "pipeline = [tar_target('f', 1, format='file'), tar_target('y', lambda f: 1, pattern=map('f'))]",
            'target y branches over f, whose format is "file"',
        ),
        (
            "pipeline = [tar_target('data', 1), tar_target('x', lambda: data)]",
            "command of x uses target data as a global: make data a parameter",
        ),
        (
            "@tar_target\ndef data():\n    return 1\npipeline = [data, tar_target('x', lambda: [data])]",
            "command of x uses target data as a global: make data a parameter",
        ),
        (
            "pipeline = [tar_target('a', 'c'), tar_target('b', lambda a: 1), tar_target('c', lambda b: 1)]",
            "the targets form a cycle: ",
        ),
    ],
)
def test_what_is_wrong_is_named(project, text, message):
    with pytest.raises(TarValidateError) as caught:
        graph_of(project, text)

    assert str(caught.value).startswith(message)
    assert not project.store.exists()


def test_a_cycle_is_shown(project):
    with pytest.raises(TarValidateError) as caught:
        graph_of(project, "pipeline = [tar_target('a', 'b'), tar_target('b', 'a')]")

    assert str(caught.value) in {
        "the targets form a cycle: a -> b -> a",
        "the targets form a cycle: b -> a -> b",
    }


def test_a_decorated_function_may_be_called(project):
    graph = graph_of(
        project,
        """
        @tar_target
        def clean():
            return 1

        pipeline = [clean, tar_target("x", lambda: clean())]
        """,
    )

    assert graph["x"].upstreams == ()
    assert graph["x"].imports == ("clean",)


CHAIN = """
pipeline = [
    tar_target("a", lambda b: 1),
    tar_target("b", lambda c: 1),
    tar_target("c", lambda d: 1),
    tar_target("d", 1),
    tar_target("e", 1),
]
"""


def test_the_order_is_topological_then_that_of_the_script(project):
    graph = graph_of(project, CHAIN)

    assert [node.name for node in topological_order(graph)] == ["d", "c", "b", "a", "e"]


def test_names_keep_what_they_need(project):
    assert list(graph_of(project, CHAIN, "c")) == ["c", "d"]
    assert list(graph_of(project, CHAIN, "c", shortcut=True)) == ["c"]
    assert graph_of(project, CHAIN, "c", shortcut=True)["c"].upstreams == ("d",)


def test_a_long_chain(project):
    graph = graph_of(
        project,
        "pipeline = [tar_target(f'x{n}', f'x{n - 1}' if n else '1') for n in range(2000)]",
    )

    assert [node.name for node in topological_order(graph)] == [f"x{n}" for n in range(2000)]
