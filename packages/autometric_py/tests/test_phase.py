import contextlib
import os
import subprocess
import sys
import threading

import pytest

from autometric_py import (
    log_environment,
    log_phase,
    log_phase_get,
    log_phase_reset,
    log_phase_set,
    log_start,
)


def test_the_default_phase():
    assert log_phase_get() == "__DEFAULT__"


def test_set_get_reset():
    log_phase_set("load: ünïcode #1")
    assert log_phase_get() == "load: ünïcode #1"
    log_phase_reset()
    assert log_phase_get() == "__DEFAULT__"


def test_only_what_fits_the_cell_counts():
    log_phase_set("é" * 200)
    assert log_phase_get() == "é" * 127


@pytest.mark.parametrize("bad", ["a|b", "a\nb", 3, None])
def test_a_bad_phase_leaves_the_old_one(bad):
    log_phase_set("old")
    with pytest.raises((ValueError, TypeError)):
        log_phase_set(bad)
    assert log_phase_get() == "old"


def test_a_block_restores_the_phase_before_it():
    log_phase_set("outside")
    with log_phase("one"):
        assert log_phase_get() == "one"
        with contextlib.suppress(ZeroDivisionError), log_phase("two"):
            assert log_phase_get() == "two"
            raise ZeroDivisionError
        assert log_phase_get() == "one"
    assert log_phase_get() == "outside"


def test_a_phase_set_before_the_start_is_on_the_first_line(pipe):
    log_phase_set("early")
    log_start(pipe.path, seconds=0.05)
    assert pipe.fields()[-1] == "early"


def test_a_phase_is_on_the_lines_that_follow(pipe):
    log_start(pipe.path, seconds=0.05)
    assert pipe.fields()[-1] == "__DEFAULT__"
    log_phase_set("x")
    assert any(pipe.fields()[-1] == "x" for _ in range(20))
    log_phase_reset()
    assert any(pipe.fields()[-1] == "__DEFAULT__" for _ in range(20))


def test_threads_share_one_phase():
    thread = threading.Thread(target=log_phase_set, args=("from a thread",))
    thread.start()
    thread.join()
    assert log_phase_get() == "from a thread"


def test_labels_of_many_threads_are_never_mixed():
    labels = [letter * 200 for letter in "abcd"]
    threads = [
        threading.Thread(target=lambda label=label: [log_phase_set(label) for _ in range(2000)])
        for label in labels
    ]
    for thread in threads:
        thread.start()
    seen = {log_phase_get() for _ in range(2000)}
    for thread in threads:
        thread.join()
    assert seen <= {*labels, "__DEFAULT__"}
    assert log_phase_get() in labels


def test_a_suspended_sampler_does_not_block_the_phase(pipe):
    import signal

    log = log_start(pipe.path, seconds=0.05)
    pipe.line()
    os.kill(log.sampler_pid, signal.SIGSTOP)
    for number in range(10_000):  # a pipe would be full long before
        log_phase_set(f"phase {number}")
    os.kill(log.sampler_pid, signal.SIGCONT)
    assert any(pipe.fields()[-1] == "phase 9999" for _ in range(20))


SET_IN_CHILD = "import autometric_py as a; print(a.log_phase_get()); a.log_phase_set('child'); input()"


def run_child(environment):
    return subprocess.run(
        [sys.executable, "-c", SET_IN_CHILD],
        env=environment,
        input="\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_a_child_with_the_environment_writes_the_same_phase():
    log_phase_set("parent")
    assert run_child(os.environ | log_environment()) == "parent"
    assert log_phase_get() == "child"


def test_a_child_without_it_has_its_own():
    log_phase_set("parent")
    assert run_child(os.environ) == "__DEFAULT__"
    assert log_phase_get() == "parent"


def test_a_grandchild_that_inherits_the_environment_has_its_own():
    log_phase_set("parent")
    code = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {SET_IN_CHILD!r}], check=True, input=b'\\n')"
    )
    subprocess.run([sys.executable, "-c", code], env=os.environ | log_environment(), check=True)
    assert log_phase_get() == "parent"


def test_a_forked_child_keeps_the_label_but_writes_its_own(script):
    code = """
import os, sys
import autometric_py as a
a.log_phase_set("before")
child = os.fork()
if child == 0:
    seen = a.log_phase_get()
    a.log_phase_set("in the child")
    os._exit(0 if (seen, a.log_phase_get()) == ("before", "in the child") else 1)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, a.log_phase_get())
"""
    assert script(code).stdout.read() == "0 before\n"
