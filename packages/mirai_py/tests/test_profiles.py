import os
import queue
import re
import signal
import sys
import threading
from pathlib import Path

import pytest

import mirai_py
import nngsock
from mirai_py import daemons, info, mirai, status


@pytest.mark.parametrize(
    ("arguments", "options", "error", "told"),
    [
        ((), {}, TypeError, "`n` is missing"),
        (("4",), {}, TypeError, "`n` must be numeric, not '4'"),
        ((True,), {}, TypeError, "`n` must be numeric"),
        ((-1,), {}, ValueError, "zero or greater, not -1"),
        ((1.5,), {}, ValueError, "whole number"),
        ((), {"url": 5}, TypeError, "`url` must be of type character"),
        ((1,), {"dispatcher": 1}, TypeError, "`dispatcher` must be True or False"),
        ((1,), {"seed": "1"}, TypeError, "`seed` must be a whole number"),
        ((1,), {"batch": 0}, ValueError, "`batch` must be a whole number, 1 or greater"),
        ((1,), {"unknown": 1}, TypeError, "unknown argument 'unknown'; options of a daemon are: asyncdial"),
        ((1,), {"maxtasks": -1}, ValueError, "`maxtasks` must be a whole number, 1 or greater"),
        ((1,), {"idletime": "x"}, ValueError, "`idletime` must be a number"),
        ((1,), {"timerstart": 1.5}, ValueError, "`timerstart` must be a whole number"),
        ((1,), {"cleanup": 1}, TypeError, "`cleanup` must be True or False"),
        ((1,), {"autoexit": "x"}, TypeError, "`autoexit` must be True, False or None"),
        ((1,), {"output": 3}, TypeError, "`output` must be True, False or a path"),
        ((1,), {"compute": 3}, TypeError, "`compute` must be the name"),
        ((1,), {"memory": "5"}, TypeError, "`memory` must be a number of MB"),
        ((1,), {"remote": []}, TypeError, r"`remote` must come from remote_config\(\)"),
        ((1,), {"tls": "x"}, ValueError, "`tls` goes with a `url` of tls"),
        ((1,), {"serial": "x"}, TypeError, "`serial` must be what serial_config"),
        ((1,), {"dispatcher": 0}, TypeError, "`dispatcher` must be True or False"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_set(arguments, options, error, told, fresh):
    with pytest.raises(error, match=told):
        daemons(*arguments, **{"compute": fresh, **options})
    assert not mirai_py.daemons_set(fresh)


def test_bad_arguments_leave_the_daemons_that_are_set(fresh):
    daemons(sync=True, compute=fresh)
    with pytest.raises(TypeError):
        daemons(1, seed="x", compute=fresh)
    assert mirai_py.daemons_set(fresh)


def test_daemons_are_connected_on_return_and_gone_after_the_reset(fresh, ended):
    assert daemons(2, compute=fresh)
    assert info(fresh) == {
        "connections": 2, "cumulative": 2, "awaiting": 0, "executing": 0, "completed": 0,
    }  # fmt: skip
    pids = mirai_py.everywhere("import os; os.getpid()", _compute=fresh).collect()
    assert not daemons(0, compute=fresh)
    assert info(fresh) is None
    assert all(ended(pid, 0) for pid in pids)
    assert not daemons(0, compute=fresh)


def test_a_whole_float_is_a_number_of_daemons(fresh):
    daemons(1.0, compute=fresh)
    assert info(fresh)["connections"] == 1


def test_a_context_manager_sets_resets_and_makes_current(fresh):
    with daemons(1, compute=fresh) as d:
        assert mirai(abs, -3).collect() == 3
        assert repr(d) == f"< daemons [{fresh}: set] >"
        with mirai_py.with_daemons(fresh):
            assert mirai_py.require_daemons()
    assert not mirai_py.daemons_set(fresh)
    assert repr(d) == f"< daemons [{fresh}: not set] >"


def test_a_context_manager_resets_after_an_exception(fresh):
    with pytest.raises(KeyError), daemons(1, compute=fresh):
        raise KeyError
    assert not mirai_py.daemons_set(fresh)


def test_pending_tasks_resolve_to_19_before_the_reset_returns(fresh, gate):
    daemons(1, compute=fresh)
    running = mirai(gate.task, gate.argument, _compute=fresh)
    waiting = mirai(abs, 1, _compute=fresh)
    gate.wait()
    daemons(0, compute=fresh)
    assert [running.data, waiting.data] == [19, 19]


def test_setting_again_resets_first(fresh):
    daemons(1, compute=fresh)
    (pid,) = mirai_py.everywhere("import os; os.getpid()", _compute=fresh).collect()
    daemons(1, compute=fresh)
    assert mirai_py.everywhere("import os; os.getpid()", _compute=fresh).collect() != [pid]
    assert info(fresh)["cumulative"] == 1


def test_other_profiles_are_untouched(fresh, one):
    daemons(1, compute=fresh)
    daemons(0, compute=fresh)
    assert mirai(abs, -1, _compute=one).collect() == 1


def test_with_daemons_switches_and_needs_a_profile_that_is_set(one):
    @mirai_py.with_daemons(one)
    def inside():
        return mirai_py.daemons_set()

    assert inside()
    with pytest.raises(mirai_py.DaemonsNotSetError), mirai_py.with_daemons("nobody"):
        pass


def test_local_daemons_switches_until_the_stack_closes(one):
    import contextlib

    with contextlib.ExitStack() as stack:
        mirai_py.local_daemons(one, stack)
        assert mirai_py.daemons_set()


def test_the_current_profile_is_one_of_each_thread(one):
    seen = []
    with mirai_py.with_daemons(one):
        thread = threading.Thread(target=lambda: seen.append(mirai_py.profiles.profile_name(None)))
        thread.start()
        thread.join()
    assert seen == ["default"]


def test_the_error_of_missing_daemons_shows_what_to_paste():
    with pytest.raises(mirai_py.DaemonsNotSetError) as e:
        mirai_py.require_daemons("nobody")
    assert "mirai_py.daemons(4, compute='nobody')" in str(e.value)
    assert isinstance(e.value, mirai_py.MiraiException)
    assert isinstance(e.value, RuntimeError)


def test_status_of_a_profile_and_of_none(one):
    found = status(one)
    assert found["connections"] == 1
    assert set(found["mirai"]) == {"awaiting", "executing", "completed"}
    assert found["daemons"] == mirai_py.nextget("url", compute=one)
    assert status("nobody") == {"connections": 0, "daemons": 0}


def test_listening_starts_nothing_and_tells_the_real_port(fresh):
    daemons(url="tcp://127.0.0.1:0", compute=fresh)
    url = mirai_py.nextget("url", compute=fresh)
    assert re.fullmatch(r"tcp://127\.0\.0\.1:[1-9]\d*", url)
    assert info(fresh)["connections"] == 0
    assert mirai_py.nextget("n", compute=fresh) == 1
    m = mirai(abs, -2, _compute=fresh)
    assert mirai_py.launch_local(compute=fresh) == 1
    assert m.collect() == 2


def test_the_first_of_several_urls_is_taken(fresh):
    daemons(url={"lo": "tcp://127.0.0.1:0", "other": "nonsense"}, compute=fresh)
    assert status(fresh)["daemons"].startswith("tcp://127.0.0.1:")


def test_a_url_that_cannot_be_listened_at_leaves_the_profile_unset(fresh):
    with pytest.raises(nngsock.NngError):
        daemons(url="tcp://192.0.2.1:1", compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_nextget_gives_what_other_programs_need(fresh):
    daemons(url=mirai_py.local_url(), seed=1, compute=fresh)
    assert list(mirai_py.nextget("env", compute=fresh)) == ["MIRAI_PY_TOKEN"]
    assert mirai_py.nextget("dispatcher", compute=fresh) is True
    assert mirai_py.nextget("tls", compute=fresh) is None
    assert mirai_py.nextget("stream", compute=fresh) == (1, 0)
    assert mirai_py.nextstream(fresh) == (1, 0)
    assert mirai_py.nextstream(fresh) == (1, 1)
    assert mirai_py.nextget("url", compute="nobody") is None
    assert mirai_py.nextstream("nobody") is None


def test_the_condition_variable_is_signalled_once_for_each_resolved_mirai(fresh):
    daemons(1, compute=fresh)
    cv = mirai_py.nextget("cv", compute=fresh)
    assert mirai_py.nextget("cv", compute=fresh) is cv
    for m in [mirai(abs, i, _compute=fresh) for i in range(5)]:
        m.call()
    assert nngsock.cv_value(cv) == 5
    stopped = mirai("import time; time.sleep(60)", _compute=fresh)
    stopped.cancel()
    assert nngsock.cv_value(cv) == 6


def test_the_token_of_the_environment_is_used(fresh, monkeypatch):
    monkeypatch.setenv("MIRAI_PY_TOKEN", "mine")
    daemons(url=mirai_py.local_url(), compute=fresh)
    assert mirai_py.nextget("env", compute=fresh) == {"MIRAI_PY_TOKEN": "mine"}


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "0 | Daemon connection terminated"),
        (1, "1 | Daemon idletime limit reached"),
        (2, "2 | Daemon walltime limit reached"),
        (3, "3 | Daemon task limit reached"),
        (9, "9 | Daemon unknown"),
    ],
)
def test_exit_codes_have_words(code, text):
    assert mirai_py.nextcode(code) == text


def test_local_urls_are_new_each_time():
    assert mirai_py.local_url() != mirai_py.local_url()
    assert mirai_py.local_url(tcp=True, port=5) == "tcp://127.0.0.1:5"


def test_launch_local_needs_daemons_and_a_profile_with_processes(fresh):
    with pytest.raises(mirai_py.DaemonsNotSetError, match="daemons must be set"):
        mirai_py.launch_local(compute=fresh)
    daemons(sync=True, compute=fresh)
    with pytest.raises(mirai_py.MiraiException, match="cannot be launched for synchronous"):
        mirai_py.launch_local(compute=fresh)


# -- programs that become daemons

PROGRAM = "import os, mirai_py; before = {before}; mirai_py.daemon({url!r})"


def run_program(compute, before="0", program=PROGRAM, **options):
    source = program.format(before=before, url=mirai_py.nextget("url", compute=compute))
    return mirai_py.launch_process([sys.executable, "-c", source], compute=compute, **options)


def test_a_program_becomes_a_daemon_that_is_seen_out(fresh, monkeypatch):
    monkeypatch.setattr(mirai_py.profiles, "LEAVE_SECONDS", 10)  # time enough on any machine
    daemons(url=mirai_py.local_url(), compute=fresh)
    daemon = run_program(fresh, "os.environ.get('NAME')", env={**os.environ, "NAME": "given"})
    source = "(os.getpid(), before, os.getsid(0), {'MIRAI_PY_TOKEN', 'MIRAI_PY_LOCAL'} & os.environ.keys())"
    assert mirai(source, _compute=fresh).collect() == (daemon.pid, "given", daemon.pid, set())
    assert daemon.returncode is None
    assert repr(daemon) == f"< daemon [pid {daemon.pid}, running] >"
    daemons(0, compute=fresh)
    assert daemon.wait(10)
    assert daemon.returncode == 0
    assert repr(daemon) == f"< daemon [pid {daemon.pid}, exit status 0] >"


def test_of_a_batch_of_a_program_only_the_running_task_is_lost_also_if_it_had_to_dial_again(fresh):
    """What the host passes serves a program that calls daemon() again after it was refused."""
    daemons(url=mirai_py.local_url(), compute=fresh)
    program = """if True:
        import os, mirai_py, nngsock
        token = os.environ["MIRAI_PY_TOKEN"]
        try:
            mirai_py.daemon("tcp://127.0.0.1:1")
        except nngsock.NngError:
            os.environ["MIRAI_PY_TOKEN"] = token
            mirai_py.daemon({url!r})
    """
    daemon = run_program(fresh, program=program)

    def task(i, deadly):
        import os

        return os._exit(7) if i == deadly else i

    for _ in range(10):  # it learns that they are quick
        mirai(task, 0, None, _compute=fresh).call()
    mirais = [mirai(task, i, 20, _compute=fresh) for i in range(50)]
    assert mirais[20].collect() == 19
    assert mirais[20].data.detail["exit_code"] == 7
    assert daemon.wait(10)
    assert daemon.returncode == 7
    run_program(fresh)
    assert [m.collect() for m in mirais] == [19 if i == 20 else i for i in range(50)]


def test_the_end_of_a_program_is_told_and_its_output_goes_where_it_should(fresh, tmp_path):
    daemons(url=mirai_py.local_url(), compute=fresh)
    told = queue.SimpleQueue()
    with (tmp_path / "out").open("wb") as out:
        daemon = mirai_py.launch_process(
            [sys.executable, "-c", "import sys; print('words'); sys.exit(3)"], compute=fresh, stdout=out
        )
        daemon.when_ended(told.put, patience=None)
        assert told.get(timeout=20) == {"exit_code": 3}
    assert (tmp_path / "out").read_text() == "words\n"
    daemon.signal(signal.SIGTERM)  # harmless
    assert daemon.returncode == 3


def test_a_program_needs_daemons_words_and_a_file(fresh):
    with pytest.raises(mirai_py.DaemonsNotSetError, match="daemons must be set"):
        mirai_py.launch_process(["true"], compute=fresh)
    daemons(url=mirai_py.local_url(), compute=fresh)
    for command in ("true", [], [1]):
        with pytest.raises(TypeError, match="`command` must be a sequence of strings"):
            mirai_py.launch_process(command, compute=fresh)
    with pytest.raises(mirai_py.MiraiLaunchError, match="cannot start a daemon with '/nonexistent'"):
        mirai_py.launch_process(["/nonexistent"], compute=fresh)
    daemons(sync=True, compute=fresh)
    with pytest.raises(mirai_py.MiraiException, match="cannot be launched for synchronous"):
        mirai_py.launch_process(["true"], compute=fresh)


def test_the_number_of_daemons_changes_while_tasks_run(fresh, gate, ended):
    daemons(1, compute=fresh)
    running = [mirai(gate.task, gate.argument, i, _compute=fresh) for i in range(2)]
    (first,) = gate.wait()
    mirai_py.launch_local(1, compute=fresh)
    (second,) = gate.wait()
    assert mirai_py.stop_daemons(2, compute=fresh) == 2
    gate.open(2)
    assert [m.collect() for m in running] == [0, 1]
    assert ended(first)
    assert ended(second)


def test_a_daemon_that_cannot_start_is_an_error_with_its_last_words(fresh, monkeypatch):
    monkeypatch.setattr(mirai_py.launch, "daemon_source", lambda *_: "import sys; sys.exit('no luck today')")
    with pytest.raises(mirai_py.MiraiLaunchError, match=r"exit code 1 .*(?s:.)*no luck today"):
        daemons(2, compute=fresh)
    assert not mirai_py.daemons_set(fresh)


@pytest.mark.parametrize("dispatcher", [True, False])
def test_a_start_that_takes_its_time_says_so(fresh, gate, monkeypatch, dispatcher):
    noted = []

    class Stderr:
        def write(self, text):
            noted.append(text)
            gate.open(2)  # now the daemons may go on

    source = mirai_py.launch.daemon_source
    held = f"open('{gate.argument}/go', 'rb', buffering=0).read(1); "
    monkeypatch.setattr(mirai_py.launch, "daemon_source", lambda *options: held + source(*options))
    monkeypatch.setattr(mirai_py.profiles, "NOTE_SECONDS", 0.05)
    monkeypatch.setattr(mirai_py.profiles.sys, "stderr", Stderr())
    daemons(2, dispatcher=dispatcher, compute=fresh)
    assert noted[0] == "initial sync with daemon(s) [0 secs elapsed]\n"
    assert mirai_py.info(fresh)["connections"] == 2


def test_output_that_cannot_be_written_is_an_error(fresh, tmp_path):
    with pytest.raises(mirai_py.MiraiLaunchError, match=r"No such file or directory: '.*/missing/log'"):
        daemons(1, output=tmp_path / "missing" / "log", compute=fresh)
    assert not mirai_py.daemons_set(fresh)
    daemons(1, output=tmp_path / "log", compute=fresh)
    mirai("print('told')", _compute=fresh).call()
    daemons(0, compute=fresh)
    assert (tmp_path / "log").read_text() == "told\n"


def test_an_interpreter_that_cannot_be_started_is_an_error(fresh, monkeypatch):
    monkeypatch.setattr(mirai_py.launch.sys, "executable", "/nonexistent/python")
    with pytest.raises(mirai_py.MiraiLaunchError, match="cannot start a daemon with '/nonexistent/python'"):
        daemons(2, compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_a_reset_by_another_thread_ends_the_wait_for_daemons(fresh, monkeypatch):
    monkeypatch.setattr(mirai_py.launch, "daemon_source", lambda *_: "import time; time.sleep(600)")
    launched = threading.Event()
    launch = mirai_py.profiles.Profile.launch

    def watched(self, n, options):
        found = launch(self, n, options)
        launched.set()
        return found

    monkeypatch.setattr(mirai_py.profiles.Profile, "launch", watched)
    errors = []

    def start():
        try:
            daemons(1, compute=fresh)
        except mirai_py.MiraiException as error:
            errors.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    assert launched.wait(30)
    daemons(0, compute=fresh)
    thread.join(30)
    assert len(errors) == 1
    assert "was reset meanwhile" in errors[0]
    assert not mirai_py.daemons_set(fresh)


def test_threads_that_set_the_same_profile_leave_one_set_and_nothing_else(fresh):
    errors = []

    def start():
        try:
            daemons(1, compute=fresh)
        except mirai_py.DaemonsNotSetError:
            errors.append(1)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) < 3
    assert mirai(abs, -1, _compute=fresh).collect() == 1
    assert info(fresh)["connections"] == 1


def test_submission_during_resets_never_hangs_or_raises(fresh):
    stop = threading.Event()
    seen = set()

    def submit():
        while not stop.is_set():
            if mirai_py.daemons_set(fresh):
                try:
                    value = mirai_py.mirai_map([1], abs, _compute=fresh)[0].collect()
                except mirai_py.DaemonsNotSetError:
                    continue
                seen.add(int(value))

    threads = [threading.Thread(target=submit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        daemons(1, compute=fresh)
    daemons(0, compute=fresh)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert seen <= {1, 19}


def test_daemons_of_a_hosts_numeric_threads(fresh, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    source = "import os; os.environ.get('OMP_NUM_THREADS')"
    with daemons(1, compute=fresh):
        assert mirai(source).collect() == "1"
        mirai_py.stop_daemons(1)
        mirai_py.launch_local(1, threads=None)
        assert mirai(source).collect() in (None, "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with daemons(1, compute=fresh):
        assert mirai(source).collect() == "3"


def test_local_daemons_share_search_path_directory_and_environment(fresh, monkeypatch, tmp_path):
    (tmp_path / "only_here.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ONLY_HERE", "yes")
    with daemons(1, compute=fresh):
        assert mirai("import only_here; only_here.answer").collect() == 42
        assert mirai("import os; os.environ['ONLY_HERE'], os.getcwd()").collect() == ("yes", str(Path.cwd()))


def test_the_token_is_in_no_ones_sight(fresh):
    with daemons(1, compute=fresh):
        token = mirai_py.nextget("env", compute=fresh)["MIRAI_PY_TOKEN"]
        source = "import os; dict(os.environ), open('/proc/self/cmdline').read()"
        environment, line = mirai(source).collect()
        assert token not in line
        assert token not in environment.values()
        assert "MIRAI_PY_LOCAL" not in environment


def test_a_certificate_cannot_be_made_without_the_extra_whose_name_is_told(fresh, without):
    without("cryptography")
    with pytest.raises(mirai_py.MissingExtraError, match=r'pip install "mirai-nng\[tls\]"'):
        daemons(url="tls+tcp://127.0.0.1:0", compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_plain_tcp_beyond_loopback_is_warned_of_once(fresh, caplog, monkeypatch):
    monkeypatch.setattr("mirai_py.addresses._warned", False)
    for url in ("tcp://127.0.0.1:0", "tcp://[::1]:0", "tcp://localhost:0", mirai_py.local_url()):
        daemons(url=url, compute=fresh)
    assert not caplog.records
    daemons(url="tcp://0.0.0.0:0", compute=fresh)
    url = status(fresh)["daemons"]
    daemons(url="tcp://0.0.0.0:0", compute=fresh)
    assert [r.getMessage() for r in caplog.records] == [
        f"what travels on {url} is not encrypted: tls+tcp:// makes a key and certificate by itself"
    ]
