import signal
import threading

import pytest

from mirai_py import mirai, on_daemon, serial
from mirai_py.codes import CodeCache, code_of
from mirai_py.errors import rebuild
from mirai_py.evaluate import Evaluator, Interrupt
from mirai_py.frames import Status, TaskFlag
from mirai_py.sharing import once


@pytest.fixture
def run():
    """Run a task in an evaluator of the test's own; gives its value, or the error."""
    cache, namespace = CodeCache(), {}

    def run(call, *args, _flags=0, _globals=None, _evaluator=None, **kwargs):
        code = code_of(call)
        cache.add(code.key, code.body)
        extras = None if _globals is None else {"globals": _globals}
        body = code.key + b"".join(serial.dump_call(args, kwargs, extras, []))
        status, parts = (_evaluator or run.evaluator).run(1, _flags, body)
        if status == Status.INTERRUPT:
            return status
        body = b"".join(parts)
        return serial.loads(body) if status == Status.OK else rebuild(body)

    run.evaluator = Evaluator(cache, namespace)
    run.namespace = namespace
    run.cache = cache
    return run


def by_value(source, **names):
    namespace = {"__name__": "__main__", **names}
    exec(source, namespace)
    return namespace["f"]


def test_globals_of_a_function_start_afresh_at_each_call(run):
    f = by_value("n = 0\ndef f():\n    global n\n    n += 1\n    return n")
    assert [run(f) for _ in range(3)] == [1, 1, 1]


def test_names_of_the_daemon_are_visible_to_functions_that_lack_them(run):
    f = by_value("def f(): return table")
    run("table = 1", _flags=TaskFlag.EVERYWHERE)
    assert run(f) == 1
    assert run(f, _globals={"table": 2}) == 2
    assert run(by_value("table = 3\ndef f(): return table")) == 3


def test_the_exception_keeps_what_it_was(run):
    def f():
        error = OSError(2, "gone", "file.txt")
        error.note = "more"
        raise error

    e = run(f)
    assert e.condition_class == ("FileNotFoundError", "OSError", "Exception", "BaseException")
    assert (e.errno, e.filename, e.note) == (2, "file.txt", "more")
    assert isinstance(e.exception, FileNotFoundError)


def test_the_trace_names_the_users_frames_with_their_source(run):
    e = run("def g():\n    raise ValueError('x')\ng()")
    assert [frame.name for frame in e.stack_trace] == ["<module>", "g"]
    assert e.stack_trace[-1].line == "raise ValueError('x')"
    assert "Traceback" in e.traceback
    e = run(pow, 1, "x")
    assert e.stack_trace == ()
    assert e.call is None


def test_source_text_that_does_not_parse_is_an_error(run):
    assert run("1 +").condition_class[0] == "SyntaxError"


def test_lines_of_source_text_are_forgotten_with_it(run):
    import gc
    import linecache

    before = set(linecache.cache)
    for i in range(50):
        run(f"{i} + 1")
    run.cache._objects.clear()
    gc.collect()
    assert {name for name in linecache.cache if name.startswith("<mirai")} <= before


def test_everything_that_a_task_may_raise_is_its_result(run):
    def f():
        raise SystemExit(3)

    assert str(run(f)) == "SystemExit: 3"
    assert run("raise KeyboardInterrupt") == Status.INTERRUPT
    assert "GeneratorExit" in str(run("raise GeneratorExit"))


def test_an_object_that_is_no_function_is_an_error(run):
    assert "a task is a function" in run(once(5)).message


def test_on_daemon_is_true_inside_a_task(one):
    assert not on_daemon()
    assert mirai("import mirai_py; mirai_py.on_daemon()", _compute=one).collect() is True


# -- interrupts


@pytest.fixture
def interrupt():
    made = Interrupt()
    made.install("")
    yield made
    made.uninstall()


def test_the_signals_are_given_back():
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGURG)]
    made = Interrupt()
    made.install("")
    assert signal.getsignal(signal.SIGINT) == made._handle
    made.uninstall()
    made.uninstall()
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGURG)] == before


@pytest.mark.parametrize("lost", [False, True])
def test_the_running_task_is_interrupted_even_from_sleep(run, interrupt, monkeypatch, lost):
    """Also if the signal arrives a moment before the task sleeps, so that it does not end the sleep."""
    import time

    kill = signal.pthread_kill

    def kill_elsewhere(thread, number):
        # Delivered to another thread, SIGINT is noted by the interpreter, but ends no call of the main one.
        kill(threading.get_ident() if number == signal.SIGINT else thread, number)

    if lost:
        monkeypatch.setattr(signal, "pthread_kill", kill_elsewhere)
    evaluator = Evaluator(run.cache, {}, interrupt=interrupt)
    woken = threading.Event()

    def sleep_long():
        woken.set()
        time.sleep(60)

    code = once(None).code  # any key; the call itself cannot travel with an event in it
    evaluator._read = lambda _: (sleep_long, (), {}, None)
    thread = threading.Thread(target=lambda: (woken.wait(10), interrupt(1)))
    thread.start()
    status, _ = evaluator.run(1, 0, code.key)
    thread.join()
    assert status == Status.INTERRUPT


def test_a_cancel_that_overtook_its_task_is_not_forgotten_when_that_comes(interrupt):
    interrupt(7)
    interrupt(8)
    interrupt.forget_all_but([6, 7])
    assert interrupt.unwanted(7)
    assert not interrupt.unwanted(8)


def test_a_late_cancel_hits_nobody(interrupt):
    interrupt.begin(2)
    interrupt(1)
    interrupt.running = None
    interrupt(2)
    assert interrupt.unwanted(1)
    interrupt.forget_all_but([])
    assert not interrupt.unwanted(1)
    interrupt.begin(1)


def test_an_unwanted_task_does_not_begin(interrupt):
    interrupt(5)
    with pytest.raises(KeyboardInterrupt):
        interrupt.begin(5)
    interrupt.forget_all_but([])
    interrupt.end()
    with pytest.raises(KeyboardInterrupt):
        interrupt.begin(6)


def test_a_signal_that_was_meant_for_the_task_before_is_ignored(interrupt, monkeypatch):
    monkeypatch.setattr(signal, "pthread_kill", lambda *_: None)
    interrupt.begin(1)
    interrupt(1)
    interrupt.begin(2)
    interrupt._handle(signal.SIGINT, None)  # the signal arrives late
    with pytest.raises(KeyboardInterrupt):  # the next one is somebody else's
        interrupt._handle(signal.SIGINT, None)


def test_two_cancels_send_one_signal(interrupt, monkeypatch):
    sent = []
    monkeypatch.setattr(signal, "pthread_kill", lambda *_: sent.append(1))
    interrupt.begin(1)
    interrupt(1)
    interrupt.begin(2)
    interrupt(2)
    assert sent == [1]
    with pytest.raises(KeyboardInterrupt):
        interrupt._handle(signal.SIGINT, None)


def test_between_tasks_a_signal_does_nothing(interrupt):
    interrupt.running = None
    signal.raise_signal(signal.SIGINT)


def test_a_coroutine_is_no_result_and_what_to_do_is_told(one):
    async def f():
        return 1

    value = mirai(f, _compute=one).collect()
    assert "cannot serialise the result of type coroutine" in value.message
    assert "submit a function that calls asyncio.run()" in value.message
    assert mirai(lambda: __import__("asyncio").run(f()), _compute=one).collect() == 1
