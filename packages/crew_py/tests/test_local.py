import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import psutil
import pytest

import crew_py


@pytest.fixture
def launcher(started):
    return started(crew_py.crew_launcher_local(name="main"))


SLEEP = "import time; print('ready', flush=True); time.sleep(60)"


def test_a_worker_runs_the_call_in_a_session_of_its_own(launcher):
    worker = launcher.launch_worker(SLEEP)
    assert worker.is_alive()
    assert worker.get_exit_status() is None
    assert os.getsid(worker.get_pid()) == worker.get_pid()
    assert psutil.Process(worker.get_pid()).cmdline() == [sys.executable, "-u", "-c", SLEEP]


def test_interpreter_flags_are_passed_on(started):
    launcher = started(crew_py.crew_launcher_local(python_arguments=["-u", "-X", "dev"]))
    worker = launcher.launch_worker("import sys; sys.exit(sys.flags.dev_mode + 3)")
    assert worker.join(30)
    assert worker.get_exit_status() == 4


def test_the_end_of_a_worker_is_told_at_once(launcher):
    ended = threading.Event()
    worker = launcher.launch_worker("raise SystemExit(3)")
    worker.on_end(ended.set)
    assert ended.wait(30)
    assert (worker.is_alive(), worker.get_exit_status()) == (False, 3)


def test_a_handle_signals_and_kills(launcher):
    first, second = launcher.launch_worker(SLEEP), launcher.launch_worker(SLEEP)
    first.signal(signal.SIGTERM)
    second.kill()
    assert first.join(30)
    assert second.join(30)
    assert (first.get_exit_status(), second.get_exit_status()) == (-signal.SIGTERM, -signal.SIGKILL)
    first.kill()
    first.signal(signal.SIGTERM)


def test_the_tail_of_the_output_is_kept(launcher):
    worker = launcher.launch_worker("print(*range(30), sep='\\n'); 1 / 0")
    assert worker.join(30)
    lines = worker.tail().splitlines()
    assert len(lines) == 20
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_private_output_has_no_name_and_goes_away_at_the_end(launcher):
    worker = launcher.launch_worker("print('words')")
    assert worker.join(30)
    assert worker.log is None
    assert worker.tail() == "words"
    launcher.terminate()
    assert worker.tail() == ""


def test_private_logs_of_many_ended_workers_do_not_pile_up(launcher, monkeypatch):
    monkeypatch.setattr("crew_py.local.ENDED_KEPT", 1)
    workers = []
    for _ in range(4):
        workers.append(launcher.launch_worker("print('words')"))
        assert workers[-1].join(30)
    assert [worker.tail() for worker in workers] == ["", "", "words", "words"]


def test_a_joined_log_holds_both_streams(started, tmp_path):
    options = crew_py.crew_options_local(log_directory=str(tmp_path / "a" / "b"))
    launcher = started(crew_py.crew_launcher_local(options_local=options))
    worker = launcher.launch_worker("import sys; print('out'); print('err', file=sys.stderr)")
    assert worker.join(30)
    (log,) = (tmp_path / "a" / "b").iterdir()
    assert log.read_text() == "out\nerr\n"
    assert len(log.stem) == 16
    assert int(log.stem, 16) >= 0
    launcher.terminate()
    assert log.exists()


def test_separate_logs_hold_one_stream_each(started, tmp_path):
    options = crew_py.crew_options_local(log_directory=str(tmp_path), log_join=False)
    launcher = started(crew_py.crew_launcher_local(options_local=options))
    worker = launcher.launch_worker("import sys; print('out'); print('err', file=sys.stderr)")
    assert worker.join(30)
    contents = {log.name[16:]: log.read_text() for log in tmp_path.iterdir()}
    assert contents == {"-stdout.log": "out\n", "-stderr.log": "err\n"}
    assert worker.tail() == "err"


def test_a_log_directory_that_cannot_be_made_is_named(started, tmp_path):
    (tmp_path / "file").write_text("")
    options = crew_py.crew_options_local(log_directory=str(tmp_path / "file" / "logs"))
    launcher = started(crew_py.crew_launcher_local(options_local=options))
    with pytest.raises(crew_py.crew_error, match="log_directory"):
        launcher.launch_worker(SLEEP)


def test_options_of_another_kind_are_refused():
    with pytest.raises(crew_py.crew_error, match="options_local"):
        crew_py.crew_launcher_local(options_local=crew_py.crew_options_metrics())


def test_a_worker_is_found_by_its_process_id(launcher):
    worker = launcher.launch_worker("pass")
    assert launcher.find_worker(worker.get_pid()) is worker
    assert launcher.find_worker(0) is None
    assert worker.join(30)


def test_workers_find_the_modules_of_this_process(launcher, tmp_path, monkeypatch):
    (tmp_path / "crew_py_test_module.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    worker = launcher.launch_worker("import crew_py_test_module, crew_py")
    assert worker.join(30)
    assert worker.get_exit_status() == 0


def test_the_interpreters_own_folders_are_not_handed_to_children_of_workers(launcher, tmp_path):
    out = tmp_path / "path"
    worker = launcher.launch_worker(
        f"import os; open({str(out)!r}, 'w').write(os.environ.get('PYTHONPATH', ''))"
    )
    assert worker.join(30)
    assert str(Path(os.__file__).parent) not in out.read_text().split(os.pathsep)


def test_terminate_ends_what_has_not_connected_even_if_it_ignores_the_signal(launcher, monkeypatch):
    monkeypatch.setattr("crew_py.local.SECONDS_TO_END", 0.1)
    worker = launcher.launch_worker(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}")
    while "ready" not in worker.tail():
        assert not worker.join(0.01)
    launcher.terminate()
    assert worker.get_exit_status() == -signal.SIGKILL


SCRIPT = """
import crew_py
client = crew_py.crew_client(host="127.0.0.1")
client.start()
launcher = crew_py.crew_launcher_local(options_local=crew_py.crew_options_local(log_directory={logs!r}))
launcher.start(client.url, client.profile)
worker = launcher.launch_worker("import time; time.sleep(60)")
print(worker.get_pid(), flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["", "raise SystemExit(1)", "1 / 0"])
def test_workers_end_with_the_interpreter(end, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(end=end, logs=str(tmp_path))],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert not psutil.pid_exists(int(run.stdout))


HOST = """
import crew_py, sys
controller = crew_py.crew_controller_local()
controller.start()
controller.push(
    "import os; open(path, 'w').write(str(os.getpid())); sum(range(10**12))", data={{"path": {path!r}}}
)
sys.stdin.read()
"""


def test_a_worker_that_holds_the_interpreter_ends_when_its_host_is_killed(tmp_path):
    """No Python runs in it then: only the kernel can end it."""
    fifo = tmp_path / "begun"
    os.mkfifo(fifo)
    host = subprocess.Popen([sys.executable, "-c", HOST.format(path=str(fifo))], stdin=subprocess.PIPE)
    try:
        worker = psutil.Process(int(fifo.read_text()))
        before = worker.cpu_times().user
        while worker.cpu_times().user - before < 0.2:  # until it is at its sum
            time.sleep(0.02)
        host.kill()
        host.wait()
        assert psutil.wait_procs([worker], timeout=5)[1] == []
    finally:
        host.kill()
        host.communicate()


def test_a_forked_child_leaves_the_workers_alone(launcher):
    worker = launcher.launch_worker(SLEEP)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # threads run here
        child = os.fork()
    if child == 0:
        worker.kill()
        worker.signal(signal.SIGKILL)
        os._exit(0)
    os.waitpid(child, 0)
    assert not worker.join(0.05)
