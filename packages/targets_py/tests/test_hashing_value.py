import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import pathlib
import random
import re
import subprocess
import sys
import threading
import uuid

import pytest

from targets_py.errors import TarError
from targets_py.hashing.value import UnhashableValueError, hash_value, is_plain, tar_hash


@dataclasses.dataclass
class Point:
    x: int
    y: object = None


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Flags(enum.Flag):
    A = 1
    B = 2


class Words(list):
    pass


class Bag(set):
    pass


Pair = collections.namedtuple("Pair", "a b")  # noqa: PYI024 - what people have


def built(text):
    """An equal str that is not interned."""
    return "".join(list(text))


def cycle(n):
    value = [n]
    value.append({"me": value})
    return value


EQUAL = {
    "sets": ({"a", "b", "c"}, {"c", "b", "a"}),
    "frozen sets of tuples": (frozenset({("a", 1), ("b", (2,))}), frozenset({("b", (2,)), ("a", 1)})),
    "interned or built": (["a b", "a b"], [built("a b"), built("a b")]),
    "aliased or copied": ([[1, 2]] * 2, [[1, 2], [1, 2]]),
    "aliased objects": ([Point(1)] * 2, [Point(1), Point(1)]),
    "cycles": (cycle(1), cycle(1)),
    "instances": (Point(1, [2]), Point(1, [2])),
    "slots": (Slotted(1), Slotted(1)),
    "nan": (float("nan"), float("nan")),
    "paths": (pathlib.PurePosixPath("a/b"), pathlib.PurePosixPath("a", "b")),
    "patterns": (re.compile("a+"), re.compile("a+")),
    "partials": (functools.partial(max, 1), functools.partial(max, 1)),
    "generators of random numbers": (random.Random(1), random.Random(1)),
    "ordered": (collections.OrderedDict(a=1), collections.OrderedDict(a=1)),
    "sets of strings in objects": (Point(1, {"a", "b"}), Point(1, {"b", "a"})),
    "subclass of set": (Bag("abc"), Bag("cba")),
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL.keys())
def test_equal_values_hash_equal(pair):
    assert hash_value(pair[0]) == hash_value(pair[1])


DIFFERENT = {
    "scalars": (1, 1.0, True, 1 + 0j, "1", b"1", None, ..., 0, False, -1, 2**70, -(2**70)),
    "zeros": (0.0, -0.0),
    "texts": ("a", b"a", bytearray(b"a"), "", b"", "é", "e\u0301"),
    "containers": ([1], (1,), {1}, frozenset({1}), {1: None}, collections.deque([1]), Words([1])),
    "mixed containers": ([[1]], ((1,),), ([1],), [(1,)], {"a": [1]}, [[1], []], [[1], [1]], [[[1]]]),
    "order of a dict": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "order of a mixed dict": ({"a": [], "b": {}}, {"b": {}, "a": []}),
    "structure": ([["a", "b"]], [["a"], ["b"]], ["ab"], [["ab"]]),
    "key or value": ({"a": "b"}, {"b": "a"}, {"a": {"b": 1}}),
    "objects": (Point(1), Point(2), Point(1, 1), Slotted(1), Pair(1, None), (1, None)),
    "enums": (Colour.RED, Colour.BLUE, 1, Flags.A, Flags.A | Flags.B, Flags(0)),
    "times": (
        dt.date(2026, 1, 1),
        dt.datetime(2026, 1, 1),  # noqa: DTZ001
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 1, fold=1),  # noqa: DTZ001
        dt.timedelta(1),
        dt.time(1),
    ),
    "numbers": (decimal.Decimal("1.0"), decimal.Decimal("1.00"), fractions.Fraction(1), 1),
    "others": (uuid.UUID(int=1), range(1), range(2), slice(1), pathlib.PurePosixPath("a"), re.compile("a")),
    "depth of cycles": (cycle(1), cycle(2), [1, {"me": [1, {"me": None}]}]),
    "bytes or an array": ([b"\1\0\0\0"], [bytearray(b"\1\0\0\0")]),
    "functions": (len, max, str.upper, int, functools.partial(max, 1), functools.partial(max, 2)),
}


