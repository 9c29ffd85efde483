import pickle
import signal
import threading
from pathlib import Path

import pytest

from mirai_py import codes, evaluate, frames, pages, serial
from mirai_py.chunks import FLUSH_SECONDS, KEEP_SECONDS, LONG_SECONDS, Running
from mirai_py.codes import CONSTANTS, Code, CodeCache, code_of
from mirai_py.evaluate import Evaluator
from mirai_py.record import SIZE, Record, shared_memory


class Daemon:
    """Runs chunks here, and keeps the values that it would send."""

    def __init__(self, **options):
        self.namespace = {}
        self.evaluator = Evaluator(CodeCache(), self.namespace, **options)
        self.record = None
        self.values = {}

    def chunk(self, f, items, *, behind=(), named=None, names=None, skip=0, number=None, stream=None):
        extras = {"globals": names or {}, "form": "one", "columns": ()}
        if stream is not None:
            extras["stream"] = stream
        constants = Code.of(CONSTANTS, b"".join(serial.dump_call(behind, named or {}, extras, [])), "")
        function = f if isinstance(f, Code) else code_of(f)
        for code in (function, constants):
            self.evaluator.cache.add(code.key, code.body)
        found = [p.body for p in pages.packed(items, lambda _, item: serial.dumps(item, []))]
        count = len(items) - skip if number is None else number
        return Running(
            frames.Chunk(100, 100 + skip, skip, count, (function.key, constants.key), [], found), None
        )

    def send(self, parts):
        frame = memoryview(b"".join(parts))
        _, _, count = frames.parse_head(frame)
        first, _, page = frames.parse_piece(frame)
        if pages.is_table(page):
            found = [pickle.loads(b) if s == 0 and b[0] == 0x80 else (s, b) for s, b in pages.rows_of(page)]
        else:
            found = pages.items_of(page)
        assert len(found) == count
        self.values |= dict(enumerate(found, first))

    def go(self, running, limit=float("inf")):
        return running.run(self.evaluator, self.record, limit, self.send)

    def run(self, f, items, limit=float("inf"), **options):
        running = self.chunk(f, items, **options)
        ran = self.go(running, limit)
        running.flush(self.send)
        assert ran == len(self.values)
        return list(self.values.values())


@pytest.fixture
def daemon():
    return Daemon()


def by_value(source, name="f", **names):
    """A function of `__main__`, as a script has it."""
    table = {"__name__": "__main__", **names}
    exec(source, table)
    return table[name]


def test_elements_run_in_their_order_from_where_the_chunk_begins(daemon):
    assert daemon.run(abs, [-1, -2, -3, -4], skip=1, number=2) == [2, 3]
    assert list(daemon.values) == [101, 102]


def test_each_element_sees_the_constants_as_they_were_sent(daemon):
    f = by_value("def f(x, seen, *, key):\n    seen.append(x)\n    return len(seen), key")
    assert daemon.run(f, [1, 2, 3], behind=([],), named={"key": "k"}) == [(1, "k")] * 3


def test_each_element_is_its_own(daemon):
    same = []
    f = by_value("def f(x):\n    x.append(1)\n    return len(x)")
    assert daemon.run(f, [same, same, same]) == [1, 1, 1]


@pytest.mark.parametrize(
    "body",
    ["global n; n += 1; return n", "globals()['n'] = n + 1; return n", "exec('global n; n += 1'); return n"],
)
def test_globals_of_a_function_are_fresh_for_each_element(daemon, body):
    f = by_value(f"def f(x):\n    {body}", n=0)
    assert len(set(daemon.run(f, [1, 2, 3]))) == 1


def test_globals_that_only_an_inner_function_writes_are_fresh_too(daemon):
    f = by_value("def f(x):\n    def g():\n        global n\n        n += 1\n    g()\n    return n", n=0)
    assert daemon.run(f, [1, 2, 3]) == [1, 1, 1]


