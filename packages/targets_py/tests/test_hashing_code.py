import importlib
import itertools
import sys
import textwrap

import pytest

from targets_py.errors import TarValidateError, TarWarning
from targets_py.hashing.code import Code


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A function that writes modules, runs a script and gives the hashes of its code."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    written = []

    def forget():
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith(str(tmp_path)) or any(name.startswith(top) for top in written):
                del sys.modules[name]
        importlib.invalidate_caches()

    def load(script, imports=(), **modules):
        forget()
        for name, text in modules.items():
            path = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
            written.append(name.split("__")[0])
        script = textwrap.dedent(script)
        path = str(tmp_path / "_targets.py")
        module = type(sys)("_targets")
        module.__file__ = path
        monkeypatch.setitem(sys.modules, "_targets", module)
        exec(compile(script, path, "exec"), vars(module))
        return Code(vars(module), tmp_path, imports=imports, sources={path: script})

    yield load
    forget()


def command(code, name="f"):
    """Both hashes that decide about a target with this command."""
    function = code._namespace[name]
    return code.command_hash(function), code.references(function)


BASE = """
    K = 1

    def helper(x):
        return x + K

    def f(data, n=1):
        return helper(data) * n
"""

UNCHANGED = {
    "the same": ("", ""),
    "comment": ("return x + K", "return x + K  # comment"),
    "docstring": ("return x + K", "'''Adds.'''\n        return x + K"),
    "blank lines": ("K = 1", "K = 1\n\n\n"),
    "number": ("K = 1", "K = 0x1"),
    "hints": ("helper(x)", "helper(x: 'int') -> 'int'"),
    "hints of the command": ("def f(data, n=1)", "def f(data: list, n: int = 1) -> list"),
    "an unused global": ("K = 1", "K = 1\n    L = 2\n    def g(): return L"),
    "order": ("K = 1", "def helper(x): pass\n    K = 1"),
}


@pytest.mark.parametrize("edit", UNCHANGED.values(), ids=UNCHANGED.keys())
def test_edits_without_effect_change_no_hash(project, edit):
    assert command(project(BASE)) == command(project(BASE.replace(*edit)))


CHANGED = {
    "own code": ("* n", "+ n", True, set()),
    "default": ("n=1", "n=2", True, set()),
    "helper": ("x + K", "x - K", False, {"helper"}),
    "constant two calls away": ("K = 1", "K = 2", False, {"helper"}),
    "type of a constant": ("K = 1", "K = 1.0", False, {"helper"}),
}


@pytest.mark.parametrize("edit", CHANGED.values(), ids=CHANGED.keys())
def test_edits_with_effect_change_the_hash_of_what_they_touch(project, edit):
    old, new, own, names = edit
    before, after = command(project(BASE)), command(project(BASE.replace(old, new)))

    assert (before[0] != after[0]) is own
    assert {name for name in after[1] if before[1][name] != after[1][name]} == names


