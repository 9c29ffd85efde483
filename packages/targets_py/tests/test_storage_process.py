import datetime as dt
import os
import platform
import socket
import subprocess
import sys

import pytest

from targets_py._version import __version__
from targets_py.storage import process
from targets_py.storage.process import process_start, read_process, write_process
from targets_py.storage.store import Store


def test_a_process_says_who_it_is(tmp_path):
    store = Store(tmp_path)
    store.create()
    write_process(store)
    found = read_process(store)

    assert found["pid"] == str(os.getpid())
    assert found["host"] == socket.gethostname()
    assert found["version_python"] == platform.python_version()
    assert found["version_targets"] == __version__
    assert dt.datetime.fromisoformat(found["created"]) == pytest.approx(
        process_start(os.getpid()), abs=dt.timedelta(seconds=2)
    )


def test_without_a_run_nothing_is_known(tmp_path):
    assert read_process(Store(tmp_path)) == {}


@pytest.mark.parametrize("ask", [process_start, process._ask_ps])
def test_the_start_of_a_process(ask, tmp_path):
    before = dt.datetime.now(dt.UTC)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        try:
            started = ask(child.pid)
        except FileNotFoundError:
            pytest.skip("there is no ps here")
        finally:
            child.communicate(b"\n")

    assert abs((started - before).total_seconds()) < 5
    assert ask(child.pid) is None
