"""The dispatcher without sockets: it is given a way to send and to cut, and told what comes."""

import json
import logging
import pickle
import signal
import sys
import threading
from dataclasses import asdict, replace

import pytest

from mirai_py import frames, handshake, pages, serial
from mirai_py.codes import Code
from mirai_py.dispatch import admission, pace, schedule
from mirai_py.dispatch.peers import LocalProcess
from mirai_py.dispatcher import Dispatcher
from mirai_py.frames import Kind, Result, Status, TaskFlag
from mirai_py.lane import Lane
from mirai_py.streams import Streams
from mirai_py.waiting import stop_mirai

TOKEN = "token"
F = Code.of(b"R", pickle.dumps(abs), "abs")
G = Code.of(b"R", pickle.dumps(len), "len")
BODY = [pickle.dumps(((1,), {}, None), 5)]


class Net:
    """Stands in for the socket: keeps what was sent, and plays the daemons."""

    def __init__(self, **options):
        self.sent = []
        self.cuts = []
        self.changes = 0
        self.local = {}
        self.dispatcher = Dispatcher(
            send=self._sends,
            cut=self._cuts,
            token=TOKEN,
            streams=options.pop("streams", Streams(None)),
            settings={},
            local=self.local.get,
            on_change=self._changed,
            **options,
        )

    def send(self, pipe, parts):
        """What the socket does; a test may put something else in its place."""
        self.sent.append((pipe, memoryview(b"".join(parts))))

    def cut(self, pipe):
        self.cuts.append(pipe)

    def _sends(self, pipe, parts):
        self.send(pipe, parts)

    def _cuts(self, pipe):
        self.cut(pipe)

    def _changed(self):
        self.changes += 1

    def take(self, kind, pipe=None):
        """The oldest frame of a kind to a pipe, as (flags, count, frame)."""
        for i, (to, frame) in enumerate(self.sent):
            found, _, count = frames.parse_head(frame)
            if found == kind and pipe in (None, to):
                del self.sent[i]
                return count, frame
        return None

    def kinds(self, pipe=None):
        return [Kind(frames.parse_head(f)[0]) for to, f in self.sent if pipe in (None, to)]

    def join(self, pipe, pid=None, **who):
        """A daemon connects and introduces itself."""
        self.dispatcher.joined(pipe)
        _, challenge = self.take(Kind.CHALLENGE, pipe)
        me = replace(handshake.identity(), pid=pid or 1000 + pipe, **who)
        hello = handshake.hello(TOKEN, challenge, b"n" * handshake.NONCE_SIZE, me)
        self.dispatcher.received(pipe, memoryview(b"".join(hello)))

    def tasks(self, pipe):
        """Ids of the tasks of the oldest TASK frame to a pipe; [] if there is none."""
        found = self.take(Kind.TASK, pipe)
        if found is None:
            return []
        return [task for task, _, _ in frames.parse_tasks(found[1], found[0])[1]]

    def codes(self, pipe):
        count, frame = self.take(Kind.TASK, pipe)
        return [key for key, _ in frames.parse_tasks(frame, count)[0]]

    def answer(self, pipe, *ids, value=1, seconds=1e-5, flags=0):
        done = [Result(i, Status.OK, seconds, serial.dumps(value, None)) for i in ids]
        self.dispatcher.received(pipe, memoryview(b"".join(frames.results(done, flags))))

    def say(self, pipe, parts):
        self.dispatcher.received(pipe, memoryview(b"".join(parts)))

    def ack(self, pipe):
        self.say(pipe, [frames.head(Kind.ACK)])

    def submit(self, code=F, body=BODY, **options):
        return self.dispatcher.submit((code,), list(body), **options)

    def teach(self, pipe, code=F, seconds=1e-5):
        """Have it learn how long tasks of a code take."""
        mirai = self.submit(code)
        (task,) = self.tasks(pipe)
        self.answer(pipe, task, seconds=seconds)
        assert mirai.done()

    @property
    def counts(self):
        c = self.dispatcher.info()
        return (c.connections, c.cumulative, c.awaiting, c.executing, c.completed)


@pytest.fixture
def net():
    made = []

    def make(*pipes, **options):
        made.append(Net(**options))
        for pipe in pipes:
            made[-1].join(pipe)
        return made[-1]

    yield make
    for each in made:
        each.dispatcher.close()


# -- joining


def test_a_daemon_counts_once_it_has_proven_that_it_knows_the_token(net):
    n = net()
    n.dispatcher.joined(1)
    assert n.counts == (0, 0, 0, 0, 0)
    assert n.kinds() == [Kind.CHALLENGE]
    n.sent.clear()
    n.dispatcher.lost(1)
    n.join(2)
    assert n.kinds() == [Kind.INIT]
    assert n.counts == (1, 1, 0, 0, 0)


def test_a_peer_with_another_token_is_refused_and_gets_nothing(net, caplog):
    n = net()
    n.submit()
    n.dispatcher.joined(1)
    _, challenge = n.take(Kind.CHALLENGE)
    with caplog.at_level(logging.WARNING, "mirai_py"):
        n.say(1, handshake.hello("another", challenge, b"n" * 16, handshake.identity()))
    assert n.kinds() == [Kind.REFUSE]
    assert "the token is wrong" in caplog.text
    assert n.counts == (0, 0, 1, 0, 0)
    # A second try on the same connection is not even looked at.
    n.say(1, handshake.hello(TOKEN, challenge, b"n" * 16, handshake.identity()))
    assert n.kinds() == [Kind.REFUSE]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [("python", "2.7", "the daemon runs Python 2.7"), ("version", "9.9", "the daemon runs mirai_py 9.9")],
)
def test_a_daemon_of_another_version_is_refused_with_the_reason(net, field, value, told):
    n = net()
    n.dispatcher.joined(1)
    _, challenge = n.take(Kind.CHALLENGE)
    n.say(1, handshake.hello(TOKEN, challenge, b"n" * 16, replace(handshake.identity(), **{field: value})))
    _, frame = n.take(Kind.REFUSE)
    assert told in bytes(frame[frames.HEADER_SIZE :]).decode()