EFFECTS = {
    "closed-over value": """
        def make(n):
            return lambda x: x + n
        f = make({VALUE})
    """,
    "closed-over function": """
        def make(g):
            return lambda x: g(x)
        f = make(lambda x: x + {VALUE})
    """,
    "keyword default": """
        def f(*, n={VALUE}): return n
    """,
    "default that is computed": """
        D = {VALUE}
        def f(n=D): return n
        D = 0
    """,
    "function in a default": """
        def f(g=lambda: {VALUE}): return g()
    """,
    "decorator of the project": """
        import functools
        def double(g):
            @functools.wraps(g)
            def wrapper(*a):
                return g(*a) * {VALUE}
            return wrapper
        @double
        def f(x): return x
    """,
    "decorator that returns its function": """
        def register(g):
            g.tag = {VALUE}
            return g
        @register
        def f(x): return x
    """,
    "argument of a decorator": """
        def times(n):
            def decorate(g): return lambda x: g(x) * n
            return decorate
        @times({VALUE})
        def f(x): return x
    """,
    "function below a decorator of the library": """
        import functools
        @functools.lru_cache(maxsize=None)
        def f(x): return x + {VALUE}
    """,
    "generator of contextlib": """
        import contextlib
        @contextlib.contextmanager
        def f(): yield {VALUE}
    """,
    "single dispatch": """
        import functools
        @functools.singledispatch
        def f(x): return 0
        @f.register(int)
        def _(x): return {VALUE}
    """,
    "partial": """
        import functools
        def g(x, n): return x
        f = functools.partial(g, n={VALUE})
    """,
    "function in a partial": """
        import functools
        def g(x, n): return x + {VALUE}
        f = functools.partial(g, n=1)
    """,
    "bound method's object": """
        class A:
            def __init__(self, n): self.n = n
            def m(self, x): return self.n
        f = A({VALUE}).m
    """,
    "bound method's code": """
        class A:
            def m(self, x): return {VALUE}
        f = A().m
    """,
    "class method": """
        class A:
            @classmethod
            def m(cls, x): return {VALUE}
        f = A.m
    """,
    "callable object": """
        class A:
            def __call__(self, x): return {VALUE}
        f = A()
    """,
    "method of a class it makes": """
        class A:
            def m(self): return {VALUE}
        def f(x): return A().m()
    """,
    "base class": """
        class Base:
            def m(self): return {VALUE}
        class A(Base): pass
        def f(x): return A().m()
    """,
    "class in a function": """
        def make(n):
            class A:
                def m(self): return n
            return A
        A = make({VALUE})
        def f(x): return A().m()
    """,
    "constant that only a generated method uses": """
        import dataclasses
        K = {VALUE}
        @dataclasses.dataclass
        class A:
            x: int = K
        def f(x): return A()
    """,
    "hint in a class": """
        import dataclasses
        @dataclasses.dataclass
        class A:
            x: [int, str][{VALUE} - 1]
        def f(x): return A(x)
    """,
    "constant that a method names": """
        K = {VALUE}
        class A:
            def m(self): return K
        def f(x): return A().m()
    """,
    "class attribute from a constant": """
        K = {VALUE}
        class A:
            k = K
        def f(x): return A.k
    """,
    "function in a table": """
        def g(): return {VALUE}
        TABLE = {"g": [g]}
        def f(x): return TABLE["g"][0]()
    """,
    "instance that is a constant": """
        class A:
            def __init__(self, n): self.n = n
        CONFIG = A({VALUE})
        def f(x): return CONFIG.n
    """,
    "class of a constant": """
        class A:
            def m(self): return {VALUE}
        CONFIG = A()
        def f(x): return CONFIG.m()
    """,
    "enumeration": """
        import enum
        class E(enum.Enum):
            A = {VALUE}
        def f(x): return E.A
    """,
    "namedtuple": """
        import collections
        T = collections.namedtuple("T", ["a", "b"][:{VALUE}])
        def f(x): return T
    """,
    "nested function": """
        def g(): return {VALUE}
        def f(x):
            def inner():
                return [g() for _ in x]
            return inner()
    """,
    "global that is assigned": """
        counter = {VALUE}
        def f(x):
            global counter
            counter += 1
    """,
    "recursion": """
        def f(n): return n and f(n - {VALUE})
    """,
    "async": """
        async def g(): return {VALUE}
        async def f(x): return await g()
    """,
}


@pytest.mark.parametrize("script", EFFECTS.values(), ids=EFFECTS.keys())
def test_all_that_reaches_a_command_counts(project, script):
    one, again, two = (command(project(script.replace("{VALUE}", value))) for value in ("1", "1", "2"))

    assert one == again
    assert one != two


MODULES = {
    "name from a module": ("from helpers import g\ndef f(x): return g(x)", "g"),
    "renamed": ("from helpers import g as h\ndef f(x): return h(x)", "h"),
    "attribute": ("import helpers\ndef f(x): return helpers.g(x)", "helpers.g"),
    "short module name": ("import helpers as hp\ndef f(x): return hp.g(x)", "hp.g"),
    "inside the function": ("def f(x):\n    from helpers import g\n    return g(x)", "g"),
    "module inside the function": ("def f(x):\n    import helpers as h\n    return h.g(x)", "h.g"),
    "inside an inner function": (
        "def f(x):\n    def i():\n        from helpers import g\n        return g(x)\n    return i()",
        "g",
    ),
    "module as a value": ("import helpers\ndef f(x): return getattr(helpers, 'g')(x)", "helpers"),
}


@pytest.mark.parametrize("case", MODULES.values(), ids=MODULES.keys())
def test_modules_of_the_project_are_followed(project, case):
    script, name = case
    helpers = "K = {}\ndef deep(x): return x + K\ndef g(x): return deep(x)"
    one = command(project(script, helpers=helpers.format(1)))
    two = command(project(script, helpers=helpers.format(2)))

    assert one[0] == two[0]
    assert set(one[1]) == {name}
    assert one[1] != two[1]


def test_only_what_is_taken_from_a_module_counts(project):
    script = "import helpers\ndef f(x): return helpers.g(x)"

    one = command(project(script, helpers="def g(x): return x\ndef other(): return 1"))
    two = command(project(script, helpers="def g(x): return x\ndef other(): return 2"))
    assert one == two


