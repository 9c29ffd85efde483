"""`dispatcher=False`: tasks are bound to daemons, in turn."""

import os
import signal
import time

import pytest

import mirai_py
from mirai_py import everywhere, mirai, mirai_map


@pytest.fixture
def direct(fresh):
    """A profile of two daemons without dispatcher."""
    mirai_py.daemons(2, dispatcher=False, compute=fresh)
    return fresh


def pid():
    import os

    return os.getpid()


pid.__module__ = "__main__"


def test_all_kinds_of_tasks_work(direct):
    assert mirai(pow, 2, 5, _compute=direct).collect() == 32
    assert mirai_map(range(50), lambda x: x + 1, _compute=direct).collect() == list(range(1, 51))
    error = mirai(lambda: 1 / 0, _compute=direct).collect()
    assert mirai_py.is_mirai_error(error)
    assert list(mirai_py.mirai_imap(range(20), abs, _compute=direct)) == list(range(20))


def test_only_connections_are_known(direct):
    assert mirai_py.info(direct) == {
        "connections": 2,
        "cumulative": None,
        "awaiting": None,
        "executing": None,
        "completed": None,
    }
    assert set(mirai_py.status(direct)) == {"connections", "daemons"}
    assert mirai_py.nextget("dispatcher", direct) is False


def test_tasks_go_round_whatever_the_daemons_are_doing(direct, gate):
    held = mirai(gate.task, gate.argument, _compute=direct)
    (busy,) = gate.wait()
    found = [mirai(pid, _compute=direct) for _ in range(4)]
    assert found[0].collect() == found[2].collect() != busy
    assert mirai_py.unresolved(found[1])
    gate.open()
    assert found[1].collect() == found[3].collect() == busy
    assert held.collect() is None


def test_what_is_bound_is_not_cancelled_but_runs(direct, gate, tmp_path):
    everywhere("", _compute=direct).collect()
    mirai(gate.task, gate.argument, _compute=direct)
    gate.wait()
    mirai(abs, 1, _compute=direct).collect()
    bound = mirai(os.mkdir, str(tmp_path / "made"), _compute=direct)
    assert mirai_py.stop_mirai(bound) is False
    assert bound.data == 20
    mirai(abs, 1, _compute=direct).collect()
    last = mirai(abs, 2, _compute=direct)
    gate.open()
    assert last.collect() == 2
    assert (tmp_path / "made").exists()


def test_what_waits_for_the_first_daemon_is_stopped(fresh, tmp_path):
    mirai_py.daemons(url=mirai_py.local_url(), dispatcher=False, compute=fresh)
    waiting = mirai(os.mkdir, str(tmp_path / "made"), _compute=fresh)
    assert mirai_py.stop_mirai(waiting) is True
    assert waiting.data == 20
    mirai_py.launch_local(1, compute=fresh)
    assert mirai(abs, -1, _compute=fresh).collect() == 1
    assert not (tmp_path / "made").exists()


def test_a_timeout_leaves_its_daemon_at_work(direct, gate):
    late = mirai(gate.task, gate.argument, _timeout=200, _compute=direct)
    (busy,) = gate.wait()
    assert late.collect() == 5
    mirai(abs, 1, _compute=direct).collect()
    behind = mirai(pid, _compute=direct)
    assert mirai_py.unresolved(behind)
    gate.open()
    assert behind.collect() == busy


def test_all_that_is_bound_to_a_dead_daemon_is_lost_and_nothing_else(direct, gate):
    victims = [mirai(gate.task, gate.argument, _compute=direct)]
    (dead,) = gate.wait()
    others = []
    for _ in range(5):
        others.append(mirai(pid, _compute=direct))
        victims.append(mirai(pid, _compute=direct))
    os.kill(dead, signal.SIGKILL)
    for victim in victims:
        assert victim.collect() == 19
        assert victim.data.detail["signal"] == "SIGKILL"
    assert len({m.collect() for m in others}) == 1
    assert mirai_py.info(direct)["connections"] == 1
    assert {mirai(pid, _compute=direct).collect() for _ in range(4)} == {others[0].data}