@pytest.mark.parametrize(
    "garbage",
    [b"", b"MPY1", b"GET / HTTP/1.1\r\n\r\n", b"".join(frames.ids(Kind.RETURNED, [1])), b"\x00" * 100],
)
def test_a_peer_that_starts_with_anything_else_is_cut_off(net, garbage, caplog):
    n = net()
    n.dispatcher.joined(1)
    n.dispatcher.received(1, memoryview(garbage))
    assert n.cuts == [1]
    assert "cut off a peer" in caplog.text


@pytest.mark.parametrize(
    "garbage",
    [
        frames.head(Kind.RESULT, 0, 1000),
        b"".join(frames.results([Result(1, 0, 0.0, [b"abc"])]))[:-1],
        frames.head(Kind.RETURNED, 0, 1000) + b"abc",
        frames.head(Kind.INIT),
        b"no frame at all",
    ],
)
def test_a_daemon_that_sends_garbage_is_cut_off(net, garbage):
    n = net(1)
    n.dispatcher.received(1, memoryview(garbage))
    assert n.cuts == [1]


def test_a_peer_that_says_nothing_is_cut_off(net, monkeypatch):
    monkeypatch.setattr(admission, "HANDSHAKE_SECONDS", 0.01)
    n = net()
    cut = threading.Event()
    n.cut = lambda _: cut.set()
    n.dispatcher.joined(1)
    assert cut.wait(10)


def test_frames_of_unknown_pipes_are_ignored(net):
    n = net()
    n.answer(99, 1)
    n.dispatcher.lost(99)
    assert n.counts == (0, 0, 0, 0, 0)


def test_each_daemon_gets_its_own_stream_and_none_where_tasks_have_theirs(net):
    def streams(n):
        frames_ = [f for _, f in n.sent if frames.parse_head(f)[0] == Kind.INIT]
        at = frames.HEADER_SIZE + handshake.DIGEST_SIZE
        return [pickle.loads(f[at:])["stream"] for f in frames_]

    free = streams(net(1, 2))
    assert len(set(free)) == 2
    assert streams(net(1, 2, streams=Streams(7))) == [None, None]


# -- the queue


def test_tasks_wait_for_a_daemon_and_go_first_in_first_out(net):
    n = net()
    first, second = n.submit(), n.submit()
    assert n.counts == (0, 0, 2, 0, 0)
    n.join(1)
    assert n.counts == (1, 1, 1, 1, 0)
    (task,) = n.tasks(1)
    assert task == first.id
    n.answer(1, task, value="a")
    assert first.data == "a"
    assert not second.done()
    assert n.tasks(1) == [second.id]


def test_a_task_goes_to_an_idle_daemon_at_once_and_to_one_at_a_time(net):
    n = net(1, 2)
    ids = [n.submit().id for _ in range(3)]
    assert sorted(n.tasks(1) + n.tasks(2)) == ids[:2]
    assert n.counts == (2, 2, 1, 2, 0)


def test_the_daemon_that_was_busy_last_gets_the_next_task(net):
    n = net(1, 2)
    m1, m2 = n.submit(), n.submit()
    busy = {n_: n.tasks(n_)[0] for n_ in (1, 2)}
    n.answer(2, busy[2])
    n.answer(1, busy[1])
    n.submit()
    assert n.tasks(1)
    assert not n.tasks(2)
    assert m1.done()
    assert m2.done()


def test_results_of_unknown_or_repeated_ids_are_dropped(net):
    n = net(1)
    mirai = n.submit()
    n.answer(1, 123456)
    assert not mirai.done()
    (task,) = n.tasks(1)
    n.answer(1, task, value="first")
    n.answer(1, task, value="second")
    assert mirai.data == "first"
    assert n.counts == (1, 1, 0, 0, 1)


def test_code_travels_once_to_each_daemon(net):
    n = net(1)
    n.submit(F)
    assert n.codes(1) == [F.key]
    n.answer(1, *n.dispatcher._board.tasks)
    n.submit(F)
    assert n.codes(1) == []
    n.join(2)
    n.submit(F)
    assert n.codes(2) == [F.key]


def test_a_daemon_that_dropped_a_code_gets_it_again(net):
    n = net(1)
    n.submit(F)
    n.say(1, frames.need([F.key]))
    count, frame = n.take(Kind.CODE)
    assert frames.parse_codes(frame, count) == [(F.key, F.body)]


def test_a_task_that_is_too_large_for_a_batch_keeps_its_parts(net):
    n = net(1)
    large = bytes(schedule.MAX_BATCHED_BYTES + 1)
    n.submit(body=[b"small", large])
    count, frame = n.take(Kind.TASK)
    ((_, _, body),) = frames.parse_tasks(frame, count)[1]
    assert bytes(body) == F.key + b"small" + large


# -- batches


def test_short_tasks_travel_together_shared_out_evenly(net):
    n = net(1)
    n.teach(1)
    blocker = n.submit()
    assert n.tasks(1) == [blocker.id]
    mirais = [n.submit() for _ in range(10)]
    n.join(2)
    assert n.tasks(2) == [m.id for m in mirais[:5]]  # half of them: there are two daemons
    n.answer(1, blocker.id)
    assert n.tasks(1) == [m.id for m in mirais[5:8]]


def test_tasks_of_unknown_or_long_duration_travel_alone(net):
    n = net()
    mirais = [n.submit() for _ in range(4)]
    n.join(1)
    assert n.tasks(1) == [mirais[0].id]
    n.answer(1, mirais[0].id, seconds=1.0)
    assert n.tasks(1) == [mirais[1].id]


def test_a_batch_takes_about_as_long_as_it_may(net):
    n = net(1)
    n.teach(1, seconds=pace.BATCH_SECONDS / 4)
    blocker = n.submit()
    n.tasks(1)
    for _ in range(100):
        n.submit()
    n.answer(1, blocker.id, seconds=pace.BATCH_SECONDS / 4)
    assert 3 <= len(n.tasks(1)) <= 5


def test_a_batch_ends_before_a_task_that_may_be_long(net):
    n = net(1)
    n.teach(1)
    blocker = n.submit()
    n.tasks(1)
    mirais = [n.submit(F), n.submit(F), n.submit(G), n.submit(F)]
    n.answer(1, blocker.id)
    assert n.tasks(1) == [m.id for m in mirais[:2]]


