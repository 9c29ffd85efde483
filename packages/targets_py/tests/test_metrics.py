"""Logs of resources: kept when asked for, labelled with the target at work, and costing nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

import targets_py
from targets_py.testing import tar_dir

SCRIPT = """
from targets_py import *

def work(seconds):
    import time
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return seconds

pipeline = [tar_target("first", lambda: work(1.2)), tar_target("second", lambda first: work(first))]
"""


@pytest.fixture
def project():
    with tar_dir() as folder:
        Path("_targets.py").write_text(SCRIPT)
        yield folder


def make(*options):
    command = [sys.executable, "-m", "targets_py", "make", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_log_of_a_run_names_the_process_and_the_target_at_work(project):
    autometric_py = pytest.importorskip("autometric_py")
    assert make("--metrics", "logs/main.log").returncode == 0
    log = autometric_py.log_read("logs/main.log")
    main = log.filter(log["name"] == "main")
    assert {"first", "second"} <= set(main["phase"])
    assert set(log["name"]) == {"main", "command"}


def test_a_log_that_the_caller_keeps_follows_the_child_too(project):
    autometric_py = pytest.importorskip("autometric_py")
    with autometric_py.log_start("log.txt", seconds=0.2):
        targets_py.tar_make(reporter="silent")
    log = autometric_py.log_read("log.txt")
    assert "second" in set(log.filter(log["name"] == "main")["phase"])
    assert autometric_py.log_phase_get() == "__DEFAULT__"


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(project):
    pytest.importorskip("autometric_py")
    Path("file").touch()
    run = make("--metrics", "file/main.log")
    assert run.returncode == 2
    assert "cannot keep a log of resources" in run.stderr
    assert not Path("_targets").exists()


def test_without_the_extra_the_error_names_it(project):
    code = (
        "import sys; sys.modules['autometric_py'] = None; from targets_py.cli import main; sys.exit(main())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "make", "--metrics", "main.log"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert "pip install 'targets-py[metrics]'" in run.stderr


def test_a_run_without_a_log_does_not_import_autometric(project):
    code = (
        "import sys; from targets_py import *; tar_make(callr_function=None, reporter='silent'); "
        "sys.exit('autometric_py' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