def test_packages_and_relative_imports_inside_functions(project):
    package = {
        "pkg____init__": "",
        "pkg__a": "def g(x):\n    from .b import h\n    from . import c\n    return h(x) + c.k()",
    }
    script = "import pkg.a\ndef f(x): return pkg.a.g(x)"
    hashes = [
        command(project(script, **package, pkg__b=f"def h(x): return {b}", pkg__c=f"def k(): return {c}"))
        for b, c in ((1, 1), (2, 1), (1, 2))
    ]

    assert set(hashes[0][1]) == {"pkg.a.g"}
    assert len({tuple(references.items()) for _, references in hashes}) == 3


def test_a_function_may_move_to_another_file(project):
    g = "def g(x): return x + 1"

    here = command(project(g + "\ndef f(x): return g(x)"))
    there = command(project("from helpers import g\ndef f(x): return g(x)", helpers="\n\n" + g))
    assert here == there


def test_exchanging_the_bodies_of_two_equally_named_functions_is_noticed(project):
    script = "import one, two\ndef f(x): return one.g(x), two.g(x)"
    a, b = "def g(x): return x", "def g(x): return -x"

    before, after = command(project(script, one=a, two=b)), command(project(script, one=b, two=a))
    assert before != after


def test_functions_that_call_each_other_count_all(project):
    script = """
        def even(n): return n == 0 or odd(n - {A})
        def odd(n): return n != 0 and even(n - {B})
        def f(n): return even(n)
        def g(n): return odd(n)
    """
    codes = [
        project(script.replace("{A}", a).replace("{B}", b)) for a, b in (("1", "1"), ("2", "1"), ("1", "2"))
    ]

    for name in ("f", "g"):
        assert len({tuple(command(code, name)[1].items()) for code in codes}) == 3


def test_which_member_of_a_cycle_is_called_counts(project):
    script = "def a(n): return n and b(n)\ndef b(n): return n or a(n)\ng = {}\ndef f(n): return g(n)"

    assert command(project(script.format("a"))) != command(project(script.format("b")))


def test_a_long_chain_of_calls_is_no_limit(project):
    script = "def f0(x): return x\n" + "\n".join(f"def f{i}(x): return f{i - 1}(x)" for i in range(1, 3000))

    one = project(script).global_hash("f2999")
    assert one != project(script.replace("def f0(x): return x", "def f0(x): return -x")).global_hash("f2999")


def test_the_decorator_of_a_target_is_no_part_of_the_command(project):
    plain = "def f(x: int): return x"
    target = "from targets_py.definition.targets import tar_target\n@tar_target(pattern='map(x)')\n" + plain
    code = project(target)
    function = code._namespace["f"].command.value

    assert code.command_hash(function) == command(project(plain))[0]
    assert code.references(function) == {}


def test_a_target_that_is_called_counts_as_its_function(project):
    script = """
        from targets_py.definition.targets import tar_target
        @tar_target
        def data(): return {VALUE}
        def f(): return data()
    """
    one, two = (command(project(script.replace("{VALUE}", value))) for value in "12")

    assert set(one[1]) == {"data"}
    assert one != two


def test_code_outside_the_project_counts_by_name(project, tmp_path):
    script = "import thirdparty, json\ndef f(x): return thirdparty.g(x), json.dumps(x)"
    installed = tmp_path / "lib" / "site-packages"
    installed.mkdir(parents=True)
    sys.path.insert(0, str(installed))
    try:
        hashes = []
        for value in (1, 2):
            (installed / "thirdparty.py").write_text(f"def g(x): return {value}")
            hashes.append((command(project(script)), command(project(script, imports=["thirdparty"]))))
    finally:
        sys.path.remove(str(installed))

    assert set(hashes[0][0][1]) == {"json", "thirdparty"}
    assert hashes[0][0] == hashes[1][0]
    assert hashes[0][1] != hashes[1][1]


def test_another_module_by_the_same_name_counts(project):
    assert command(project("import json as j\ndef f(x): return j.loads(x)")) != command(
        project("import pickle as j\ndef f(x): return j.loads(x)")
    )
    assert command(project("from json import loads\ndef f(x): return loads(x)")) != command(
        project("from pickle import loads\ndef f(x): return loads(x)")
    )


def test_files_below_a_virtual_environment_are_not_the_project(project, tmp_path):
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    script = "import env.inside as m\ndef f(x): return m.g(x)"

    one = command(project(script, env__inside="def g(x): return 1"))
    assert one == command(project(script, env__inside="def g(x): return 2"))