def test_max_batch_of_one_sends_each_task_alone(net):
    n = net(1, max_batch=1)
    n.teach(1)
    blocker = n.submit()
    n.tasks(1)
    mirais = [n.submit() for _ in range(3)]
    n.answer(1, blocker.id)
    assert n.tasks(1) == [mirais[0].id]


def batch_of(n, size, pipe=1):
    """Have a daemon run a batch of `size` tasks."""
    n.teach(pipe)
    blocker = n.submit()
    n.tasks(pipe)
    mirais = [n.submit() for _ in range(size)]
    n.answer(pipe, blocker.id)
    assert n.tasks(pipe) == [m.id for m in mirais]
    return mirais


def test_results_of_a_batch_may_come_in_parts(net):
    n = net(1)
    mirais = batch_of(n, 3)
    waiting = n.submit()
    n.answer(1, mirais[0].id, mirais[1].id)
    assert [m.done() for m in mirais] == [True, True, False]
    assert n.tasks(1) == []  # not before the batch is done
    n.answer(1, mirais[2].id)
    assert n.tasks(1) == [waiting.id]


def watch_for(n, kind):
    """An event that is set once a frame of this kind has been sent."""
    sent = threading.Event()
    send = n.send

    def watch(pipe, parts):
        send(pipe, parts)
        if frames.parse_head(parts[0])[0] == kind:
            sent.set()

    n.send = watch
    return sent


def test_what_a_silent_batch_has_not_begun_is_recalled_for_an_idle_daemon(net):
    n = net(1)
    mirais = batch_of(n, 3)
    recalls = watch_for(n, Kind.RECALL)
    n.join(2)
    assert recalls.wait(10)
    count, frame = n.take(Kind.RECALL, 1)
    assert frames.parse_ids(frame, count) == tuple(m.id for m in mirais[1:])
    n.ack(1)
    n.say(1, frames.ids(Kind.RETURNED, [m.id for m in mirais[1:]]))
    assert n.tasks(2) == [mirais[1].id]  # the queue is two long, of two daemons
    assert n.counts == (2, 2, 1, 2, 2)
    n.answer(2, mirais[1].id)
    assert n.tasks(2) == [mirais[2].id]


def test_only_what_a_daemon_returns_is_queued_again(net):
    n = net(1)
    mirais = batch_of(n, 3)
    n.say(1, frames.ids(Kind.RETURNED, [mirais[2].id, 999_999]))
    assert n.counts[2:4] == (1, 2)
    n.answer(1, mirais[0].id, mirais[1].id)
    assert n.tasks(1) == [mirais[2].id]


def test_returned_tasks_come_before_those_that_were_submitted_later(net):
    n = net(1)
    mirais = batch_of(n, 3)
    later = n.submit(G)
    n.say(1, frames.ids(Kind.RETURNED, [m.id for m in mirais[1:]]))
    n.answer(1, mirais[0].id)
    assert n.tasks(1) == [m.id for m in mirais[1:]]
    assert not later.done()


# -- control frames


def test_control_frames_go_one_at_a_time_and_waiting_cancels_as_one(net):
    n = net(1)
    mirais = batch_of(n, 4)
    for mirai in mirais[:3]:
        assert mirai.cancel()
    assert n.kinds(1).count(Kind.CANCEL) == 1
    count, frame = n.take(Kind.CANCEL)
    assert frames.parse_ids(frame, count) == (mirais[0].id,)
    n.ack(1)
    count, frame = n.take(Kind.CANCEL)
    assert frames.parse_ids(frame, count) == (mirais[1].id, mirais[2].id)
    n.ack(1)
    assert n.take(Kind.CANCEL) is None


def test_an_order_to_leave_waits_for_the_control_frame_under_way(net):
    n = net(1)
    mirai = n.submit()
    mirai.cancel()
    assert n.take(Kind.CANCEL)
    n.dispatcher.order_all_out()
    assert n.take(Kind.EXIT) is None
    n.ack(1)
    assert n.take(Kind.EXIT)


# -- cancel and timeout


def test_a_waiting_task_is_cancelled_without_ever_being_sent(net):
    n = net()
    first, second = n.submit(), n.submit()
    assert first.cancel() is True
    assert first.data == 20
    assert n.counts == (0, 0, 1, 0, 1)
    assert first.cancel() is False
    n.join(1)
    assert n.tasks(1) == [second.id]


def test_a_running_task_resolves_at_once_and_keeps_its_daemon_until_it_ends(net):
    n = net(1)
    mirai, waiting = n.submit(), n.submit()
    n.tasks(1)
    assert mirai.cancel() is True
    assert mirai.data == 20
    assert n.take(Kind.CANCEL)
    assert n.counts == (1, 1, 1, 1, 0)
    assert n.tasks(1) == []
    n.answer(1, mirai.id, value="too late")
    assert mirai.data == 20
    assert n.tasks(1) == [waiting.id]
    assert n.counts == (1, 1, 0, 1, 1)


def test_the_newest_of_a_list_is_stopped_first(net):
    n = net(1)
    mirais = [n.submit() for _ in range(4)]
    stopped = []
    for i, mirai in enumerate(mirais):
        mirai._on_wake(lambda i=i: stopped.append(i))
    assert stop_mirai([mirais[1], None, mirais[0], mirais[3], mirais[2]]) == [True, False, True, True, True]
    assert stopped == [3, 2, 1, 0]
    n.answer(1, mirais[0].id)
    assert n.tasks(1) == [mirais[0].id]
    assert n.tasks(1) == []  # the others never started


def test_a_timeout_resolves_to_5_and_stops_the_task(net):
    n = net(1)
    mirai = n.submit(timeout=0.01)
    assert mirai.collect() == 5
    assert mirai.data.detail == {"timeout": 10}
    assert n.take(Kind.CANCEL)


def test_the_clock_of_a_timeout_runs_while_a_task_waits(net):
    n = net()
    assert n.submit(timeout=0.01).collect() == 5
    assert n.counts == (0, 0, 0, 0, 1)