def test_what_is_bound_to_a_daemon_that_leaves_goes_to_another(direct, gate):
    held = mirai(gate.task, gate.argument, 5, _compute=direct)
    gate.wait()
    found = [mirai(pid, _compute=direct) for _ in range(4)]
    stays = found[0].collect()
    assert mirai_py.stop_daemons(2, direct) == 2
    mirai_py.launch_local(1, compute=direct)
    gate.open()
    assert held.collect() == 5
    assert stays not in {m.collect() for m in found[1::2]}


def test_limits_of_daemons_lose_nothing(fresh):
    mirai_py.daemons(2, dispatcher=False, maxtasks=2, compute=fresh)
    found = [mirai(abs, i, _compute=fresh) for i in range(5)]
    mirai_py.launch_local(1, compute=fresh)
    assert [m.collect() for m in found] == list(range(5))


def test_what_comes_before_any_daemon_waits_for_the_first(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), dispatcher=False, compute=fresh)
    waiting = [mirai(abs, -i, _compute=fresh) for i in range(5)]
    mirai_py.launch_local(1, compute=fresh)
    assert [m.collect() for m in waiting] == list(range(5))


def test_a_reset_resolves_what_is_bound(direct, gate):
    mirai(gate.task, gate.argument, _compute=direct)
    gate.wait()
    found = [mirai(time.sleep, 60, _compute=direct) for _ in range(4)]
    mirai_py.daemons(0, compute=direct)
    assert [m.data for m in found] == [19] * 4


def test_everywhere_runs_once_on_each_and_lasts(direct):
    mapped = everywhere("import os; standing = 5; os.getpid()", _compute=direct)
    assert len(set(mapped.collect())) == len(mapped) == 2
    assert [mirai("standing", _compute=direct).collect() for _ in range(4)] == [5] * 4


def test_everywhere_counts_the_daemons_that_were_asked_for(fresh):
    mirai_py.daemons(2, dispatcher=False, compute=fresh)
    mirai_py.stop_daemons(1, fresh)
    assert len(everywhere("", _compute=fresh)) == 2


def test_a_persistent_everywhere_reaches_later_daemons(direct):
    everywhere("standing = 5", _persist=True, _compute=direct).collect()
    mirai_py.stop_daemons(2, direct)
    mirai_py.launch_local(1, compute=direct)
    assert mirai("standing", _compute=direct).collect() == 5


def test_seeded_tasks_draw_the_numbers_that_they_draw_with_a_dispatcher(fresh):
    def draw(_):
        import random

        return random.random()

    draw.__module__ = "__main__"
    drawn = []
    for options in ({"dispatcher": False}, {"dispatcher": True}):
        mirai_py.daemons(2, seed=3, compute=fresh, **options)
        drawn.append(mirai_map(range(6), draw, _compute=fresh).collect())
    assert drawn[0] == drawn[1]


def test_there_is_no_bound_of_the_queue(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), dispatcher=False, memory=0.001, compute=fresh)
    assert all(mirai_py.try_mirai(len, bytes(5000), _compute=fresh) for _ in range(5))


def test_a_cluster_that_lost_its_nodes_keeps_nobody_waiting():
    with mirai_py.make_cluster(1, dispatcher=False) as cluster:
        node = cluster.submit(os.getpid).result()
        os.kill(node, signal.SIGKILL)
        with pytest.raises((mirai_py.BrokenClusterError, mirai_py.MiraiConnectionError)):
            cluster.submit(abs, -1).result(30)


def test_a_cluster_may_do_without_a_dispatcher():
    with mirai_py.make_cluster(2, dispatcher=False) as cluster:
        assert list(cluster.map(abs, range(-5, 0))) == [5, 4, 3, 2, 1]
