import gc
import math
import pickle
from collections import OrderedDict
from types import SimpleNamespace

import pytest

import mirai_py
from mirai_py import codes
from mirai_py.codes import Code, CodeCache, MissingCodeError, code_of
from mirai_py.sharing import once


def function(source, **names):
    namespace = {"__name__": "__main__", **names}
    exec(source, namespace)
    return namespace["f"]


def closing_over(k):
    return lambda: k


def made(monkeypatch, f, times=3):
    """How many times a function is pickled when its code is asked for."""
    count = []
    monkeypatch.setattr(codes, "_remembered", {})
    make = codes._make
    monkeypatch.setattr(codes, "_make", lambda call, _: count.append(1) or make(call, None))
    keys = {code_of(f).key for _ in range(times)}
    assert len(keys) == 1
    return len(count)


def test_importable_functions_go_by_reference_others_by_value_text_as_it_is():
    assert code_of(math.sqrt).body[:1] == codes.REFERENCE
    assert code_of(pickle.dumps).body[:1] == codes.REFERENCE
    assert code_of(lambda: 1).body[:1] == codes.STEADY
    assert code_of(closing_over([])).body[:1] == codes.VALUE
    assert code_of("x").body == codes.SOURCE + b"x"


def test_the_same_content_has_the_same_key():
    assert code_of("x").key == code_of("x").key
    assert code_of("x").key != code_of("y").key
    assert len(code_of("x").key) == codes.KEY_SIZE


@pytest.mark.parametrize(
    "f",
    [
        math.sqrt,
        function("def f(): return 1"),
        function("def f(x=3): return x + k", k=5),
        function("import math\ndef f(): return math.pi"),
        function("def g(): return 2\ndef f(): return g()"),
        closing_over((1, "a", None)),
    ],
    ids=["imported", "plain", "constants", "module", "helper", "closure"],
)
def test_what_cannot_have_changed_is_pickled_once(monkeypatch, f):
    assert made(monkeypatch, f) == 1


@pytest.mark.parametrize(
    "f",
    [
        function("def f(): return k", k=SimpleNamespace()),
        closing_over(OrderedDict()),
        function("def f(x=x): return x", x=[SimpleNamespace()]),
    ],
    ids=["global object", "closure object", "default list of objects"],
)
def test_what_may_change_unseen_is_pickled_each_time(monkeypatch, f):
    assert made(monkeypatch, f) == 3


def test_a_change_of_a_global_closure_default_or_code_is_noticed():
    f = function("def g(): return 1\ndef f(x=1): return k + g() + x", k=1)
    seen = {code_of(f).key}
    f.__globals__["k"] = 2
    seen.add(code_of(f).key)
    f.__defaults__ = (2,)
    seen.add(code_of(f).key)
    f.__globals__["g"].__code__ = (lambda: 5).__code__
    seen.add(code_of(f).key)
    f.__globals__["g"] = lambda: 7
    seen.add(code_of(f).key)
    assert len(seen) == 5

    def make():
        k = 1

        def inner():
            return k

        def change():
            nonlocal k
            k = 2

        return inner, change

    inner, change = make()
    before = code_of(inner).key
    change()
    assert code_of(inner).key != before


def test_a_remembered_function_does_not_live_longer():
    f = function("def f(): return f2()\ndef f2(): return f")
    code_of(f)
    key = id(f)
    assert key in codes._remembered
    f.__globals__.clear()
    del f
    gc.collect()
    assert key not in codes._remembered


def test_once_wraps_once_and_pickles_as_its_value_elsewhere():
    o = once([1])
    assert once(o) is o
    assert o.value == [1]
    assert pickle.loads(pickle.dumps(o)) == [1]
    assert repr(o).startswith("< once [list, ")
    assert once([1]).code.key == o.code.key
    assert once([1], fresh=False).code.key != o.code.key


def test_once_of_what_cannot_be_sent_is_an_error():
    with pytest.raises(mirai_py.MiraiSerializationError, match="`obj` of type generator"):
        once(i for i in ())


def test_the_cache_drops_the_oldest_by_number_and_by_size():
    cache = CodeCache(max_items=2)
    for key in (b"a", b"b"):
        cache.add(key, b"x" + key)
    cache.body(b"a")
    cache.add(b"c", b"xc")
    assert b"b" not in cache
    assert cache.body(b"a") == b"xa"
    with pytest.raises(MissingCodeError) as e:
        cache.body(b"b")
    assert e.value.key == b"b"
    cache = CodeCache(max_bytes=10)
    cache.add(b"a", bytes(6))
    cache.add(b"b", bytes(6))
    assert b"a" not in cache
    cache.add(b"huge", bytes(100))
    assert b"huge" in cache


def test_a_shared_object_is_made_once_and_goes_with_its_code():
    cache = CodeCache(max_items=1)
    cache.add(b"a", b"P" + pickle.dumps([1]))
    assert cache.shared(b"a", pickle.loads) is cache.shared(b"a", pickle.loads)
    cache.add(b"b", b"P")
    with pytest.raises(MissingCodeError):
        cache.shared(b"a", pickle.loads)