def test_a_result_takes_back_the_alarm(net):
    n = net(1)
    mirai = n.submit(timeout=3600)
    alarms = [a for a in admission.timer._alarms if a.call is not None]
    n.answer(1, mirai.id)
    assert len([a for a in admission.timer._alarms if a.call is not None]) == len(alarms) - 1


# -- everywhere


def everywhere(n, at_least=1, code=G):
    return n.dispatcher.everywhere((code,), list(BODY), at_least)


def test_everywhere_runs_once_on_each_connected_daemon(net):
    n = net(1, 2)
    found = everywhere(n)
    assert {n.tasks(1)[0], n.tasks(2)[0]} == {m.id for m in found}
    n.answer(1, *(m.id for m in found))
    n.answer(2, *(m.id for m in found))
    assert all(m.done() for m in found)
    assert n.tasks(1) == n.tasks(2) == []


def test_everywhere_is_marked_for_the_daemon(net):
    n = net(1)
    everywhere(n)
    count, frame = n.take(Kind.TASK)
    ((_, flags, _),) = frames.parse_tasks(frame, count)[1]
    assert flags == TaskFlag.EVERYWHERE


def test_everywhere_holds_up_later_tasks_until_each_daemon_has_been_given_it(net):
    n = net(1, 2)
    busy = n.submit()
    (task,) = n.tasks(1) or n.tasks(2)
    pipe = 1 if n.dispatcher._board.peers[1].running else 2
    other = 3 - pipe
    found = everywhere(n)
    later = n.submit()
    assert n.tasks(other)[0] in [m.id for m in found]
    n.answer(other, *(m.id for m in found))
    assert n.tasks(other) == []  # it has done its part, but the other has not begun its own
    n.answer(pipe, task)
    assert busy.done()
    assert n.tasks(pipe)[0] in [m.id for m in found]
    assert n.tasks(other) == [later.id]


def test_a_daemon_that_joins_later_first_replays_what_is_persistent(net):
    n = net(1)
    watched = []
    n.dispatcher.everywhere((F,), BODY, 1, watched.append)
    n.answer(1, *n.tasks(1))
    waiting = [n.submit(G) for _ in range(2)]
    assert n.tasks(1) == [waiting[0].id]
    n.join(2)
    (replay,) = n.tasks(2)
    assert replay not in {m.id for m in waiting}
    n.answer(2, replay)
    assert n.tasks(2) == [waiting[1].id]


def test_what_a_daemon_was_to_replay_goes_with_it(net):
    n = net(1)
    n.dispatcher.everywhere((F,), BODY, 1, lambda _: None)
    n.answer(1, *n.tasks(1))
    n.join(2)
    assert n.tasks(2)
    n.dispatcher.lost(2)
    assert n.tasks(1) == []
    assert n.counts == (1, 2, 0, 0, 2)


def test_a_daemon_that_joins_takes_the_member_that_waits_for_one(net):
    n = net()
    (first,) = n.dispatcher.everywhere((F,), BODY, 1, lambda _: None)
    later = n.submit(G)
    n.join(1)
    assert n.tasks(1) == [first.id]
    n.answer(1, first.id)
    assert n.tasks(1) == [later.id]


def test_everywhere_comes_after_what_was_submitted_before(net):
    n = net(1)
    first, second = n.submit(), n.submit()
    (member,) = everywhere(n)
    for mirai in (first, second, member):
        assert n.tasks(1) == [mirai.id]
        n.answer(1, mirai.id)


def test_everywhere_without_daemons_waits_for_as_many_as_are_asked_for(net):
    n = net()
    found = everywhere(n, 2)
    later = n.submit()
    assert len(found) == 2
    n.join(1)
    assert n.tasks(1) == [found[0].id]
    n.answer(1, found[0].id)
    assert n.tasks(1) == []
    n.join(2)
    assert n.tasks(2) == [found[1].id]
    assert n.tasks(1) == [later.id]


def test_two_everywheres_run_one_after_the_other(net):
    n = net(1)
    (a,), (b,) = everywhere(n), everywhere(n)
    assert n.tasks(1) == [a.id]
    n.answer(1, a.id)
    assert n.tasks(1) == [b.id]


def test_a_daemon_that_dies_before_its_turn_takes_its_entry_along(net):
    n = net(1, 2)
    n.submit()
    n.submit()
    ids = {1: n.tasks(1)[0], 2: n.tasks(2)[0]}
    found = everywhere(n)
    later = n.submit()
    n.dispatcher.lost(2)
    assert [m.data for m in found if m.done()] == [19]
    n.answer(1, ids[1])
    (member,) = n.tasks(1)
    n.answer(1, member)
    assert all(m.done() for m in found)
    assert n.tasks(1) == [later.id]


def test_a_cancelled_entry_holds_up_nothing(net):
    n = net(1)
    found = everywhere(n, 2)
    later = n.submit()
    assert n.tasks(1) == [found[0].id]
    n.answer(1, found[0].id)
    assert n.tasks(1) == []
    assert found[1].cancel()
    assert n.tasks(1) == [later.id]
    assert n.counts == (1, 1, 0, 1, 2)


def test_an_everywhere_that_is_cancelled_as_a_whole_leaves_the_queue_open(net):
    n = net(1)
    busy = n.submit()
    found = everywhere(n)
    later = n.submit()
    stop_mirai(found)
    n.answer(1, busy.id)
    n.tasks(1)
    assert n.tasks(1) == [later.id]


def test_what_everywhere_meant_for_a_daemon_that_leaves_is_for_no_other(net):
    n = net(1, 2)
    found = everywhere(n)
    given = n.tasks(2)
    n.say(2, [frames.head(Kind.LEAVE, 1)])
    n.say(2, frames.ids(Kind.RETURNED, given))
    (lost,) = [m for m in found if m.id == given[0]]
    assert lost.data == 19
    n.answer(1, *n.tasks(1))
    assert n.tasks(1) == []


def test_an_everywhere_that_waits_for_daemons_is_warned_of(net, caplog, monkeypatch):
    n = net()
    everywhere(n, 3)
    (barrier,) = n.dispatcher._board.queue
    with caplog.at_level(logging.WARNING, "mirai_py"):
        n.dispatcher._warn_of(barrier, 3)
    assert "waits for 3 more daemon(s) to connect (of 3)" in caplog.text


