import signal
import subprocess
import sys

import pytest

import crew_py


def test_the_signal_is_sigterm_where_there_is_one():
    assert crew_py.crew_terminate_signal() == signal.SIGTERM


def test_a_process_is_ended_and_ending_it_again_is_no_error():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    crew_py.crew_terminate_process(process.pid)
    assert process.wait(30) == -signal.SIGTERM
    crew_py.crew_terminate_process(process.pid)


def test_pid_0_does_not_end_the_callers_group():
    crew_py.crew_terminate_process(0)


@pytest.mark.parametrize("pid", [-1, 1.5, float("inf"), "1"])
def test_a_bad_pid_is_refused(pid):
    with pytest.raises(crew_py.crew_error, match="`pid`"):
        crew_py.crew_terminate_process(pid)
