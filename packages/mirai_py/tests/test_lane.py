import os
import subprocess
import sys

import pytest

import mirai_py
from mirai_py import mirai
from mirai_py.frames import Kind, parse_head
from mirai_py.lane import LIMIT, Lane

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="lanes are for Linux")


def test_frames_keep_their_bounds_in_both_directions():
    here, there = Lane.pair()
    assert here.send([b"one", memoryview(b" frame")])
    assert here.send([b"another"])
    assert [bytes(there.receive()), bytes(there.receive())] == [b"one frame", b"another"]
    assert there.receive() is None
    assert there.send([b"x" * LIMIT])
    assert bytes(here.receive()) == b"x" * LIMIT


def test_what_is_received_stays_what_it_is():
    here, there = Lane.pair()
    here.send([b"first"])
    first = there.receive()
    here.send([b"other"])
    there.receive()
    assert bytes(first) == b"first"


def test_what_is_too_large_or_finds_no_room_is_for_the_other_way():
    here, there = Lane.pair()
    assert not here.send([b"x" * LIMIT, b"y"])
    sent = 0
    while here.send([b"%d" % sent]):
        sent += 1
    assert sent > 10
    assert [int(bytes(there.receive())) for _ in range(sent)] == list(range(sent))
    assert there.receive() is None


def test_the_other_ends_end_is_told_after_what_it_sent():
    here, there = Lane.pair()
    there.send([b"last words"])
    del there
    assert not here.send([b"x"])
    assert bytes(here.receive()) == b"last words"
    assert bytes(here.receive()) == b""


def test_an_end_that_nobody_holds_is_closed():
    here, there = Lane.pair()
    descriptor = here.descriptor
    del here, there
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.fixture
def by_connection(monkeypatch):
    """Kinds of the frames that hosts send through NNG."""
    kinds = []
    send = mirai_py.host.Host.send

    def watched(self, pipe, parts):
        kinds.append(parse_head(b"".join(parts))[0])
        send(self, pipe, parts)

    monkeypatch.setattr(mirai_py.host.Host, "send", watched)
    return kinds


def test_small_tasks_of_daemons_of_our_own_take_the_lane(fresh, by_connection):
    mirai_py.daemons(1, compute=fresh)
    assert [mirai(abs, -i, _compute=fresh).collect() for i in range(5)] == list(range(5))
    assert Kind.TASK not in by_connection
    assert mirai(len, bytes(LIMIT + 1), _compute=fresh).collect() == LIMIT + 1
    assert by_connection.count(Kind.TASK) == 1
    assert mirai(bytes, 3, _compute=fresh).collect() == bytes(3)
    assert by_connection.count(Kind.TASK) == 1


def test_other_daemons_do_without(fresh, by_connection):
    mirai_py.daemons(url=mirai_py.local_url(), compute=fresh)
    url = mirai_py.nextget("url", compute=fresh)
    daemon = subprocess.Popen(
        [sys.executable, "-c", f"import mirai_py; mirai_py.daemon({url!r})"],
        env={**os.environ, **mirai_py.nextget("env", compute=fresh)},
    )
    assert mirai(abs, -1, _compute=fresh).collect() == 1
    assert Kind.TASK in by_connection
    mirai_py.daemons(0, compute=fresh)
    assert daemon.wait(20) == 0


def test_a_daemon_whose_lane_was_closed_by_a_task_is_served_through_the_connection(fresh, by_connection):
    mirai_py.daemons(1, compute=fresh)
    source = """
import gc
from mirai_py.lane import Lane
for lane in [x for x in gc.get_objects() if type(x) is Lane]:
    os.close(os.dup2(null, lane.descriptor))
"""
    source = "import os; null = os.open(os.devnull, os.O_RDONLY)" + source
    mirai(source, _compute=fresh).call()
    assert [mirai(abs, -i, _compute=fresh).collect() for i in range(3)] == [0, 1, 2]
    assert by_connection.count(Kind.TASK) >= 3


def test_a_daemon_that_comes_back_is_served_through_the_connection(fresh, by_connection):
    mirai_py.daemons(url=mirai_py.local_url(), compute=fresh)
    mirai_py.launch_local(1, autoexit=False, compute=fresh)
    pid = mirai("import os; os.getpid()", _compute=fresh).collect()
    profile = mirai_py.profiles.find_profile(fresh)
    (pipe,) = profile.engine._board.peers
    assert Kind.TASK not in by_connection
    with profile.changed:
        profile.host.cut(pipe)
        assert profile.changed.wait_for(lambda: mirai_py.info(fresh)["cumulative"] == 2, 20)
    assert mirai("import os; os.getpid()", _compute=fresh).collect() == pid
    assert mirai(abs, -2, _compute=fresh).collect() == 2
    assert Kind.TASK in by_connection
    mirai_py.daemons(None, compute=fresh)