# -- leaving


def test_a_daemon_that_leaves_gets_no_task_any_more(net):
    n = net(1)
    n.say(1, [frames.head(Kind.LEAVE, 1)])
    assert n.take(Kind.LEAVE_OK)
    n.submit()
    assert n.tasks(1) == []
    n.dispatcher.lost(1)
    assert n.counts == (0, 1, 1, 0, 0)


def test_a_task_that_crossed_the_leave_goes_back_to_the_head(net):
    n = net(1)
    crossed, later = n.submit(), n.submit()
    n.tasks(1)
    n.say(1, [frames.head(Kind.LEAVE, 1)])
    assert n.take(Kind.LEAVE_OK) is None  # not before it has given the task back
    n.say(1, frames.ids(Kind.RETURNED, [crossed.id]))
    assert n.take(Kind.LEAVE_OK)
    n.dispatcher.lost(1)
    assert n.counts == (0, 1, 2, 0, 0)
    n.join(2)
    assert n.tasks(2) == [crossed.id]
    assert not later.done()


def test_the_last_result_and_the_leave_come_together(net):
    n = net(1)
    mirai, waiting = n.submit(), n.submit()
    n.answer(1, mirai.id, flags=3)
    assert mirai.data == 1
    assert n.take(Kind.LEAVE_OK)
    n.dispatcher.lost(1)
    assert not waiting.done()
    assert n.counts == (0, 1, 1, 0, 1)


def test_stop_daemons_orders_idle_ones_first_and_busy_ones_after_their_task(net):
    n = net(1, 2)
    busy = n.submit()
    pipe = 1 if n.dispatcher._board.peers[1].running else 2
    assert n.tasks(pipe) == [busy.id]
    assert n.dispatcher.dismiss(1) == 1
    assert n.kinds(3 - pipe)[-1] is Kind.EXIT
    assert n.take(Kind.EXIT, pipe) is None
    assert n.dispatcher.dismiss(5) == 1
    assert n.take(Kind.EXIT, pipe) is None
    n.answer(pipe, busy.id)
    assert busy.data == 1
    assert n.take(Kind.EXIT, pipe)
    n.submit()
    assert n.tasks(pipe) == []


# -- loss


def local(n, pid, started, end=None, finished=None, lane=None):
    """Make the daemon with this pid one of our own; gives a function that tells that it has ended."""
    calls = []

    def when_ended(call):
        if end is None:
            calls.append(call)
        else:
            call(end)

    n.local[pid] = LocalProcess(
        lambda: started[0], lambda: {} if finished is None else finished, list, lane, when_ended
    )
    return calls


def test_the_task_of_a_lost_daemon_is_19_and_the_others_go_on(net):
    n = net(1, 2)
    a, b = n.submit(), n.submit()
    running = n.tasks(1)
    waiting = n.submit()
    n.dispatcher.lost(1)
    lost = a if running == [a.id] else b
    assert lost.data == 19
    assert lost.data.detail["pid"] == 1001
    assert n.counts == (1, 2, 1, 1, 1)
    n.answer(2, *n.tasks(2))
    assert n.tasks(2) == [waiting.id]


def test_a_batch_on_another_machine_is_lost_as_a_whole(net):
    n = net()
    n.join(1, boot="elsewhere")
    mirais = batch_of(n, 3)
    n.dispatcher.lost(1)
    assert [m.data for m in mirais] == [19, 19, 19]


def test_what_provably_never_started_goes_back_to_the_head(net):
    n = net()
    started = [0]
    local(n, 77, started, {"signal": "SIGKILL"})
    n.join(1, pid=77)
    mirais = batch_of(n, 4)
    later = n.submit(G)
    started[0] = mirais[1].id
    n.dispatcher.lost(1)
    assert [m.done() for m in mirais] == [True, True, False, False]
    assert mirais[0].data == mirais[1].data == 19
    told = mirais[1].data.detail
    assert told.pop("ms") >= 0
    assert told == {
        "task": mirais[1].id,
        "call": "abs",
        "pid": 77,
        "host": handshake.identity().host,
        "signal": "SIGKILL",
    }
    n.join(2)
    assert n.tasks(2) == [m.id for m in mirais[2:]]
    assert not later.done()


def test_finished_members_of_a_batch_keep_their_results(net):
    n = net()
    started = [0]
    local(n, 77, started, {"exit_code": 1})
    n.join(1, pid=77)
    mirais = batch_of(n, 3)
    n.answer(1, mirais[0].id, value="kept")
    started[0] = mirais[1].id
    n.dispatcher.lost(1)
    assert mirais[0].data == "kept"
    assert mirais[1].data == 19
    assert n.counts == (0, 1, 1, 0, 4)


def test_results_that_a_daemon_had_not_sent_when_it_ended_are_found(net):
    n = net()
    started, finished = [0], {}
    local(n, 77, started, {"exit_code": 1}, finished)
    n.join(1, pid=77)
    mirais = batch_of(n, 4)
    started[0] = mirais[2].id
    finished |= {mirais[0].id: (Status.OK, pickle.dumps("found")), 10**9: (Status.OK, b"of another batch")}
    n.dispatcher.lost(1)
    assert [m.data for m in mirais[:3]] == ["found", 19, 19]
    assert n.counts == (0, 1, 1, 0, 5)
    n.join(2)
    assert n.tasks(2) == [mirais[3].id]


class Watch:
    """As much of an inbox as a lane needs."""

    def __init__(self):
        self.calls = {}
        self.watch = self.calls.__setitem__

    def unwatch(self, descriptor):
        self.calls.pop(descriptor, None)


@pytest.mark.skipif(sys.platform != "linux", reason="lanes are for Linux")
def test_what_a_lost_daemon_had_sent_by_its_lane_is_read(net):
    n = net()
    n.dispatcher.inbox = Watch()
    ours, theirs = Lane.pair()
    started = [0]
    local(n, 77, started, {"signal": "SIGKILL"}, lane=ours)
    n.join(1, pid=77)
    mirai = n.submit()
    frame = theirs.receive()
    kind, _, count = frames.parse_head(frame)
    assert kind == Kind.TASK
    assert [task for task, _, _ in frames.parse_tasks(frame, count)[1]] == [mirai.id]
    assert theirs.send(frames.results([Result(mirai.id, Status.OK, 0.1, serial.dumps("read", None))]))
    lost = n.submit()
    n.dispatcher.lost(1)
    assert mirai.data == "read"
    assert n.dispatcher.inbox.calls == {}
    assert not lost.done()  # it was not begun
    assert n.counts == (0, 1, 1, 0, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="lanes are for Linux")
