import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autometric_py import cli, log_print, log_read

CLI = [sys.executable, "-m", "autometric_py"]
BUSY = "import subprocess, sys; x = bytearray(60_000_000); subprocess.run(['sleep', '0.5']); sys.exit(3)"


def autometric(*words, cwd):
    return subprocess.run([*CLI, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False)


def test_run_measures_a_command_and_its_children_and_passes_its_status_on(tmp_path):
    done = autometric("run", "--seconds", 0.05, "--", sys.executable, "-c", BUSY, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout == ""
    name = Path(sys.executable).name
    log = log_read(tmp_path / "autometric.log", extras=["threads", "read"])
    assert set(log["name"]) >= {name, f"{name}/sleep"}
    assert "autometric" not in set(log["name"])
    assert log.filter(log["name"] == name)["resident"].max() > 60
    assert log.filter(log["status"] == 0)["threads"].min() >= 1
    for line in (
        r"wall time\s+0\.[5-9]|wall time\s+[1-9]",
        r"exit status 3",
        r"memory\s+peak [\d.]+ MB",
        "io ",
        "cpu ",
    ):
        assert re.search(line, done.stderr), done.stderr


def test_run_leaves_the_commands_streams_alone(tmp_path):
    command = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('err')"
    done = subprocess.run(
        [*CLI, "run", "--quiet", "--", sys.executable, "-c", command],
        cwd=tmp_path, input="text", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("TEXT", "err")


def test_a_command_shorter_than_the_interval_has_a_summary(tmp_path):
    done = autometric("run", "--", sys.executable, "-c", "pass", cwd=tmp_path)
    assert done.returncode == 0
    assert re.search(r"memory\s+peak \d+\.\d MB", done.stderr)


def test_the_words_of_the_command_are_its_own(tmp_path):
    done = autometric("run", "--quiet", "--", "echo", "--seconds", "--", "-x", cwd=tmp_path)
    assert done.stdout == "--seconds -- -x\n"


def test_a_summary_is_of_this_run_alone(tmp_path):
    for size, expected in ((100, 100), (1, 1)):
        code = f"x = bytearray({size}_000_000); import time; time.sleep(0.4)"
        done = autometric("run", "--seconds", 0.05, "--", sys.executable, "-c", code, cwd=tmp_path)
        peak = float(re.search(r"memory\s+peak ([\d.]+)", done.stderr)[1])
        assert expected <= peak < expected + 60


@pytest.mark.parametrize(("command", "status"), [("no-such-command", 127), ("/", 126)])
def test_a_command_that_cannot_be_started(tmp_path, command, status):
    done = autometric("run", "--", command, cwd=tmp_path)
    assert done.returncode == status
    assert done.stderr.startswith(f"autometric: {command}: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_command_that_is_killed_has_the_status_of_a_shell(tmp_path):
    done = autometric("run", "--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)", cwd=tmp_path)
    assert done.returncode == 137


ENDS_WITH_7 = """
import signal, sys
signal.signal(signal.SIGNUM, lambda *_: sys.exit(7))
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_the_commands(tmp_path, number):
    code = ENDS_WITH_7.replace("SIGNUM", number.name)
    process = subprocess.Popen(
        [*CLI, "run", "--quiet", "--", sys.executable, "-c", code],
        cwd=tmp_path, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    with process:
        process.stdout.readline()
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # a terminal sends it to all
        else:
            os.kill(process.pid, number)
        assert process.wait(20) == 7


def test_run_follows_processes_until_they_end(tmp_path, sleeper):
    process = subprocess.Popen(
        [*CLI, "run", "--seconds", "0.05", "--pid", str(sleeper.pid)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "autometric.log"
    with process:
        while not (log.exists() and log.stat().st_size):
            os.sched_yield()
        sleeper.kill()
        sleeper.wait()
        assert process.wait(20) == 0
        assert "wall time" in process.stderr.read()
    assert log_read(log)["name"][0] == "sleep"


def test_run_of_a_process_that_is_not_there(tmp_path):
    done = autometric("run", "--pid", 2**22 + 5, cwd=tmp_path)
    assert done.returncode == 1
    assert "no process 4194309" in done.stderr


def test_run_needs_one_of_both(tmp_path):
    for words in ([], ["--pid", "1", "--", "true"]):
        done = autometric("run", *words, cwd=tmp_path)
        assert done.returncode == 1
        assert "--pid" in done.stderr


def test_a_log_that_cannot_be_written_starts_no_command(tmp_path):
    done = autometric("run", "--path", tmp_path, "--", "touch", "started", cwd=tmp_path)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert not (tmp_path / "started").exists()


def test_print_writes_a_line_per_process(tmp_path, sleeper):
    done = autometric("print", "--pid", sleeper.pid, "--pid", os.getpid(), "--seconds", 0.05, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert [line.split("|")[2] for line in lines] == [str(sleeper.pid), str(os.getpid())]


@pytest.fixture
def log(tmp_path):
    log_print(tmp_path / "x.log", seconds=0.05, pids={"one": os.getpid(), "two": os.getppid()})
    return str(tmp_path / "x.log")


@pytest.mark.parametrize(
    "options", [[], ["--all", "--metric", "core"], ["--name", "one", "--phase", "__DEFAULT__"]]
)
def test_plot_makes_a_picture(tmp_path, log, options, capsys):
    picture = tmp_path / "p.png"
    assert cli.main(["plot", log, "--output", str(picture), *options]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"{picture}\n"


def test_report_makes_a_page(tmp_path, log, capsys):
    assert cli.main(["report", log, "-o", str(tmp_path / "r.html"), "--title", "Mine"]) == 0
    assert "<h1>Mine</h1>" in (tmp_path / "r.html").read_text()
    assert capsys.readouterr().out == f"{tmp_path / 'r.html'}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plot", "nowhere.log"], "no log found"),
        (["report", "nowhere.log"], "no log found"),
        (["plot", "LOG", "--metric", "speed"], "metric must be one of"),
        (["plot", "LOG", "-o", "p.nope"], "cannot be written"),
        (["print", "--pid", "-1"], "negative"),
    ],
)
def test_errors_are_one_line_and_status_1(log, words, message, capsys):
    assert cli.main([log if word == "LOG" else word for word in words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("autometric: ")
    assert message in error


def test_a_wrong_word_is_an_error_of_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["draw"])
    assert caught.value.code == 2
    assert "usage: autometric" in capsys.readouterr().err


def test_the_console_script_is_the_same_program():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="autometric")
    assert script.load() is cli.main
