import threading
from pathlib import Path

import pytest

import mirai_py
from mirai_py import daemons, mirai


def test_pending_tasks_resolve_to_19_before_the_reset_returns(fresh, gate):
    daemons(1, compute=fresh)
    running = mirai(gate.task, gate.argument, _compute=fresh)
    waiting = mirai(abs, 1, _compute=fresh)
    gate.wait()
    daemons(0, compute=fresh)
    assert [running.data, waiting.data] == [19, 19]


def test_the_current_profile_is_one_of_each_thread(one):
    seen = []
    with mirai_py.with_daemons(one):
        thread = threading.Thread(target=lambda: seen.append(mirai_py.profiles.profile_name(None)))
        thread.start()
        thread.join()
    assert seen == ["default"]


# -- programs that become daemons


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