def test_the_end_of_a_lane_is_no_end_of_the_daemon(net):
    n = net()
    n.dispatcher.inbox = watch = Watch()
    ours, theirs = Lane.pair()
    local(n, 77, [0], lane=ours)
    n.join(1, pid=77)
    del theirs
    watch.calls[ours.descriptor]()
    assert watch.calls == {}
    mirai = n.submit()
    assert n.tasks(1) == [mirai.id]  # by the connection
    n.answer(1, mirai.id, value="ours")
    assert mirai.data == "ours"


def test_a_daemon_that_had_begun_nothing_loses_nothing(net):
    n = net()
    local(n, 77, [0], {"signal": "SIGKILL"})
    n.join(1, pid=77)
    mirai = n.submit()
    n.dispatcher.lost(1)
    assert n.counts == (0, 1, 1, 0, 0)
    n.join(2)
    assert n.tasks(2) == [mirai.id]


def test_a_process_that_is_lost_but_lives_proves_nothing(net):
    n = net()
    calls = local(n, 77, [0])
    n.join(1, pid=77)
    mirai = n.submit()
    n.dispatcher.lost(1)
    assert not mirai.done()
    calls[0]({})  # patience is over, it has not ended
    assert mirai.data == 19


def test_what_started_is_looked_at_when_the_process_has_ended(net):
    n = net()
    started = [0]
    calls = local(n, 77, started)
    n.join(1, pid=77)
    mirai = n.submit()
    n.dispatcher.lost(1)
    started[0] = mirai.id  # it began after its connection was lost
    calls[0]({"exit_code": 0})
    assert mirai.data == 19


def test_a_cancelled_task_of_a_lost_daemon_is_not_queued_again(net):
    n = net()
    calls = local(n, 77, [0])
    n.join(1, pid=77)
    mirai = n.submit()
    n.dispatcher.lost(1)
    assert mirai.cancel() is True
    calls[0]({"signal": "SIGKILL"})
    assert mirai.data == 20
    assert n.counts == (0, 1, 0, 0, 1)


def test_an_everywhere_task_that_never_started_is_19_too(net):
    n = net()
    local(n, 77, [0], {"signal": "SIGKILL"})
    n.join(1, pid=77)
    n.join(2)
    found = everywhere(n)
    given = n.tasks(1)
    n.dispatcher.lost(1)
    assert [m.data for m in found if m.id in given] == [19]
    n.answer(2, *n.tasks(2))
    assert n.tasks(2) == []


# -- maps


CONSTANTS = Code.of(b"C", b"", "constants")


def mapped(n, number, code=F, timeout=None):
    """Submit a map over range(number)."""
    found = list(pages.packed(range(number), None))
    return n.dispatcher.submit_map((code, CONSTANTS), found, timeout=timeout)


def chunk(n, pipe):
    """Elements of the oldest CHUNK frame to a pipe, as (id of the first, values); None if there is none."""
    found = n.take(Kind.CHUNK, pipe)
    if found is None:
        return None
    it = frames.parse_chunk(found[1], found[0])
    items = [item for page in it.pages for item in pages.items_of(page)]
    return it.first, items[it.skip : it.skip + it.number]


def values(n, pipe, first, *found, seconds=1e-5):
    n.say(pipe, frames.piece(first, len(found), seconds * len(found), [pickle.dumps(list(found), 5)]))


def running_map(n, number, size, pipe=1):
    """Have a daemon run a chunk of `size` elements of a map of `number` that it has begun before."""
    n.teach(pipe, seconds=pace.CHUNK_SECONDS / 2 / size)
    outcomes = mapped(n, number)
    first, items = chunk(n, pipe)
    return outcomes, first, items


def test_elements_of_unknown_duration_travel_alone(net):
    n = net(1, 2)
    outcomes = mapped(n, 3)
    given = {1: chunk(n, 1), 2: chunk(n, 2)}
    assert sorted(given.values()) == [(outcomes.first, [0]), (outcomes.first + 1, [1])]
    assert n.counts == (2, 2, 1, 2, 0)
    values(n, 1, given[1][0], "a", seconds=1)
    assert chunk(n, 1) == (outcomes.first + 2, [2])
    assert n.counts == (2, 2, 0, 2, 1)


def test_short_elements_travel_together_and_in_their_order(net):
    n = net(1)
    n.teach(1)
    outcomes = mapped(n, 1000)
    seen = []
    while (given := chunk(n, 1)) is not None:
        assert given[0] == outcomes.first + len(seen)
        assert len(given[1]) > 20 or len(seen) > 900
        seen += given[1]
        values(n, 1, given[0], *given[1])
    assert seen == outcomes.values() == list(range(1000))
    assert n.counts == (1, 1, 0, 0, 1001)


def test_function_and_constants_travel_once_to_each_daemon(net):
    n = net(1)
    mapped(n, 2)
    count, frame = n.take(Kind.CHUNK)
    it = frames.parse_chunk(frame, count)
    assert [key for key, _ in it.codes] == [F.key, CONSTANTS.key]
    assert it.keys == (F.key, CONSTANTS.key)
    values(n, 1, it.first, 0)
    count, frame = n.take(Kind.CHUNK)
    assert frames.parse_chunk(frame, count).codes == []


def test_a_daemon_that_dropped_the_constants_gets_them_again(net):
    n = net(1)
    mapped(n, 2)
    n.say(1, frames.need([CONSTANTS.key]))
    count, frame = n.take(Kind.CODE)
    assert frames.parse_codes(frame, count) == [(CONSTANTS.key, CONSTANTS.body)]


