import ast

import pytest

from targets_py.hashing.tree import canonical, without_docstrings


def form(source):
    """Canonical form of the last definition or expression in some source."""
    last = ast.parse(source).body[-1]
    return canonical(last.value if isinstance(last, ast.Expr) else last)


SAME = {
    "comment": ("def f(x):\n    return x", "# top\ndef f(x):  # side\n    # in\n    return x\n# end"),
    "docstring": ("def f(x):\n    return x", 'def f(x):\n    """Doc."""\n    return x'),
    "only a docstring": ("def f(): pass", 'def f():\n    """Doc."""'),
    "name": ("def f(x): return x", "def g(x): return x"),
    "quotes": ("def f(): return 'a'", 'def f(): return """a"""'),
    "numbers": ("def f(): return 1000, 255", "def f(): return 1_000, 0xff"),
    "joined strings": ("def f(): return 'ab'", "def f(): return 'a' 'b'"),
    "layout": (
        "def f(x, y): return [x, y]",
        "def f(\n    x,\n    y,\n):\n    return (\n        [x, y,]\n    )",
    ),
    "hints": ("def f(x, *a, k=1, **kw): return x", "def f(x: int, *a: T, k: K = 1, **kw: W) -> R: return x"),
    "hint of a local variable": (
        "def f():\n    x = 1\n    return x",
        "def f():\n    x: int = 1\n    return x",
    ),
    "bare hint": ("def f(): return 1", "def f():\n    x: int\n    return 1"),
    "hints of an inner function": (
        "def f():\n    def g(x): return x\n    return g",
        "def f():\n    def g(x: int) -> int:\n        'doc'\n        return x\n    return g",
    ),
    "pass": (
        "def f(x):\n    if x:\n        return 1",
        "def f(x):\n    if x:\n        return 1\n    else:\n        pass",
    ),
    "string below a field": ("class A:\n    x: int = 1", "class A:\n    x: int = 1\n    'What x is.'"),
    "format": ("def f(x, w): return f'{x:{w}}'", 'def f(x, w): return f"""{x:{w}}"""'),
    "type comment": (
        "def f():\n    x = []\n    return x",
        "def f():\n    x = []  # type: list\n    return x",
    ),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME.keys())
def test_what_cannot_be_seen_at_run_time_does_not_count(pair):
    assert form(pair[0]) == form(pair[1])


DIFFERENT = {
    "body": ("def f(x): return x", "def f(x): return x + 1"),
    "parameter": ("def f(x): return 1", "def f(y): return 1"),
    "kind of parameter": (
        "def f(x): return 1",
        "def f(x, /): return 1",
        "def f(*, x): return 1",
        "def f(*x): return 1",
    ),
    "default": ("def f(x=1): return x", "def f(x=2): return x", "def f(x): return x"),
    "async": ("def f(): return 1", "async def f(): return 1"),
    "decorator": ("def f(): return 1", "@d\ndef f(): return 1", "@d(1)\ndef f(): return 1"),
    "hint of a decorated function": (
        "@d\ndef f(x): return 1",
        "@d\ndef f(x: int): return 1",
        "@d\ndef f(x) -> int: return 1",
    ),
    "hint in a class": ("class A:\n    x: int = 1", "class A:\n    x: str = 1", "class A:\n    x = 1"),
    "bare hint in a class": ("class A:\n    x: int", "class A:\n    y: int", "class A:\n    pass"),
    "hint of a method": (
        "class A:\n    def f(self, x): return x",
        "class A:\n    def f(self, x: int): return x",
    ),
    "name of a class": ("class A: pass", "class B: pass"),
    "base": ("class A: pass", "class A(B): pass", "class A(metaclass=B): pass"),
    "constant": tuple(
        f"def f(): return {c}" for c in ("1", "1.0", "True", "'1'", "b'1'", "None", "...", "1j")
    ),
    "name of an inner function": ("def f():\n    def g(): return 1", "def f():\n    def h(): return 1"),
    "string that is a value": ("def f(): return 'a'", "def f(): return 'b'"),
    "conversion": ("f'{x}'", "f'{x!r}'", "f'{x:>3}'", "f'{x:>4}'", "f'{x}a'"),
    "operator": ("a + b", "a - b", "b + a", "a < b", "a <= b", "not a", "-a"),
    "slice": ("a[1:]", "a[:1]", "a[::1]", "a[1]"),
    "arguments": ("f(a)", "f(*a)", "f(**a)", "f(a=a)"),
    "dict": ("{'a': b}", "{**b}", "{'a', b}"),
    "numbers": ("255", "0xFFF", "10**9", "-5"),
}


@pytest.mark.parametrize("sources", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_can_be_seen_counts(sources):
    forms = [form(source) for source in sources]

    assert len(set(forms)) == len(forms)


def test_strings_that_stand_alone_count_in_a_command_but_not_in_a_module():
    command, other = ast.parse("'value'"), ast.parse("'other'")

    assert canonical(command) != canonical(other)
    assert canonical(without_docstrings(command)) == canonical(without_docstrings(other))


def test_huge_numbers_and_lone_surrogates_have_a_form():
    assert form("def f(): return 0x" + "f" * 10_000) != form("def f(): return 0x" + "e" * 10_000)
    assert form("'\\ud800'") != form("'\\ud801'")


def test_depth_is_no_limit():
    chain = ast.Name("x", ast.Load())
    for _ in range(50_000):
        chain = ast.Attribute(chain, "a", ast.Load())

    assert canonical(chain).count(b"Attribute") == 50_000
    while isinstance(chain, ast.Attribute):  # dismantle it step by step: its own end would recurse
        chain = chain.value
