import os
import signal

import mirai_py
from mirai_py import mirai


def test_without_daemons_a_task_gets_a_process_of_its_own_that_ends_with_it(ended):
    m = mirai("import os; os.getpid(), __import__('mirai_py').on_daemon()", _compute="none")
    pid, inside = m.collect()
    assert inside
    assert m.id is None
    assert ended(pid)


def test_failures_and_arguments_are_as_with_daemons():
    k = 2
    assert mirai(lambda x: x * k, 4, _compute="none").collect() == 8
    assert mirai_py.is_mirai_error(mirai("1/0", _compute="none").collect())


def test_stopping_it_ends_its_process(gate, ended):
    m = mirai(gate.task, gate.argument, _compute="none")
    (pid,) = gate.wait()
    assert mirai_py.stop_mirai(m) is False
    assert m.data == 20
    assert ended(pid)


def test_its_clock_starts_at_submission():
    assert mirai("1", _timeout=1, _compute="none").collect() == 5


def test_its_death_is_19_with_the_reason(gate):
    m = mirai(gate.task, gate.argument, _compute="none")
    (pid,) = gate.wait()
    os.kill(pid, signal.SIGKILL)
    assert m.collect() == 19
    assert m.data.detail["signal"] == "SIGKILL"