def test_lambdas_on_one_line_have_their_own_hashes(project):
    code = project("fs = [lambda x: x + 1, lambda x: x + 2, lambda: 5, lambda: 6]")
    hashes = [code.command_hash(f) for f in code._namespace["fs"]]

    assert len(set(hashes)) == 4


class TestSource:
    def test_layout_does_not_count_but_the_value_does(self, project):
        code = project("def g(x): return x")

        assert code.command_hash("g( x )  # twice") == code.command_hash("g(x)")
        assert code.command_hash("'a'") != code.command_hash("'b'")
        assert code.command_hash("g(x)") != code.command_hash("g(y)")

    def test_what_it_names_counts(self, project):
        one, two = (project(f"def g(x): return {value}").references("y = g(x)\ny") for value in (1, 2))

        assert set(one) == {"g"}
        assert one != two

    def test_imports_inside_it_are_followed(self, project):
        source = "from helpers import g\ng(x)"
        one = project("", helpers="def g(x): return 1")
        references = one.references(source)

        assert set(references) == {"g"}
        assert references != project("", helpers="def g(x): return 2").references(source)

    def test_a_syntax_error_is_raised(self, project):
        with pytest.raises(SyntaxError):
            project("").command_hash("g(")


def test_constants_count_by_value(project):
    code = project("")

    assert code.command_hash({"a", "b"}) == code.command_hash({"b", "a"})
    assert code.command_hash([1]) != code.command_hash([2])
    assert code.command_hash(None) != code.command_hash("None")
    assert code.references([1]) == {}


class TestNames:
    def names(self, code, command):
        found = code.dependencies(command)
        return {p.name for p in found.parameters}, set(found.globals), set(found.called)

    def test_of_a_callable(self, project):
        code = project(
            """
            import math
            K = 1
            def g(x): return x
            def f(data, /, n=2, *rest, flag, **more):
                local = [g(i) for i in data]
                return local + K + math.pi + unknown + len(data)
            """
        )
        parameters, free, called = self.names(code, code._namespace["f"])

        assert parameters == {"data", "n", "flag"}
        assert free == {"g", "K", "math", "unknown"}
        assert called == {"g"}

    def test_parameters_say_what_they_need(self, project):
        code = project("def f(a, /, b=2, *, c): return a")
        a, b, c = code.dependencies(code._namespace["f"]).parameters

        assert (a.name, a.required, a.positional_only) == ("a", True, True)
        assert (b.name, b.required, b.default) == ("b", False, 2)
        assert (c.name, c.required, c.positional_only) == ("c", True, False)

    @pytest.mark.parametrize("decorated", ["lru_cache(None)", "wraps(len)"])
    def test_a_decorated_function_has_the_parameters_it_shows(self, project, decorated):
        code = project(f"import functools\n@functools.{decorated}\ndef f(data): return data")
        expected = ["data"] if "cache" in decorated else ["obj"]

        assert [p.name for p in code.dependencies(code._namespace["f"]).parameters] == expected

    def test_of_source(self, project):
        code = project("def z(v): return v")

        assert self.names(code, "x = y + z(w, lambda q: q + r)") == (set(), {"r", "w", "y", "z"}, {"z"})
        assert self.names(code, "import numpy as np\nnp.sum(x)")[1] == {"x"}
        assert self.names(code, "np.sum(x)")[1] == {"np", "x"}

    def test_a_builtin_counts_only_where_the_script_has_its_own(self, project):
        assert self.names(project(""), "len(x)")[1] == {"x"}
        assert self.names(project("def len(x): return 1"), "len(x)")[1] == {"len", "x"}
        assert self.names(project("map = 1\ndef f(x): return map"), "f(x)")[1] == {"f", "x"}

    def test_globals_of_another_module_are_not_those_of_the_script(self, project):
        code = project("from helpers import f", helpers="data = 1\ndef f(x): return data")

        assert self.names(code, code._namespace["f"])[1] == set()
        assert set(code.references(code._namespace["f"])) == {"data"}

    def test_what_a_global_uses(self, project):
        code = project(
            """
            import helpers
            K = 1
            def g(): return K + helpers.k
            TABLE = {"g": g}
            def f(x): return TABLE["g"]() or f(x)
            """,
            helpers="k = 1",
        )

        assert code.global_names("f") == {"TABLE", "f"}
        assert code.global_names("TABLE") == {"g"}
        assert code.global_names("g") == {"K", "helpers"}
        assert code.global_names("K") == set()

    def test_an_unknown_global_is_refused(self, project):
        code = project("import helpers", helpers="k = 1")

        assert code.global_hash("helpers.k") == code.global_hash("helpers.k")
        for name in ("nothing", "helpers.nothing"):
            with pytest.raises(TarValidateError, match=f"no global '{name}'"):
                code.global_hash(name)


