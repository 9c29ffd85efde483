import ast
import threading

import pytest

import mirai_py
from mirai_py import launch


def test_the_line_of_a_daemon_is_python_for_any_option():
    line = launch.daemon_source("tcp://h:1", {"idletime": float("inf"), "output": "a'b.log", "rs": (1, 2)})
    call = ast.parse(line).body[1].value
    assert ast.unparse(call.func) == "mirai_py.daemon"
    assert [k.arg for k in call.keywords] == ["idletime", "output", "rs"]
    assert 'float("inf")' in line
    assert "\n" not in line


def start(monkeypatch, source):
    monkeypatch.setattr(launch, "daemon_source", lambda *_: source)
    return launch.start_local("url", "token", {})


def test_the_end_of_a_daemon_is_told_to_all_who_ask_before_or_after(monkeypatch):
    daemon = start(monkeypatch, "import sys; sys.stderr.write('last words'); sys.exit(4)")
    told, came = [], threading.Semaphore(0)
    for _ in range(2):
        daemon.when_ended(lambda end: (told.append(end), came.release()), patience=None)
        assert came.acquire(timeout=20)
    assert told == [{"exit_code": 4}] * 2
    assert daemon.gone()
    assert daemon.last_words() == "last words"
    daemon.see_out(0)
    assert daemon.last_words() == ""


def test_who_is_impatient_is_told_nothing(monkeypatch):
    daemon = start(monkeypatch, "import time; time.sleep(600)")
    told, came = [], threading.Event()
    daemon.when_ended(lambda end: (told.append(end), came.set()), patience=0.01)
    assert came.wait(20)
    daemon.see_out(0)
    assert told == [{}]
    assert daemon.end() == {"signal": "SIGTERM"}


def test_one_that_does_not_heed_sigterm_is_killed(monkeypatch):
    monkeypatch.setattr(launch, "TERMINATE_SECONDS", 0.1)
    source = (
        "import signal, sys, time; signal.signal(15, signal.SIG_IGN)\n"
        "sys.stderr.write('x'); sys.stderr.flush(); time.sleep(600)"
    )
    daemon = start(monkeypatch, source)
    while not daemon.last_words():
        pass
    daemon.see_out(0)
    assert daemon.end() == {"signal": "SIGKILL"}


def test_what_was_begun_and_finished_is_known_after_the_end(monkeypatch):
    source = (
        "import json, os\n"
        "from mirai_py.frames import Result\n"
        "from mirai_py.record import Record\n"
        "record = Record(json.loads(os.environ['MIRAI_PY_LOCAL'])['record'])\n"
        "record.keep(Result(76, 0, 0.5, [b'as', b'it was']))\n"
        "record.begin(77)\n"
        "os._exit(0)"
    )
    daemon = start(monkeypatch, source)
    ended = threading.Event()
    daemon.when_ended(lambda _: ended.set(), patience=None)
    assert ended.wait(20)
    daemon.see_out(0)
    assert daemon.started() == 77
    assert daemon.finished() == {76: (0, b"asit was")}


def test_an_interpreter_that_is_missing_is_an_error(monkeypatch):
    monkeypatch.setattr(launch.sys, "executable", "/nonexistent")
    with pytest.raises(mirai_py.MiraiLaunchError, match="cannot start a daemon with '/nonexistent'"):
        launch.start_local("url", "token", {})
