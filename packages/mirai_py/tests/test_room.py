"""The queue with a bound: who waits, who is turned away, and what counts."""

import signal
import subprocess
import sys
import textwrap
import threading

import pytest

import mirai_py
from mirai_py.dispatch.room import Room

SIZE = 40_000
PAYLOAD = bytes(SIZE)


def memory(compute):
    return mirai_py.status(compute)["memory"]


def test_what_is_let_in_may_exceed_the_bound_once():
    room = Room(100)
    assert not room.full
    room.add(250)
    room.note_peak()
    assert room.full
    room.remove(250)
    assert not room.full
    assert (room.used, room.peak) == (0, 250)


def test_who_waits_is_woken_when_there_is_room_not_before():
    room = Room(100)
    room.add(300)
    lock = room.wait_lock()
    room.remove(150)
    assert lock.locked()
    room.remove(100)
    assert not lock.locked()


def test_only_what_waits_counts_not_what_runs(fresh, gate):
    mirai_py.daemons(1, memory=0.01, compute=fresh)
    running = mirai_py.mirai(gate.task, gate.argument, PAYLOAD, _compute=fresh)
    gate.wait()
    assert memory(fresh)["used"] == 0
    waiting = mirai_py.mirai(len, PAYLOAD, _compute=fresh)
    assert memory(fresh) == {
        "used": pytest.approx(0.040, rel=0.05),
        "peak": pytest.approx(0.040, rel=0.05),
        "capacity": 0.01,
    }
    gate.open()
    assert len(running.collect()) == waiting.collect() == SIZE
    assert memory(fresh)["used"] == 0


def test_at_the_bound_try_mirai_is_none_and_stopping_makes_room(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), memory=0.01, compute=fresh)
    waiting = mirai_py.try_mirai(len, PAYLOAD, _compute=fresh)
    assert mirai_py.is_mirai(waiting)
    assert [mirai_py.try_mirai(abs, -1, _compute=fresh) for _ in range(100)] == [None] * 100
    assert mirai_py.info(fresh)["awaiting"] == 1
    peak = memory(fresh)["peak"]
    assert mirai_py.stop_mirai(waiting)
    assert memory(fresh)["used"] == 0
    assert memory(fresh)["peak"] == peak
    assert mirai_py.is_mirai(mirai_py.try_mirai(abs, -1, _compute=fresh))


@pytest.mark.parametrize("bound", [None, 0, -1, float("nan"), float("inf")])
def test_without_a_bound_nothing_is_turned_away(fresh, bound):
    mirai_py.daemons(url=mirai_py.local_url(), memory=bound, compute=fresh)
    for _ in range(5):
        assert mirai_py.try_mirai(len, PAYLOAD, _compute=fresh) is not None
    assert memory(fresh)["capacity"] is None
    assert memory(fresh)["used"] == pytest.approx(0.2, rel=0.05)


def test_a_bound_is_a_number(fresh):
    with pytest.raises(TypeError, match=r"`memory` must be a number of MB"):
        mirai_py.daemons(url=mirai_py.local_url(), memory="1 GB", compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_rejections_leave_the_random_streams_alone(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), memory=0.01, seed=1, compute=fresh)
    mirai_py.mirai(len, PAYLOAD, _compute=fresh)
    before = mirai_py.nextget("stream", fresh)
    assert [mirai_py.try_mirai(abs, -1, _compute=fresh) for _ in range(5)] == [None] * 5
    assert mirai_py.nextget("stream", fresh) == before


def test_a_mirai_waits_for_room_and_goes_on(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), memory=0.01, compute=fresh)
    mirai_py.mirai(len, PAYLOAD, _compute=fresh)
    made = []
    blocked = threading.Thread(target=lambda: made.append(mirai_py.mirai(abs, -7, _compute=fresh)))
    blocked.start()
    assert not made
    mirai_py.launch_local(1, compute=fresh)
    blocked.join(30)
    assert made[0].collect() == 7


def test_a_reset_releases_who_waits(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), memory=0.01, compute=fresh)
    mirai_py.mirai(len, PAYLOAD, _compute=fresh)
    made = []
    begun = threading.Event()

    def submit():
        begun.set()
        made.append(mirai_py.mirai(abs, -7, _compute=fresh))

    blocked = threading.Thread(target=submit)
    blocked.start()
    begun.wait()
    mirai_py.daemons(0, compute=fresh)
    blocked.join(30)
    # Error 19, or a process of its own if it looked for daemons only after the reset.
    assert made[0].collect() in (19, 7)


def test_many_threads_pass_one_narrow_gate(fresh):
    mirai_py.daemons(2, memory=0.001, compute=fresh)
    made = []

    def submit(k):
        made.extend([mirai_py.mirai(pow, k, i, _compute=fresh) for i in range(20)])

    threads = [threading.Thread(target=submit, args=(k,)) for k in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(m.collect() for m in made) == sorted(k**i for k in range(5) for i in range(20))
    assert memory(fresh)["used"] == 0


def test_a_map_takes_from_its_input_no_faster_than_there_is_room(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), memory=0.01, compute=fresh)
    taken = []

    def numbers():
        for i in range(6):
            taken.append(i)
            yield bytes([i]) * SIZE

    mapped = []
    blocked = threading.Thread(
        target=lambda: mapped.append(mirai_py.mirai_map(numbers(), lambda x: x[0], _compute=fresh))
    )
    blocked.start()
    mirai_py.launch_local(1, compute=fresh)
    blocked.join(30)
    assert mapped[0].collect() == taken == list(range(6))
    assert memory(fresh)["peak"] < 3 * SIZE / 1e6


def test_an_element_that_cannot_be_sent_stops_what_was_sent_of_its_map(fresh):
    mirai_py.daemons(url=mirai_py.local_url(), memory=10, compute=fresh)
    with pytest.raises(mirai_py.MiraiSerializationError):
        mirai_py.mirai_map([1, threading.Lock()], abs, _compute=fresh)
    assert mirai_py.info(fresh)["awaiting"] == 0
    assert memory(fresh)["used"] == 0


def test_ctrl_c_reaches_who_waits_for_room():
    source = """
        import mirai_py
        mirai_py.daemons(url=mirai_py.local_url(), memory=0.01)
        mirai_py.mirai(len, bytes(40_000))
        try:
            print("waits", flush=True)
            mirai_py.mirai(abs, -1)
        except KeyboardInterrupt:
            print(mirai_py.info()["awaiting"])
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)], stdout=subprocess.PIPE, text=True
    ) as host:
        assert host.stdout.readline() == "waits\n"
        host.send_signal(signal.SIGINT)
        assert host.communicate(timeout=30)[0] == "1\n"
        assert host.returncode == 0