def test_a_tree_of_dependencies_lists_each_once(project):
    code = project("K = 1\ndef h(): return K\ndef g(): return h() + K\ndef f(): return g() + h() + f()")
    tree = code.dependency_tree("f")

    assert [child.name for child in tree.depends] == ["f", "g", "h"]
    f, g, h = tree.depends
    assert f.hash == tree.hash == code.global_hash("f")
    assert f.depends == ()
    assert [child.name for child in g.depends] == ["K", "h"]
    assert [child.name for child in g.depends[1].depends] == ["K"]
    assert h.depends == ()


class TestUnhashable:
    def test_a_global_is_tracked_by_its_type_with_one_warning(self, project):
        code = project(
            "import threading\nLOCK = threading.Lock()\ndef f(x): return LOCK\ndef g(x): return LOCK"
        )
        with pytest.warns(
            TarWarning, match="LOCK cannot be hashed and is tracked by its type only"
        ) as caught:
            hashes = [command(code, name)[1] for name in ("f", "g")]

        assert len(caught) == 1
        assert hashes[0] == hashes[1]

    def test_other_types_have_other_hashes(self, project):
        script = "import threading\nX = {}\ndef f(x): return X"
        with pytest.warns(TarWarning):
            lock, rlock, number = (
                command(project(script.format(value)))[1]
                for value in ("threading.Lock()", "(i for i in '')", "1")
            )
        assert len({lock["X"], rlock["X"], number["X"]}) == 3

    def test_an_instance_still_counts_the_code_of_its_class(self, project):
        script = """
            import threading
            class Client:
                def __init__(self): self.lock = threading.Lock()
                def get(self): return {VALUE}
            CLIENT = Client()
            def f(x): return CLIENT.get()
        """
        with pytest.warns(TarWarning, match="CLIENT"):
            one, two = (command(project(script.replace("{VALUE}", value))) for value in "12")
        assert one != two

    def test_code_without_source_is_tracked_by_its_byte_code(self, project):
        script = """
            namespace = dict(__name__="_targets")
            exec("def g(x): return {}", namespace)
            g = namespace["g"]
            def f(x): return g(x)
        """
        with pytest.warns(TarWarning, match="source of function g .* is not known"):
            one, again, two = (command(project(script.format(value))) for value in (1, 1, 2))

        assert one == again
        assert one != two

    def test_an_import_that_fails_is_told(self, project):
        code = project(
            "def f(x):\n    import broken\n    return broken.g(x)", broken="raise ValueError('no')"
        )
        with pytest.warns(TarWarning, match="cannot import broken.*no"):
            assert command(code)[1] == {}


def test_values_with_functions_of_the_project(project):
    code = project("def g(): return 1\ndef h(): return 2")
    g, h = code._namespace["g"], code._namespace["h"]

    assert code.value_hash([g]) == code.value_hash([g])
    assert code.value_hash([g]) != code.value_hash([h])
    assert code.object_hash(g) == code.global_hash("g")


def test_many_lambdas_of_one_line_of_code_are_cheap_and_distinct(project):
    code = project("fs = [lambda x, i=i: x + i for i in range(2000)]")
    hashes = {code.command_hash(f) for f in code._namespace["fs"]}

    assert len(hashes) == 2000


def test_hashes_do_not_depend_on_what_was_hashed_before(project):
    script = "K = 1\ndef a(): return b() + K\ndef b(): return a() + c()\ndef c(): return K"
    results = set()
    for order in itertools.permutations("abc"):
        code = project(script)
        hashes = {name: code.global_hash(name) for name in order}
        results.add(tuple(sorted(hashes.items())))

    assert len(results) == 1


def test_objects_that_raise_whatever_they_are_asked_do_not_stop_the_hashing(project):
    code = project(
        """
        class Proxy:
            def __call__(self): return 1
            def __getattr__(self, name):
                if name in ("__wrapped__", "py_func"):
                    raise RuntimeError("not now")
                raise AttributeError(name)
        PROXY = Proxy()
        def f(x): return PROXY()
        """
    )

    assert set(command(code)[1]) == {"PROXY"}


def test_where_code_lies_and_the_environment_do_not_count(project, monkeypatch):
    script = "from os import environ\ndef f(x): return __file__, __name__, __doc__, environ['HOME']"
    one = command(project(script))
    monkeypatch.setenv("HOME", "/elsewhere")
    code = project(script)
    code._namespace["__file__"] = "/elsewhere/_targets.py"
    code._namespace["__doc__"] = "About the script."

    assert command(code) == one
