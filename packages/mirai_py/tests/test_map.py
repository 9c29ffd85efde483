import asyncio

import pytest

import mirai_py
from mirai_py import mirai_map
from mirai_py.handles import Mirai
from mirai_py.map import MiraiMap, elements


def mapped(*values, names=None):
    mirais = [Mirai() for _ in values]
    for m, v in zip(mirais, values, strict=True):
        m._resolve_value(v)
    return MiraiMap(mirais, names)


def error(text="boom"):
    return mirai_py.MiraiError(text, ("ValueError", "Exception", "BaseException"))


def test_a_map_is_a_sequence_of_mirais():
    m = mapped(1, 2, 3)
    assert len(m) == 3
    assert [x.data for x in m] == [1, 2, 3]
    assert m[-1].data == 3
    assert [x.data for x in m[:2]] == [1, 2]
    assert mirai_py.is_mirai_map(m)
    assert not mirai_py.is_mirai_map([1])
    with pytest.raises(IndexError):
        m[3]
    with pytest.raises(KeyError, match="no element named 'a'"):
        m["a"]


def test_its_repr_counts_what_is_resolved():
    m = MiraiMap([Mirai(), Mirai()], None)
    assert repr(m) == "< mirai map [0/2] >"
    m[0]._resolve_value(1)
    assert repr(m) == "< mirai map [1/2] >"
    assert not m.done()


def test_a_dict_gives_names(two):
    m = mirai_map({"a": 1, "b": 2}, lambda x: x * 10, _compute=two)
    assert m.names == ["a", "b"]
    assert m["b"].collect() == 20
    assert m.collect() == {"a": 10, "b": 20}


@pytest.mark.parametrize("x", [[1, 2], (1, 2), range(1, 3), iter([1, 2]), {1: None, 2: None}.keys()])
def test_any_iterable_gives_one_call_each(two, x):
    assert mirai_map(x, lambda v: v, _compute=two).collect() == [1, 2]


def test_lists_of_lists_are_not_unpacked(two):
    assert mirai_map([[1, 2], [3]], len, _compute=two).collect() == [2, 1]


def test_empty_input_gives_empty_output(two):
    assert mirai_map([], abs, _compute=two).collect() == []
    assert mirai_map({}, abs, _compute=two).collect() == {}
    assert mirai_map([], abs, _compute=two).collect(flat=True, stop=True) == []


@pytest.mark.parametrize(("x", "told"), [("abc", "`x` is a str"), (b"abc", "`x` is a bytes"), (5, "not int")])
def test_what_is_nothing_to_map_over_is_a_type_error(two, x, told):
    with pytest.raises(TypeError, match=told):
        mirai_map(x, abs, _compute=two)


def test_rows_of_a_polars_frame_are_passed_by_name_with_their_types(two):
    pl = pytest.importorskip("polars")
    import datetime as dt

    frame = pl.DataFrame({"day": [dt.date(2013, 1, 1)], "n": [3], "x": [1.5], "s": ["a"]})
    f = lambda day, n, x, s: (type(day).__name__, type(n).__name__, type(x).__name__, s)
    assert mirai_map(frame, f, _compute=two).collect() == [("date", "int", "float", "a")]
    bad = mirai_map(frame, lambda n: n, _compute=two).collect()
    assert bad[0].condition_class[0] == "TypeError"


def test_rows_of_a_pandas_frame_keep_types_per_column_and_a_text_index_names_them(two):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, 1.5]}, index=["first", "second"])
    f = lambda n, x: (int(n) == n, x)
    assert mirai_map(frame, f, _compute=two).collect() == {"first": (True, 0.5), "second": (True, 1.5)}


def test_arrays_give_elements_or_rows():
    np = pytest.importorskip("numpy")
    assert [a for a, _ in elements(np.arange(3)).calls()] == [(0,), (1,), (2,)]
    assert [a for a, _ in elements(np.arange(4).reshape(2, 2)).calls()] == [(0, 1), (2, 3)]


def test_a_dict_of_columns_is_no_frame():
    found = elements({"a": [1, 2]})
    assert found.names == ["a"]
    assert [a for a, _ in found.calls()] == [([1, 2],)]


