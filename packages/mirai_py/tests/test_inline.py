import os
import threading

import pytest

import mirai_py
from mirai_py import mirai


@pytest.fixture
def sync(fresh):
    mirai_py.daemons(sync=True, compute=fresh)
    return fresh


def test_a_task_is_resolved_on_return_in_this_process(sync):
    m = mirai(os.getpid, _compute=sync)
    assert m.done()
    assert m.data == os.getpid()
    assert mirai_py.info(sync) == {
        "connections": 0, "cumulative": 0, "awaiting": 0, "executing": 0, "completed": 1,
    }  # fmt: skip


def test_failures_are_values_here_too(sync):
    assert mirai("1/0", _compute=sync).data.condition_class[0] == "ZeroDivisionError"
    assert "SystemExit" in str(mirai("raise SystemExit(2)", _compute=sync).data)


def test_a_late_task_times_out_after_it_ran(sync):
    assert mirai("import time; time.sleep(0.01)", _timeout=1, _compute=sync).data == 5
    assert mirai(abs, -1, _timeout=60_000, _compute=sync).data == 1


def test_names_last_only_through_everywhere(sync):
    mirai("gone = 1", _compute=sync)
    assert mirai_py.is_mirai_error(mirai("gone", _compute=sync).data)
    mirai_py.everywhere("kept = 1", _compute=sync)
    assert mirai("kept", _compute=sync).data == 1
    assert "kept" not in globals()


def test_surroundings_are_put_back(sync):
    mirai("import os; os.environ['LEFT'] = '1'; os.chdir('/')", _compute=sync)
    assert "LEFT" not in os.environ


def test_tasks_may_submit_tasks_and_threads_wait_for_each_other(sync):
    nested = f"import mirai_py; mirai_py.mirai('2', _compute={sync!r}).data + 1"
    assert mirai(nested, _compute=sync).data == 3
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(mirai("x = 1; x + 1", _compute=sync).data))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2] * 5


def test_the_condition_variable_counts_here_too(sync):
    import nngsock

    cv = mirai_py.nextget("cv", compute=sync)
    mirai(abs, 1, _compute=sync)
    assert nngsock.cv_value(cv) == 1


def test_daemons_may_follow(sync):
    m = mirai(abs, -1, _compute=sync)
    mirai_py.daemons(1, compute=sync)
    assert m.data == 1
    assert mirai(os.getpid, _compute=sync).collect() != os.getpid()
    assert mirai_py.stop_daemons(0, compute=sync) == 0


def test_there_is_nothing_to_stop(sync):
    assert mirai_py.stop_daemons(1, compute=sync) == 0
    assert mirai_py.nextget("dispatcher", compute=sync) is False
