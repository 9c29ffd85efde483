import ast
import types

import pytest

from targets_py.hashing.names import Import, assigned_first, compile_alone, dotted, global_names, usage_of


def usage(source):
    return usage_of(ast.parse(source).body)


def test_attributes_come_with_their_name():
    assert usage("np.random.default_rng(1); x; f(y).z; a[0].b").chains == {
        ("np", "random", "default_rng"),
        ("x",),
        ("f",),
        ("y",),
        ("a",),
    }


def test_what_is_only_called_is_told_from_what_is_used():
    found = usage("f(x); g(g); m.h(1); k()()")

    assert found.values == {"x", "g", "m"}


def test_what_is_assigned_is_no_use_but_adding_to_it_is():
    assert usage("x = 1; y += 1; del z; [w for w in v]").chains == {("y",), ("w",), ("v",)}


def test_hints_that_do_not_count_are_not_looked_at():
    assert usage("def f(x: Hidden) -> Hidden:\n    y: Hidden = z").chains == {("z",)}
    assert usage("class A:\n    x: Seen\n    def f(self, x: SeenToo): pass").chains == {
        ("Seen",),
        ("SeenToo",),
    }


def test_imports_say_what_they_bind():
    found = usage("import a.b; import c.d as e; from f import g, h as i; from ..j import k").imports

    assert found == {
        "a": Import("a"),
        "e": Import("c.d"),
        "g": Import("f", "g"),
        "i": Import("f", "h"),
        "k": Import("j", "k", 2),
    }


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(x):\n    y = x\n    return y + z", {"z"}),
        ("def f():\n    return [a for a in b if c]", {"b", "c"}),
        ("def f():\n    def g(): return h\n    return g", {"h"}),
        ("def f(x):\n    return x.attr", set()),
        ("def f(attr):\n    return attr.attr", set()),  # a local name that is an attribute too
        ("def f(x, name):\n    def g(): return name\n    return x.name", set()),
        ("def f(x):\n    def g(data): return data\n    return x.data, data", {"data"}),
        ("def f():\n    global k\n    k += 1", {"k"}),
        ("class A(B):\n    c = d\n    def m(self): return e", {"B", "d", "e"}),
        ("lambda x: (lambda y: x + y + z)", {"z"}),
    ],
)
def test_the_names_that_code_takes_from_its_globals(source, names):
    tree = ast.parse(source)
    node = tree.body[0]
    module = compile(tree, "x", "exec")
    code = next(const for const in module.co_consts if isinstance(const, types.CodeType))
    if isinstance(node, ast.ClassDef):
        code = compile_alone(node)
    body = (
        [node.value.body]
        if isinstance(node, ast.Expr)
        else [node]
        if isinstance(node, ast.ClassDef)
        else node.body
    )

    assert {chain[0] for chain in usage_of(body).only(global_names(code)).chains} == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1\nx", {"x"}),
        ("x = x + 1\nx", set()),
        ("x += 1", set()),
        ("y = x\nx = y", {"y"}),
        ("for i in items: total = i", {"i", "total"}),
        ("with open(p) as f: pass", {"f"}),
        ("import a.b, c as d", {"a", "d"}),
        ("def f(): return later\nlater = 1\nf()", {"f", "later"}),
        ("[i for i in y]", set()),
        ("[x for x in y]; x", set()),
        ("(n := g(m)) + n", {"n"}),
        ("try:\n    a\nexcept E as error:\n    error", {"error"}),
        ("match p:\n    case [u, *v]: u\n    case {'k': w, **r}: w", {"u", "v", "w", "r"}),
        ("class A:\n    x = 1\nA", {"A"}),
        ("@d\ndef f(k=e): pass", {"f"}),
    ],
)
def test_names_that_source_gives_a_value_itself(source, names):
    assert assigned_first(ast.parse(source)) == names


def test_the_name_of_a_decorator():
    assert dotted(ast.parse("a.b(1)(2)", mode="eval").body) == ("a", "b")
    assert dotted(ast.parse("(lambda f: f)", mode="eval").body) is None