def test_values_of_a_chunk_may_come_in_parts(net):
    n = net(1)
    outcomes, first, items = running_map(n, 100, 50)
    values(n, 1, first, *items[:10])
    assert outcomes.resolved() == 10
    assert chunk(n, 1) is None
    values(n, 1, first + 10, *items[10:])
    assert chunk(n, 1)[0] == first + len(items)


def test_values_that_were_not_asked_for_cut_the_daemon_off(net):
    n = net(1)
    _, first, _ = running_map(n, 100, 50)
    values(n, 1, first + 1, 1)
    assert n.cuts == [1]


def test_max_batch_bounds_chunks_too(net):
    n = net(1, max_batch=1)
    n.teach(1)
    outcomes = mapped(n, 3)
    assert chunk(n, 1) == (outcomes.first, [0])


def test_what_comes_behind_a_map_waits_for_it_and_what_came_before_goes_first(net):
    n = net()
    before = n.submit()
    outcomes = mapped(n, 1)
    behind = n.submit()
    n.join(1)
    assert n.tasks(1) == [before.id]
    n.answer(1, before.id)
    assert chunk(n, 1) == (outcomes.first, [0])
    values(n, 1, outcomes.first, 0)
    assert n.tasks(1) == [behind.id]


def test_a_waiting_element_that_is_stopped_is_never_sent(net):
    n = net()
    outcomes = mapped(n, 4)
    assert outcomes.mirai(0).cancel() is True
    assert outcomes.mirai(2).cancel() is True
    assert outcomes.mirai(2).cancel() is False
    assert n.counts == (0, 0, 2, 0, 2)
    n.join(1)
    assert chunk(n, 1) == (outcomes.first + 1, [1])
    values(n, 1, outcomes.first + 1, 1)
    assert chunk(n, 1) == (outcomes.first + 3, [3])
    values(n, 1, outcomes.first + 3, 3)
    assert outcomes.values() == [20, 1, 20, 3]
    assert n.counts == (1, 1, 0, 0, 4)


def test_a_stopped_map_is_interrupted_where_it_runs_and_frees_its_daemon(net):
    n = net(1)
    outcomes, first, items = running_map(n, 100, 50)
    behind = n.submit()
    assert outcomes.stop() == [True] * 100
    assert outcomes.over.done()
    count, frame = n.take(Kind.CANCEL)
    assert frames.parse_ranges(frame, count) == [(first, first + len(items))]
    assert n.counts == (1, 1, 1, len(items), 101 - len(items))
    values(n, 1, first, *items)
    assert n.tasks(1) == [behind.id]
    assert outcomes.values() == [20] * 100
    assert n.dispatcher.room.used == 0


def test_a_timeout_of_a_map_resolves_what_is_open(net):
    n = net(1)
    outcomes = mapped(n, 3, timeout=0.05)
    values(n, 1, outcomes.first, "in time")
    outcomes.wait()
    assert outcomes.values() == ["in time", 5, 5]
    assert outcomes.values()[1].detail == {"timeout": 50}


def test_what_a_chunk_has_not_begun_is_recalled_for_an_idle_daemon(net):
    n = net(1)
    outcomes, first, items = running_map(n, 2000, 1000)
    while outcomes.resolved() + len(items) < 2000:  # the queue is to be empty
        values(n, 1, first, *items)
        first, items = chunk(n, 1)
    assert len(items) > 1
    recalls = watch_for(n, Kind.RECALL)
    n.join(2)
    assert recalls.wait(10)
    count, frame = n.take(Kind.RECALL, 1)
    assert frames.parse_ranges(frame, count) == [(first, first + len(items))]
    n.ack(1)
    n.say(1, frames.ranges(Kind.RETURNED, [(first + 1, first + len(items))]))
    given, others = chunk(n, 2)
    assert (given, others[0]) == (first + 1, items[1])
    values(n, 1, first, items[0])
    assert outcomes.resolved() == 2000 - len(items) + 1


def test_elements_that_come_back_are_the_next_ones_of_their_map(net):
    n = net(1)
    outcomes, first, items = running_map(n, 100, 50)
    n.say(1, frames.ranges(Kind.RETURNED, [(first, first + len(items))]))
    given, others = chunk(n, 1)
    assert (given, others[0]) == (first, items[0])
    assert n.counts[2] + n.counts[3] == 100
    assert outcomes.resolved() == 0


def test_a_lost_daemon_elsewhere_takes_its_whole_chunk_along(net):
    n = net(1)
    outcomes, first, items = running_map(n, 100, 50)
    values(n, 1, first, *items[:3])
    n.dispatcher.lost(1)
    assert outcomes.resolved() == len(items)
    assert outcomes.value(2) == 2
    assert outcomes.value(3) == 19
    n.join(2)
    assert chunk(n, 2)[0] == first + len(items)


@pytest.mark.parametrize("begun", [0, 1, 5])
def test_a_lost_daemon_of_this_machine_tells_which_elements_it_began(net, begun):
    n = net()
    kept = []
    n.local[77] = LocalProcess(lambda: started, dict, lambda: kept, None, lambda call: call({"exit_code": 3}))
    n.join(1, pid=77)
    outcomes, first, items = running_map(n, 100, 50)
    started = first + begun - 1
    if begun > 1:  # the values of all but the last were kept, with what was sent before
        kept += [(first - 4, 3, b""), (first, begun - 1, pickle.dumps(["kept"] * (begun - 1), 5))]
    n.dispatcher.lost(1)
    assert outcomes.values()[:begun] == (["kept"] * (begun - 1) + [19])[-begun:] * bool(begun)
    assert outcomes.resolved() == begun
    n.join(2)
    given, others = chunk(n, 2)
    assert (given, others[0]) == (first + begun, items[0] + begun)
    assert n.counts[2:] == (100 - begun - len(others), len(others), 1 + begun)


def test_an_empty_map_is_over(net):
    n = net(1)
    outcomes = mapped(n, 0)
    assert outcomes.over.done()
    assert outcomes.values() == []
    assert n.kinds(1) == [Kind.INIT]


def test_each_resolved_element_is_counted_once(net):
    n = net(1)
    told = []
    n.dispatcher.watch_resolved(told.append)
    outcomes = mapped(n, 3)
    outcomes.mirai(2).cancel()
    values(n, 1, outcomes.first, 0)
    n.dispatcher.close()
    assert sum(told) == 3