@pytest.mark.parametrize("values", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_unequal_values_hash_differently(values):
    hashes = [hash_value(value) for value in values]

    assert len(set(hashes)) == len(hashes)


PROGRAM = """
import collections, dataclasses, json, sys
from targets_py.hashing.value import hash_value

@dataclasses.dataclass
class Point:
    x: object

names = {f"name{i}" for i in range(50)}
values = [
    names, frozenset(names), [names, {"k": names}], {"a": frozenset(names)}, Point(names),
    {("a", n) for n in names}, "".join(["a", "b"]), ["ab", sys.intern("ab")], range(3), {Ellipsis: ()},
    collections.Counter("abracadabra"), {1, 1.5, None, "x", b"y"}, [{"a": i, "b": str(i)} for i in range(20)],
]
print(json.dumps([hash_value(v) for v in values]))
"""


def test_hashes_do_not_depend_on_the_process(monkeypatch):
    results = set()
    for seed in ("0", "1", "4242"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        run = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
        results.add(run.stdout)

    assert len(results) == 1


def test_shared_parts_are_walked_once():
    """Without that, this value of 200 lists would have 2**200 of them."""
    value = [1]
    for _ in range(200):
        value = [value, value]
    copied = copy.deepcopy(value)

    assert hash_value(value) == hash_value(copied)


def test_a_part_of_a_cycle_is_not_taken_for_another():
    inner = [1]
    outer = [inner, [inner]]
    inner.append(outer)
    unrolled = copy.deepcopy(outer)

    assert hash_value(outer) == hash_value(unrolled)
    assert hash_value(outer) != hash_value(outer[1])


@pytest.mark.parametrize(
    "value",
    [threading.Lock(), (i for i in "a"), [Point(threading.Lock())]],
    ids=["lock", "generator", "inside an object"],
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(UnhashableValueError, match="no canonical form") as caught:
        hash_value(value)
    assert isinstance(caught.value, TarError)
    assert isinstance(caught.value, TypeError)


def test_very_deep_values_are_refused_not_fatal():
    value = []
    for _ in range(100_000):
        value = [value, 1]

    with pytest.raises(UnhashableValueError, match="nested too deeply"):
        hash_value(value)
    while value:  # dismantle it step by step: its own end would recurse too
        value = value[0]


def test_a_class_may_say_what_counts():
    class Model:
        def __init__(self, weights):
            self.weights = weights
            self.lock = threading.Lock()

    class Special(Model):
        pass

    tar_hash(Model, lambda model: model.weights)

    assert hash_value(Model([1])) == hash_value(Model([1]))
    assert hash_value(Model([1])) != hash_value(Model([2]))
    assert hash_value([Special([1])]) != hash_value([Model([1])])


def test_an_instance_does_not_count_the_code_of_its_class():
    """Two classes of one name: the code changed, the values did not."""

    def make(result):
        class Thing:
            def method(self):
                return result

        return Thing()

    assert hash_value(make(1)) == hash_value(make(2))


def test_a_function_in_a_value_counts_by_its_code(monkeypatch):
    monkeypatch.chdir(pathlib.Path(__file__).parent)  # code of the project counts by what it says
    one, two, again = lambda v: v + 1, lambda v: v + 2, lambda v: v + 1

    assert hash_value([one]) != hash_value([two])
    assert hash_value({"f": one}) == hash_value({"f": again})


def test_plain_values_are_exact_builtins_only():
    assert is_plain([1, "a", None])
    assert is_plain({"a": 1.5})
    assert not is_plain([[1]])
    assert not is_plain(Words([1]))
    assert not is_plain(Colour.RED)
    assert not is_plain({"a": bytearray(b"")})
