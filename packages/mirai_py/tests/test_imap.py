import itertools

import pytest

import mirai_py
from mirai_py import mirai_imap


def counted(taken):
    """An endless input that keeps count of what was taken from it."""
    for i in itertools.count():
        taken.append(i)
        yield i


@pytest.mark.parametrize("ordered", [True, False])
def test_an_endless_input_is_taken_no_further_than_the_window(two, ordered):
    taken = []
    values = mirai_imap(counted(taken), abs, _window=3, _ordered=ordered, _compute=two)
    assert taken == []
    got = [next(values)]
    assert len(taken) <= 4
    got += itertools.islice(values, 20)
    assert len(taken) <= 21 + 3
    assert len(set(got)) == 21
    assert not ordered or got == list(range(21))
    values.close()


def test_the_window_grows_with_the_daemons(two):
    taken = []
    values = mirai_imap(counted(taken), abs, _compute=two)
    next(values)
    assert len(taken) == 4 * 2 + 1
    values.close()


@pytest.mark.parametrize("ordered", [True, False])
def test_a_finite_input_is_given_completely(two, ordered):
    values = list(mirai_imap(range(100), lambda x: x + 1, _ordered=ordered, _compute=two))
    assert (values if ordered else sorted(values)) == list(range(1, 101))
    assert list(mirai_imap([], abs, _ordered=ordered, _compute=two)) == []


def test_the_order_is_that_of_the_input_or_of_arrival(fresh, gate):
    mirai_py.daemons(2, compute=fresh)

    def work(folder, x, task):
        return x if folder is None else task(folder, x)

    inputs = [(gate.argument, 0), (None, 1), (None, 2)]
    unordered = mirai_imap(
        inputs,
        lambda pair, work, task: work(*pair, task),
        work=work,
        task=gate.task,
        _ordered=False,
        _compute=fresh,
    )
    assert [next(unordered), next(unordered)] == [1, 2]
    gate.open()
    assert next(unordered) == 0
    gate.wait()
    gate.open()
    ordered = mirai_imap(
        inputs, lambda pair, work, task: work(*pair, task), work=work, task=gate.task, _compute=fresh
    )
    assert list(ordered) == [0, 1, 2]


@pytest.mark.parametrize("ordered", [True, False])
def test_a_failure_is_raised_in_its_place_and_ends_it(fresh, ordered):
    mirai_py.daemons(1, compute=fresh)
    values = mirai_imap([1, 2, 0, 3], lambda x: 6 // x, _ordered=ordered, _compute=fresh)
    assert [next(values), next(values)] == [6, 3]
    with pytest.raises(ZeroDivisionError) as caught:
        next(values)
    assert isinstance(caught.value.__cause__, mirai_py.MiraiError)
    with pytest.raises(StopIteration):
        next(values)


@pytest.mark.parametrize("ordered", [True, False])
def test_closing_it_stops_what_is_under_way(fresh, gate, ordered):
    mirai_py.daemons(1, compute=fresh)
    values = mirai_imap(
        itertools.repeat(gate.argument), gate.task, _args=[7], _ordered=ordered, _window=5, _compute=fresh
    )
    gate.open()
    assert next(values) == 7
    gate.wait(2)
    counts = mirai_py.info(fresh)
    assert counts["awaiting"] + counts["executing"] == 5
    values.close()
    assert mirai_py.info(fresh)["awaiting"] == 0
    assert mirai_py.mirai(abs, -1, _compute=fresh).collect() == 1


def test_dropping_it_does_too(fresh, gate):
    mirai_py.daemons(1, compute=fresh)
    gate.open()
    for value in mirai_imap(itertools.repeat(gate.argument), gate.task, _args=[7], _compute=fresh):
        assert value == 7
        break
    else:
        pytest.fail("nothing came")
    assert mirai_py.mirai(abs, -1, _compute=fresh).collect() == 1


def test_a_dead_daemon_is_told_in_its_place(fresh):
    mirai_py.daemons(2, compute=fresh)
    kill = mirai_imap(
        [0, 9, 0], lambda s: __import__("os").kill(__import__("os").getpid(), s), _compute=fresh
    )
    assert next(kill) is None
    with pytest.raises(mirai_py.MiraiConnectionError, match="SIGKILL"):
        next(kill)


def test_elements_are_those_of_a_map(two):
    assert list(mirai_imap({"a": 1, "b": 2}, lambda x, y, z: x + y + z, _args=[10], z=100, _compute=two)) == [
        111,
        112,
    ]
    assert list(mirai_imap([1], lambda x: x + given, _globals={"given": 5}, _compute=two)) == [6]  # noqa: F821


def test_a_timeout_is_raised_in_its_place(fresh):
    mirai_py.daemons(1, compute=fresh)
    values = mirai_imap([60], __import__("time").sleep, _timeout=100, _compute=fresh)
    with pytest.raises(mirai_py.MiraiTimeoutError):
        next(values)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "told"),
    [
        (([1], abs), {"_window": 0}, ValueError, "`_window` must be a whole number"),
        (([1], abs), {"_window": 1.5}, ValueError, "`_window` must be a whole number"),
        (([1], 5), {}, TypeError, "`f` must be a function"),
        ((5, abs), {}, TypeError, "`x` must be something to iterate over"),
        (("abc", abs), {}, TypeError, "`x` is a str"),
        (([1], abs), {"_timeout": -1}, ValueError, "`_timeout`"),
        (([1], abs), {"_compute": "nothing of this name"}, mirai_py.DaemonsNotSetError, "No daemons set"),
    ],
)
def test_bad_arguments_are_named_at_the_call(two, arguments, options, error, told):
    with pytest.raises(error, match=told):
        mirai_imap(*arguments, **{"_compute": two, **options})


def test_random_numbers_are_those_of_a_map(fresh):
    def draw(_):
        import random

        return random.random()

    draw.__module__ = "__main__"
    drawn = []
    for call in (mirai_py.mirai_map, mirai_imap):
        mirai_py.daemons(2, seed=5, compute=fresh)
        made = call(range(6), draw, _compute=fresh)
        drawn.append(made.collect() if call is mirai_py.mirai_map else list(made))
    assert drawn[0] == drawn[1]


def test_it_works_in_sync(fresh):
    mirai_py.daemons(sync=True, compute=fresh)
    assert list(itertools.islice(mirai_imap(itertools.count(), abs, _compute=fresh), 5)) == list(range(5))
    with pytest.raises(ZeroDivisionError):
        list(mirai_imap([0], lambda x: 1 // x, _compute=fresh))
