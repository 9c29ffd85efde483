import os
import signal
import sys
import warnings
from pathlib import Path

import pytest

import mirai_py
from mirai_py.cleanup import Surroundings


@pytest.fixture
def taken():
    names = {"a": 1, "b": [1]}
    around = Surroundings.of(names)
    yield names, around
    around.restore(names)


def test_names_and_bindings_are_put_back(taken):
    names, around = taken
    names["a"] = 2
    names["new"] = 1
    del names["b"]
    around.restore(names)
    assert names == {"a": 1, "b": [1]}


def test_a_value_under_another_name_is_noticed(taken):
    names, around = taken
    names["c"] = names.pop("b")
    around.restore(names)
    assert set(names) == {"a", "b"}


def test_changes_in_place_stay(taken):
    names, around = taken
    names["b"].append(2)
    around.restore(names)
    assert names["b"] == [1, 2]


def test_the_environment_is_put_back():
    names = {}
    around = Surroundings.of(names)
    before = dict(os.environ)
    os.environ["NEW"] = "1"
    os.environ["PATH"] = "changed"
    os.environ.pop("HOME", None)
    around.restore(names)
    assert dict(os.environ) == before


def test_the_directory_is_put_back(taken, tmp_path):
    names, around = taken
    before = Path.cwd()
    os.chdir(tmp_path)
    around.restore(names)
    assert Path.cwd() == before


def test_a_directory_that_is_gone_is_left(taken, tmp_path):
    names, around = taken
    doomed = tmp_path / "doomed"
    doomed.mkdir()
    os.chdir(doomed)
    doomed.rmdir()
    gone = Surroundings.of(names)
    around.restore(names)
    gone.restore(names)
    around.restore(names)


def test_the_search_path_is_put_back(taken):
    names, around = taken
    before = list(sys.path)
    sys.path.insert(0, "/nowhere")
    around.restore(names)
    assert sys.path == before


def test_warning_filters_are_put_back(taken):
    names, around = taken
    before = list(warnings.filters)
    warnings.simplefilter("ignore")
    around.restore(names)
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", stacklevel=1)


def test_signal_handlers_are_put_back(taken):
    names, around = taken
    before = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    around.restore(names)
    assert signal.getsignal(signal.SIGUSR1) is before


def test_an_alarm_that_a_task_left_behind_ends_no_other(one):
    pid = mirai_py.mirai("import os; os.getpid()", _compute=one).collect()
    mirai_py.mirai("import signal; signal.setitimer(signal.ITIMER_REAL, 0.05)", _compute=one).call()
    assert mirai_py.mirai("import os, time; time.sleep(0.2); os.getpid()", _compute=one).collect() == pid


def test_an_alarm_of_a_tasks_own_does_what_it_says(one):
    source = """
import signal
def late(number, frame):
    raise TimeoutError("too late")
signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.pause()
"""
    assert str(mirai_py.mirai(source, _compute=one).collect()) == "TimeoutError: too late"


@pytest.mark.parametrize("many", [False, True], ids=["task", "map"])
def test_context_variables_that_a_task_sets_are_forgotten_those_of_everywhere_stay(fresh, many):
    mirai_py.daemons(1, compute=fresh)
    source = "import contextvars; var = contextvars.ContextVar('var'); var.set('of everywhere')"
    mirai_py.everywhere(source, _compute=fresh).collect()

    def change(_):
        before = var.get()  # noqa: F821 - made by everywhere
        var.set("of a task")  # noqa: F821
        return before

    for _ in range(3):
        if many:
            assert mirai_py.mirai_map([0], change, _compute=fresh).collect() == ["of everywhere"]
        else:
            assert mirai_py.mirai(change, 0, _compute=fresh).collect() == "of everywhere"