def test_failures_stay_in_their_place(two):
    found = mirai_map([1, 0, 2], lambda x: 1 // x, _compute=two).collect()
    assert found[0] == 1
    assert mirai_py.is_mirai_error(found[1])
    assert found[2] == 0


def test_order_is_that_of_the_input_whatever_comes_first(fresh, gate):
    mirai_py.daemons(2, compute=fresh)
    task = gate.task
    m = mirai_map([gate.argument, None], lambda folder: task(folder, 1) if folder else 2, _compute=fresh)
    m[1].call()
    assert not m[0].done()
    gate.wait()
    gate.open()
    assert m.collect() == [1, 2]


# -- many at a time


def test_a_hundred_thousand_elements_keep_order_counts_and_identity(two):
    before = mirai_py.info(two)["completed"]
    m = mirai_map(range(100_000), lambda x: x if x % 1000 else [x], _compute=two)
    found = m.collect()
    assert [x[0] if isinstance(x, list) else x for x in found] == list(range(100_000))
    assert found[1000] is m[1000].data is m[1000].collect()
    assert m[5] is m[5]
    assert mirai_py.info(two)["completed"] == before + 100_000
    assert repr(m) == "< mirai map [100000/100000] >"


def test_elements_are_stopped_one_by_one_or_all_at_once(fresh, gate):
    mirai_py.daemons(1, compute=fresh)
    m = mirai_map([gate.argument] * 50, gate.task, _compute=fresh)
    gate.wait()
    assert m[7].cancel() is True
    assert m[7].data == 20
    assert mirai_py.info(fresh)["awaiting"] == 48
    assert mirai_py.stop_mirai(m) == [i != 7 for i in range(50)]
    assert m.done()
    assert mirai_py.mirai(abs, -1, _compute=fresh).collect() == 1
    assert mirai_py.info(fresh) == {
        "connections": 1,
        "cumulative": 1,
        "awaiting": 0,
        "executing": 0,
        "completed": 51,
    }


def test_a_timeout_counts_for_each_element(fresh, gate):
    mirai_py.daemons(1, compute=fresh)
    task = gate.task
    f = lambda x: task(x) if x else "in time"
    m = mirai_map([None, gate.argument, gate.argument], f, _timeout=500, _compute=fresh)
    assert m[0].collect() == "in time"
    assert m.collect() == ["in time", 5, 5]


def test_seeded_elements_draw_the_same_numbers_whatever_runs_where(fresh):
    f = lambda _: __import__("random").random()
    drawn = []
    for n in (1, 2):
        mirai_py.daemons(n, seed=11, compute=fresh)
        drawn.append(
            [
                *mirai_map(range(600), f, _compute=fresh).collect(),
                mirai_py.mirai(f, 0, _compute=fresh).collect(),
            ]
        )
    mirai_py.daemons(sync=True, seed=11, compute=fresh)
    drawn.append(mirai_map(range(601), f, _compute=fresh).collect())
    assert drawn[0] == drawn[1] == drawn[2]
    assert len(set(drawn[0])) == 601


def test_maxtasks_counts_elements_and_leaves_the_rest_to_the_next_daemon(fresh):
    mirai_py.daemons(1, compute=fresh)
    f = lambda _: __import__("os").getpid()
    mirai_map(range(1000), f, _compute=fresh).call()
    mirai_py.daemons(1, maxtasks=150, compute=fresh)
    m = mirai_map(range(400), f, _compute=fresh)
    for _ in range(2):
        mirai_py.launch_local(1, compute=fresh)
    counts = sorted(found.count(pid) for found in [m.collect()] for pid in set(found))
    assert counts == [100, 150, 150]


def test_an_element_that_cannot_be_sent_is_named_and_nothing_is_sent(two):
    import threading

    before = mirai_py.info(two)
    with pytest.raises(mirai_py.MiraiSerializationError, match=r"element 2 of type _thread\.lock"):
        mirai_map([1, 2, threading.Lock()], abs, _compute=two)
    assert mirai_py.info(two) == before


def test_once_objects_may_stand_in_elements_and_constants(two):
    table = mirai_py.once({"a": 1})
    found = mirai_map(
        [(table, 1), (table, 2)], lambda x, t: (x[0]["a"], x[1], t["a"]), _args=(table,), _compute=two
    )
    assert found.collect() == [(1, 1, 1), (1, 2, 1)]


def test_waiting_for_a_map_makes_no_mirais(two):
    m = mirai_map(range(1000), abs, _compute=two)
    assert mirai_py.call_mirai(m) is m
    assert not mirai_py.unresolved(m)
    assert m.collect(progress=False, stop=True) == list(range(1000))
    assert not m._source._made


def test_a_map_waits_for_daemons_and_ends_with_its_profile(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), compute=fresh)
    m = mirai_map(range(1000), abs, _compute=fresh)
    assert mirai_py.info(fresh)["awaiting"] == 1000
    element = m[3]
    mirai_py.daemons(0, compute=fresh)
    assert element.data == 19
    assert m.collect() == [19] * 1000


