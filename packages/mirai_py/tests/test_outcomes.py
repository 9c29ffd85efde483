import pickle
import threading

import pytest

import mirai_py
from mirai_py import pages, serial
from mirai_py.errors import describe
from mirai_py.frames import Status
from mirai_py.handles import Mirai
from mirai_py.outcomes import Listed, Outcomes
from nngsock import ErrorValue


class Engine:
    """Stands in for the dispatcher."""

    def stop(self, outcomes, first, end):
        answers = outcomes.open_flags(first, end)
        outcomes.settle(first, end, ErrorValue(20))
        outcomes.announce()
        return answers


@pytest.fixture
def five():
    return Outcomes(5, Engine().stop)


def store(outcomes, first, *values):
    outcomes.store(first, first + len(values), pickle.dumps(list(values), 5))
    outcomes.announce()


def store_packed(outcomes, first, *rows):
    outcomes.store(first, first + len(rows), b"".join(pages.table(rows)))
    outcomes.announce()


def error(text):
    return (Status.ERROR, [describe(ValueError(text), [])])


def value(it):
    return (Status.OK, serial.dumps(it, None))


def test_values_are_those_that_came_and_unresolved_where_none_did(five):
    store(five, 1, "a", "b")
    unresolved = mirai_py.UNRESOLVED
    assert five.values() == [unresolved, "a", "b", unresolved, unresolved]
    assert five.resolved() == 2


def test_a_value_is_the_same_object_each_time(five):
    store_packed(five, 0, value([1]), value([2]))
    first = five.value(0)
    assert first == [1]
    assert five.value(0) is first
    assert five.values()[0] is first
    assert five.mirai(0).data is first


def test_what_is_resolved_never_changes(five):
    five.mirai(1).cancel()
    store(five, 0, "a", "b", "c")
    store(five, 0, "x", "y", "z")
    assert five.values()[:3] == ["a", 20, "c"]


def test_a_mirai_is_made_once_and_follows_its_element(five):
    before = five.mirai(2)
    assert five.mirai(2) is before
    assert before.data is mirai_py.UNRESOLVED
    store(five, 2, "c")
    assert before.done()
    assert before.collect() == "c"
    assert five.mirai(2) is before
    assert five.mirai(3).id == before.id + 1


def test_ids_are_of_no_one_else(five):
    mine = {five.mirai(i).id for i in range(5)}
    others = (
        {Mirai().id for _ in range(100)} | {five.over.id} | {Outcomes(3, None).first + i for i in range(3)}
    )
    assert not mine & others
    assert min(Mirai().id for _ in range(1)) > max(mine)


def test_threads_that_take_ids_never_take_the_same():
    taken = [[] for _ in range(4)]

    def singles(to):
        to += [Mirai().id for _ in range(5000)]

    def blocks(to):
        for _ in range(500):
            first = Outcomes(3, None).first
            to += [first, first + 1, first + 2]

    calls = [singles, blocks, singles, blocks]
    threads = [threading.Thread(target=c, args=(t,)) for c, t in zip(calls, taken, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [i for some in taken for i in some]
    assert len(set(every)) == len(every)


def test_it_is_over_when_all_are_resolved(five):
    store(five, 0, 1, 2, 3, 4)
    assert not five.over.done()
    store(five, 4, 5)
    five.wait()
    assert five.over.done()


def test_who_watches_is_told_of_what_was_and_what_comes(five):
    store(five, 1, "b")
    five.settle(4, 5, ErrorValue(19))  # not announced yet
    seen = []
    end = five.watch(lambda *span: seen.append(span))
    assert seen == [(1, 2)]
    five.announce()
    store(five, 0, "a", "b", "c")
    assert seen == [(1, 2), (4, 5), (0, 1), (2, 3)]
    end()
    store(five, 3, "d")
    assert len(seen) == 4


def test_the_first_failure_is_found_among_values(five):
    store(five, 0, 1, 2)
    assert five.failure_in(0, 2) is None
    store_packed(five, 2, value(mirai_py.MiraiInterrupt()), error("boom"))
    assert five.failure_in(0, 4) == 2
    assert five.failure_in(3, 4) == 3
    assert str(five.value(3)) == "ValueError: boom"


def test_stopping_tells_what_it_stopped(five):
    store(five, 1, "b")
    assert five.stop() == [True, False, True, True, True]
    assert five.values() == [20, "b", 20, 20, 20]


def test_listed_mirais_can_be_watched_the_same():
    mirais = [Mirai(), Mirai()]
    listed = Listed(mirais)
    mirais[1]._resolve_value("b")
    seen = []
    end = listed.watch(lambda *span: seen.append(span))
    assert seen == [(1, 2)]
    end()
    mirais[0]._resolve_value("a")
    assert seen == [(1, 2)]
    assert listed.values() == ["a", "b"]