# -- the end


def test_close_resolves_all_that_is_open_to_19(net):
    n = net(1)
    mirais = [n.submit() for _ in range(3)] + everywhere(n)
    outcomes = mapped(n, 3)
    n.dispatcher.close()
    assert [m.data for m in mirais] == [19] * 4
    assert outcomes.values() == [19] * 3
    n.dispatcher.close()


def test_a_closed_dispatcher_resolves_what_is_submitted_to_19(net):
    n = net(1)
    n.dispatcher.close()
    assert n.submit().data == 19
    assert mapped(n, 2).values() == [19, 19]
    assert [m.data for m in everywhere(n, 2)] == [19, 19]


def test_results_that_come_after_the_close_change_nothing(net):
    n = net(1)
    mirai = n.submit()
    n.dispatcher.close()
    n.answer(1, mirai.id)
    n.dispatcher.lost(1)
    assert mirai.data == 19


# -- who is told


def test_each_resolved_mirai_is_told_of_once(net):
    n = net(1)
    told = []
    n.dispatcher.watch_resolved(told.append)
    mirais = batch_of(n, 2)
    assert sum(told) == 2  # from batch_of itself
    n.answer(1, *(m.id for m in mirais))
    n.submit().cancel()
    n.submit()
    n.dispatcher.close()
    assert sum(told) == 6


def test_a_waiter_is_woken_after_the_next_task_has_been_sent(net):
    n = net(1)
    mirai, following = n.submit(), n.submit()
    n.tasks(1)
    seen = []
    mirai._on_wake(lambda: seen.append(n.tasks(1)))
    n.answer(1, mirai.id)
    assert seen == [[following.id]]


def test_counts_stay_right_through_many_random_events(net):
    import random

    rng = random.Random(5)
    n = net(1, 2, 3)
    mirais, pipes = [], [1, 2, 3]
    for step in range(3000):
        choice = rng.random()
        if choice < 0.5:
            mirais.append(n.submit(rng.choice([F, G])))
        elif choice < 0.6 and mirais:
            rng.choice(mirais).cancel()
        elif choice < 0.97:
            pipe = rng.choice(pipes)
            running = list(n.dispatcher._board.peers[pipe].running)
            if running:
                n.answer(pipe, *running[: rng.randint(1, len(running))])
        elif choice < 0.985:
            pipe = pipes.pop(rng.randrange(3))
            n.dispatcher.lost(pipe)
            pipes.append(step + 10)
            n.join(step + 10)
        else:
            mirais += everywhere(n)
        for pipe in pipes:
            if n.dispatcher._board.peers[pipe].control_sent:
                n.ack(pipe)
    while any(peer.running for peer in n.dispatcher._board.peers.values()):
        for pipe in pipes:
            n.answer(pipe, *n.dispatcher._board.peers[pipe].running)
            n.ack(pipe)
    assert all(m.done() for m in mirais)
    assert n.counts[2:] == (0, 0, len(mirais))
    assert not n.dispatcher._board.tasks
    assert set(n.dispatcher._board.idle) == set(pipes)


def test_what_is_known_of_daemons_stays_bounded(net, monkeypatch):
    from mirai_py.dispatch import peers

    monkeypatch.setattr(peers, "_MAX_KNOWN", 10)
    n = net(1)
    for i in range(50):
        n.teach(1, Code.of(b"V", b"%d" % i, "f"))
    assert len(n.dispatcher._board.peers[1].known) <= 10


def test_ctrl_c_in_the_middle_of_a_step_comes_after_it(net):
    n = net(1)
    send = n.send

    def interrupted_send(pipe, parts):
        signal.raise_signal(signal.SIGINT)
        send(pipe, parts)

    n.send = interrupted_send
    with pytest.raises(KeyboardInterrupt):
        n.submit()
    n.send = send
    assert n.counts == (1, 1, 0, 1, 0)
    (task,) = n.tasks(1)
    n.answer(1, task)
    assert n.counts == (1, 1, 0, 0, 1)
    n.submit()
    assert len(n.tasks(1)) == 1


def test_two_threads_that_end_the_same_task_resolve_it_once(net):
    for _ in range(200):
        n = net(1)
        mirai = n.submit()
        (task,) = n.tasks(1)
        told = []
        n.dispatcher.watch_resolved(told.append)
        start = threading.Barrier(2)

        def cancel(mirai=mirai, start=start):
            start.wait()
            mirai.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        start.wait()
        n.answer(1, task)
        thread.join()
        assert sum(told) == 1
        assert mirai.data in (1, 20)
        assert n.counts[2:] == (0, 0, 1)


def test_daemons_are_listed_with_pid_host_and_state(net):
    n = net(1)
    assert n.dispatcher.daemons() == [
        {"pid": 1001, "host": handshake.identity().host, "state": "idle", "tasks": 0}
    ]
    n.submit()
    assert [d["state"] for d in n.dispatcher.daemons()] == ["busy"]


def test_an_introduction_that_cannot_be_read_is_refused(net):
    n = net()
    n.dispatcher.joined(1)
    _, challenge = n.take(Kind.CHALLENGE)
    hello = handshake.hello(TOKEN, challenge, b"n" * 16, handshake.identity())
    body = hello[0].replace(json.dumps(asdict(handshake.identity())).encode(), b"{}")
    n.say(1, [body])
    assert n.kinds() == [Kind.REFUSE]


# -- signs of life


def test_a_silent_idle_daemon_is_asked_and_then_cut_off(net):
    n = net(1)
    assert n.dispatcher.beat()
    assert n.kinds(1)[-1] is Kind.PING
    n.ack(1)  # that is the sign
    for _ in range(3):
        assert n.dispatcher.beat()
    assert n.cuts == [1]
    assert n.kinds(1).count(Kind.PING) == 2  # it is asked once
    n.dispatcher.lost(1)
    assert not n.dispatcher.beat()


def test_a_busy_daemon_is_not_asked(net):
    n = net(1)
    n.submit()
    for _ in range(5):
        n.dispatcher.beat()
    assert Kind.PING not in n.kinds(1)
    assert n.cuts == []