# -- flat


@pytest.mark.parametrize(
    ("values", "flat"),
    [
        ([1, 2], [1, 2]),
        ([[1, 2], [2, 3]], [1, 2, 2, 3]),
        ([(1,), [2]], [1, 2]),
        ([[1], [[2]]], [1, [2]]),
        (["ab", "c"], ["ab", "c"]),
        ([1, None, 2], [1, 2]),
        ([None, None], []),
    ],
)
def test_flat_joins_one_level(values, flat):
    if {type(v) for v in values} == {list, tuple}:
        with pytest.raises(mirai_py.MiraiMapError):
            mapped(*values).collect(flat=True)
    else:
        assert mapped(*values).collect(flat=True) == flat


@pytest.mark.parametrize("values", [(1, 2.0), (True, 1), (1, "a"), ([1], 1)])
def test_flat_needs_one_type(values):
    with pytest.raises(
        mirai_py.MiraiMapError, match=r"element 1 of the map failed: .*flat needs one type"
    ) as e:
        mapped(*values).collect(flat=True)
    assert e.value.index == 1


def test_flat_concatenates_arrays():
    np = pytest.importorskip("numpy")
    found = mapped(np.arange(2), np.arange(3)).collect(flat=True)
    assert found.tolist() == [0, 1, 0, 1, 2]


def test_flat_raises_for_a_failure_also_of_the_first():
    with pytest.raises(mirai_py.MiraiMapError, match=r"element 0 .*ValueError: boom"):
        mapped(error(), 1).collect(flat=True)


# -- stop


def test_stop_reacts_to_the_first_failure_in_time_not_in_order(fresh, gate):
    mirai_py.daemons(2, compute=fresh)
    task = gate.task
    f = lambda x: task(x) if x else 1 / 0
    m = mirai_map({"slow": gate.argument, "bad": None, "never": gate.argument}, f, _compute=fresh)
    with pytest.raises(mirai_py.MiraiMapError, match=r"element 1 \('bad'\)") as e:
        m.collect(stop=True)
    assert (e.value.index, e.value.name) == (1, "bad")
    assert isinstance(e.value.cause, mirai_py.MiraiError)
    assert e.value.__cause__ is e.value.cause
    assert [m[0].data, m[2].data] == [20, 20]
    assert mirai_py.info(fresh)["connections"] == 2


def test_daemons_survive_many_stopped_maps(two):
    for _ in range(25):
        with pytest.raises(mirai_py.MiraiMapError):
            mirai_map(range(6), lambda x: 1 // x, _compute=two).collect(stop=True)
    assert mirai_py.info(two)["connections"] == 2
    assert mirai_py.info(two)["cumulative"] == 2


# -- asyncio


def test_await_gives_all_values_or_the_first_failure(two):
    async def main():
        assert await mirai_map(range(3), abs, _compute=two) == [0, 1, 2]
        assert await mirai_map({"a": -1}, abs, _compute=two) == {"a": 1}
        with pytest.raises(ZeroDivisionError):
            await mirai_map([1, 0], lambda x: 1 / x, _compute=two)

    asyncio.run(main())


def test_a_failure_of_a_map_ends_the_await_at_once_and_cancelling_it_stops_the_rest(fresh, gate):
    mirai_py.daemons(2, compute=fresh)
    task = gate.task

    async def main():
        f = lambda x: task(x) if x else 1 / 0
        m = mirai_map([gate.argument, None], f, _compute=fresh)
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(_await(m), 20)
        assert not m[0].done()
        waiting = asyncio.ensure_future(_await(m[:1][0]))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert m[0].data == 20

    asyncio.run(main())


async def _await(m):
    return await m


def test_cancelling_the_await_of_a_map_stops_all_of_it(fresh, gate):
    mirai_py.daemons(1, compute=fresh)
    task = gate.task

    async def main():
        m = mirai_map([gate.argument] * 3, lambda x: task(x), _compute=fresh)  # noqa: PLW0108
        waiting = asyncio.ensure_future(_await(m))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert [x.data for x in m] == [20, 20, 20]

    asyncio.run(main())