def test_a_function_that_leaves_no_trace_is_made_once(daemon, monkeypatch):
    f = by_value("def f(x):\n    return x + k", k=1)
    assert code_of(f).body[:1] == codes.STEADY
    made = []
    renewed = codes.renewed
    monkeypatch.setattr(codes, "renewed", lambda it: made.append(it) or renewed(it))
    assert daemon.run(f, [1, 2, 3]) == [2, 3, 4]
    assert len(made) == 1


def test_names_of_the_daemon_and_of_the_map_are_seen(daemon):
    daemon.namespace["a"] = 1
    f = by_value("def f(x):\n    return a, b, x")
    assert daemon.run(f, [5], names={"b": 2}) == [(1, 2, 5)]


def test_a_failure_costs_its_element_alone(daemon):
    found = daemon.run(lambda x: 1 // x, [1, 0, 2])
    assert found[0] == 1
    assert found[1][0] == frames.Status.ERROR
    assert found[2] == 0


def test_an_element_that_cannot_be_read_costs_itself_alone(daemon):
    class Strange:
        def __reduce__(self):
            return __import__, ("no_such_module_here",)

    found = daemon.run(type, [1, Strange(), 2])
    assert b"no_such_module_here" in bytes(found[1][1])
    assert found[0] is found[2] is int


def test_a_function_that_cannot_be_read_fails_for_each(daemon):
    broken = Code.of(codes.VALUE, pickle.dumps(LookupError).replace(b"LookupError", b"LookupErrXX"), "f")
    assert [status for status, _ in daemon.run(broken, [1, 2])] == [frames.Status.ERROR] * 2


def test_a_value_that_cannot_be_sent_costs_its_element_alone(daemon):
    found = daemon.run(lambda x: threading.Lock() if x else x, [0, 1, 0])
    assert b"cannot serialise the result of type lock" in bytes(found[1][1])
    assert found[0] == found[2] == 0


def test_a_value_is_sent_as_it_was_when_its_element_ended(daemon):
    daemon.namespace["held"] = []
    f = by_value("def f(x):\n    held.append(x)\n    return held")
    assert daemon.run(f, [1, 2, 3]) == [[1], [1, 2], [1, 2, 3]]


def test_surroundings_are_put_back_at_the_end_and_after_what_took_long(daemon):
    before = Path.cwd()
    f = by_value(
        "def f(x):\n"
        "    import os, time\n"
        "    seen = os.getcwd()\n"
        "    os.chdir('/')\n"
        "    time.sleep(x)\n"
        "    return seen"
    )
    assert daemon.run(f, [0, 2 * LONG_SECONDS, 0])[2] == str(before)
    assert Path.cwd() == before


def test_each_element_draws_from_its_own_stream_wherever_it_runs(daemon):
    f = by_value("def f(x):\n    import random\n    return random.random()")
    whole = daemon.run(f, [0] * 4, stream=(7, 3))
    assert len(set(whole)) == 4
    assert Daemon().run(f, [0] * 4, stream=(7, 3), skip=2) == whole[2:]


def test_codes_that_are_missing_are_fetched():
    daemon = Daemon(fetch=lambda key: daemon.evaluator.cache.add(*missing.pop(key)))
    running = daemon.chunk(abs, [-1])
    kept = daemon.evaluator.cache
    daemon.evaluator.cache = CodeCache()
    missing = {key: (key, kept.body(key)) for key in running.keys}
    assert daemon.go(running) == 1
    running.flush(daemon.send)
    assert daemon.values == {100: 1}


def test_an_unwanted_element_is_passed_over(daemon):
    daemon.evaluator.interrupt.refuse([101])
    assert daemon.run(abs, [1, 2, 3])[1] == (frames.Status.INTERRUPT, b"")
    assert daemon.values[102] == 3


def test_the_running_element_is_interrupted_and_the_next_goes_on():
    interrupt = evaluate.Interrupt()
    interrupt.install("")
    try:
        daemon = Daemon(interrupt=interrupt)
        daemon.namespace["stop"] = lambda: interrupt(101)
        f = by_value(
            "def f(x):\n    import time\n    if x == 2:\n        stop(); time.sleep(60)\n    return x"
        )
        assert daemon.run(f, [1, 2, 3]) == [1, (frames.Status.INTERRUPT, b""), 3]
    finally:
        interrupt.uninstall()


def test_an_element_that_raises_sigint_itself_is_interrupted():
    interrupt = evaluate.Interrupt()
    interrupt.install("")
    try:
        f = by_value("import signal\ndef f(x):\n    if x:\n        signal.raise_signal(2)\n    return x")
        found = Daemon(interrupt=interrupt).run(f, [0, 1, 0])
    finally:
        interrupt.uninstall()
    assert found == [0, (frames.Status.INTERRUPT, b""), 0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_not_begun_can_be_given_back(daemon):
    running = daemon.chunk(abs, [1, 2, 3, 4])
    assert running.give_back(102, 104) == (102, 104)
    assert running.give_back(500, 600) == (102, 102)  # those are of another chunk
    assert daemon.go(running) == 2
    assert running.give_back(100, 102) == (102, 102)


def test_what_was_begun_is_not_given_back(daemon):
    back = []
    running = None
    daemon.namespace["give_back"] = lambda: back.append(running.give_back(100, 104))
    f = by_value("def f(x):\n    if x == 2:\n        give_back()\n    return x")
    running = daemon.chunk(f, [1, 2, 3, 4])
    assert daemon.go(running) == 2
    assert back == [(102, 104)]


def test_a_limit_leaves_the_rest(daemon):
    running = daemon.chunk(abs, [1, 2, 3])
    assert daemon.go(running, 2) == 2
    assert running.give_back(100, 103) == (102, 103)


def test_values_do_not_wait_for_the_end_of_a_long_chunk(daemon):
    daemon.namespace["sent"] = lambda: len(daemon.values)
    f = by_value("import time\ndef f(x):\n    time.sleep(x)\n    return sent()")
    running = daemon.chunk(f, [2 * FLUSH_SECONDS, 0, 0])
    daemon.go(running)
    running.flush(daemon.send)
    assert list(daemon.values.values())[:2] == [0, 1]


@pytest.fixture
def record():
    with shared_memory() as descriptor:
        it = Record(descriptor)
    yield it
    it.close()


def test_what_was_begun_and_values_that_wait_are_recorded(daemon, record):
    daemon.record = record
    daemon.namespace["seen"] = lambda: (
        record.started(),
        [(a, n, pages.items_of(p)) for a, n, p in record.pieces()],
    )
    f = by_value("import time\ndef f(x):\n    time.sleep(x)\n    return str(seen()) if x else 'value'")
    daemon.run(f, [0, 2 * KEEP_SECONDS, 2 * KEEP_SECONDS, 0])
    assert daemon.values[102].startswith("(102, [(100, ")
    assert "'value'" in daemon.values[102]


def test_a_full_record_ends_a_chunk_early(daemon, record):
    daemon.record = record
    f = by_value(
        f"import time\ndef f(x):\n    time.sleep({2 * KEEP_SECONDS})\n    return str(x) * {SIZE // 3}"
    )
    running = daemon.chunk(f, list(range(9)))
    ran = daemon.go(running)
    running.flush(daemon.send)
    assert 1 < ran < 5
    assert list(daemon.values) == list(range(100, 100 + ran))
    assert running.give_back(100, 109) == (100 + ran, 109)


def test_values_are_sent_once_and_what_nobody_wants_is_not(daemon):
    running = daemon.chunk(abs, [1, 2])
    daemon.go(running, 1)
    running.flush(daemon.send)
    running.flush(lambda _: pytest.fail("it was sent twice"))
    running.drop()
    assert daemon.go(running, 1) == 0
