import os
import subprocess
import sys

import pytest

import crew_py


@pytest.fixture
def monitor():
    return crew_py.crew_monitor_local()


def test_workers_are_listed_and_ended(monitor, local):
    controller = local()
    controller.map("x", iterate={"x": [1]})
    ((worker,),) = controller.launcher.launches["handle"].to_list()
    assert worker.get_pid() in monitor.workers()
    assert worker.get_pid() in monitor.workers(user=None)
    assert worker.get_pid() not in monitor.daemons()
    monitor.terminate([worker.get_pid()])
    assert worker.join(30)
    assert worker.get_pid() not in monitor.workers()
    monitor.terminate(worker.get_pid())


def test_nobody_has_no_workers(monitor, local):
    controller = local()
    controller.map("x", iterate={"x": [1]})
    assert monitor.workers(user="nobody-has-this-name") == []


def test_daemons_are_found_by_their_command_line(monitor):
    source = "import sys; print('', flush=True); sys.stdin.read()  # mirai_py.daemon"
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        assert process.pid in monitor.daemons()
        assert process.pid not in monitor.workers()
        assert os.getpid() not in monitor.daemons()
        process.stdin.close()


def test_arguments_are_checked(monitor):
    with pytest.raises(crew_py.crew_error, match="`user`"):
        monitor.workers(user=5)
    with pytest.raises(crew_py.crew_error, match="`pid`"):
        monitor.terminate([-1])
