import math

from mirai_py.dispatch import pace
from mirai_py.dispatch.pace import Pace


def test_nothing_is_expected_of_what_was_never_seen():
    assert Pace().expected(b"f") == math.inf
    assert Pace().chunk(b"f", 1000, 2) == 1


def test_it_follows_what_is_measured():
    p = Pace()
    p.learn(b"f", 1.0)
    assert p.expected(b"f") == 1.0
    p.learn(b"f", 0.0)
    assert 0 < p.expected(b"f") < 1
    p.learn(b"f", 0.0, 100)  # a hundred that took no time outweigh one that did
    assert p.expected(b"f") < 1e-6


def test_elements_that_take_long_go_alone():
    p = Pace()
    p.learn(b"f", 2 * pace.SHORT_SECONDS)
    assert p.chunk(b"f", 1000, 2) == 1


def test_chunks_take_no_longer_than_they_may_and_become_smaller_towards_the_end():
    p = Pace()
    p.learn(b"f", pace.SHORT_SECONDS / 10)
    most = p.chunk(b"f", 10**6, 2)
    assert 0.5 <= most * p.expected(b"f") / pace.CHUNK_SECONDS <= 1
    assert p.chunk(b"f", 400, 2) == 100
    assert p.chunk(b"f", 1, 2) == 1


def test_chunks_are_worth_a_message_but_no_more_than_a_fair_share():
    p = Pace()
    p.learn(b"f", 1e-6)
    assert p.chunk(b"f", 100, 2) == 50


def test_what_is_known_stays_bounded(monkeypatch):
    monkeypatch.setattr(pace, "_MAX_ESTIMATES", 10)
    p = Pace()
    for i in range(50):
        p.learn(b"%d" % i, 1.0)
    assert len(p._seconds) == 10
    assert p.expected(b"49") == 1.0