def test_codes_compare_by_content():
    assert Code.of(b"R", b"x", "a") == Code.of(b"R", b"x", "b")


STEADY = [
    function("def f(): return 1"),
    function("n = 0\ndef f():\n    global n\n    n += 1\n    return n"),
    function("def f(x=(1, 'a')): return x"),
    closing_over(3),
]


@pytest.mark.parametrize("f", STEADY)
def test_a_function_of_immutable_parts_is_copied_not_unpickled_for_each_task(f):
    code = code_of(f)
    assert code.body[:1] == codes.STEADY
    template = pickle.loads(code.body[1:])
    first, second = codes.renewed(template), codes.renewed(template)
    assert first() == second() == codes.renewed(template)()
    assert first.__globals__ is not second.__globals__
    assert (first.__module__, first.__qualname__, first.__name__) == (
        f.__module__,
        f.__qualname__,
        f.__name__,
    )


def counting():
    n = 0

    def f():
        nonlocal n
        n += 1
        return n

    return f


def counting_inside():
    n = 0

    def f():
        def inner():
            nonlocal n
            n += 1
            return n

        return inner()

    return f


@pytest.mark.parametrize(
    "f",
    [
        counting(),
        counting_inside(),
        function("def f():\n    f.calls = getattr(f, 'calls', 0) + 1\n    return f.calls"),
        function("def g(): pass\ndef f():\n    g.calls = getattr(g, 'calls', 0) + 1\n    return g.calls"),
        closing_over([1]),
    ],
    ids=["cell", "inner cell", "own attribute", "attribute of a helper", "list"],
)
def test_a_function_that_could_keep_something_is_unpickled_for_each_task(f, one):
    assert code_of(f).body[:1] == codes.VALUE
    assert len({str(mirai_py.mirai(f, _compute=one).collect()) for _ in range(3)}) == 1


@pytest.mark.parametrize("f", STEADY)
def test_either_way_each_task_finds_it_as_it_was(f, one):
    assert len({str(mirai_py.mirai(f, _compute=one).collect()) for _ in range(3)}) == 1


def changeable(cell, default):
    """A function that refers to things that can change, each in another way."""

    def f(x, d=default):
        return x, cell, d, SOME_GLOBAL

    f.__module__ = "__main__"
    f.__globals__["SOME_GLOBAL"]  # so that it is there
    return f


SOME_GLOBAL = {"a": [1]}


@pytest.mark.parametrize("change", ["cell", "default", "global", "nested", "rebound"])
def test_a_function_of_simple_changing_values_is_remembered_until_one_changes(change, monkeypatch):
    cell, default = [1, {"k": (2, [3])}], [4]
    monkeypatch.setitem(globals(), "SOME_GLOBAL", {"a": [1]})
    f = changeable(cell, default)
    first = codes.code_of(f)
    assert codes.code_of(f) is first
    if change == "cell":
        cell.append(5)
    elif change == "default":
        default[0] = 5
    elif change == "global":
        SOME_GLOBAL["a"].append(2)
    elif change == "nested":
        cell[1]["k"][1][0] = 4
    else:
        monkeypatch.setitem(globals(), "SOME_GLOBAL", {"a": [2]})
    second = codes.code_of(f)
    assert second.key != first.key
    assert codes.code_of(f) is second
    rebuilt = pickle.loads(second.body[1:])
    assert rebuilt(0) == f(0)


def test_a_value_that_changes_back_and_forth_is_never_out_of_date():
    cell = [0]
    f = changeable(cell, None)
    for number in (1, 2, 1, 1, 3):
        cell[0] = number
        assert pickle.loads(codes.code_of(f).body[1:])(0)[1] == [number]


class Hiding(list):
    """A list with something that a pickle of lists would not show."""


def test_what_may_hide_its_state_is_pickled_anew_each_time():
    cell = Hiding([1])
    f = changeable(cell, None)
    first = codes.code_of(f)
    cell.extra = 5
    second = codes.code_of(f)
    assert pickle.loads(second.body[1:])(0)[1].extra == 5
    assert second.key != first.key


def test_functions_of_values_that_are_large_are_not_kept(monkeypatch):
    monkeypatch.setattr(codes, "_MAX_SNAPSHOT", 100)
    cell = [0] * 1000
    f = changeable(cell, None)
    assert codes.code_of(f) is not codes.code_of(f)
    assert codes.code_of(f) == codes.code_of(f)


def test_each_task_gets_changing_values_afresh_and_sees_their_changes(one):
    seen = [1]

    def f(x):
        seen.append(x)
        return list(seen)

    assert mirai_py.mirai(f, 2, _compute=one).collect() == [1, 2]
    assert mirai_py.mirai(f, 3, _compute=one).collect() == [1, 3]
    seen.append("changed")
    assert mirai_py.mirai(f, 4, _compute=one).collect() == [1, "changed", 4]
    assert seen == [1, "changed"]
