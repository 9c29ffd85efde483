import ast
import math
import os
import time

import pytest

import crew_py
import mirai_py


class Recorder(crew_py.CrewLauncher):
    def launch_worker(self, call):
        return {"call": call, "environment": dict(os.environ)}


ARGUMENTS = (
    ({"workers": -1}, "workers"),
    ({"workers": 1.5}, "workers"),
    ({"seconds_interval": -1}, "seconds_interval"),
    ({"seconds_launch": math.nan}, "seconds_launch"),
    ({"seconds_idle": "1"}, "seconds_idle"),
    ({"tasks_max": 1.5}, "tasks_max"),
    ({"tasks_timers": -1}, "tasks_timers"),
    ({"launch_failures_max": 0}, "launch_failures_max"),
    ({"name": ""}, "name"),
    ({"tls": 1}, "tls"),
    ({"options_metrics": 1}, "options_metrics"),
    ({"python_arguments": 1}, "python_arguments"),
)


@pytest.mark.parametrize(("arguments", "name"), ARGUMENTS)
def test_arguments_are_checked(arguments, name):
    with pytest.raises(crew_py.crew_error, match=f"`{name}`"):
        crew_py.crew_launcher(**arguments)


def test_an_unknown_argument_is_a_type_error():
    with pytest.raises(TypeError):
        crew_py.crew_launcher(seconds_exit=1)


def test_a_name_is_made_when_none_is_given():
    assert len(crew_py.crew_launcher().name) == 8


def test_a_hook_without_its_arguments_is_refused():
    class Broken(crew_py.CrewLauncher):
        def launch_worker(self, source):
            return None

    with pytest.raises(crew_py.crew_error, match=r"launch_worker must have .*call"):
        Broken()


def test_terminate_worker_is_said_to_be_unused_once(capsys):
    class Old(crew_py.CrewLauncher):
        def terminate_worker(self, handle):
            pass

    Old()
    Old()
    assert capsys.readouterr().err.count("Old.terminate_worker()") == 1


def test_workers_that_do_few_tasks_are_looked_for_without_pause():
    assert crew_py.crew_launcher(tasks_max=1, seconds_interval=2).throttle.seconds_min < 0.001
    assert crew_py.crew_launcher(seconds_interval=2).throttle.seconds_min == 2
    assert crew_py.crew_launcher(seconds_interval=0).throttle.seconds_max > 0


def test_nothing_runs_before_the_start():
    launcher = crew_py.crew_launcher(name="main")
    assert launcher.url is launcher.profile is None
    for method in (launcher.settings, launcher.call, launcher.environment, launcher.launch):
        with pytest.raises(crew_py.crew_error, match="not started"):
            method()


def test_settings_are_in_the_units_of_the_daemon(started):
    launcher = started(Recorder(seconds_idle=2, seconds_wall=math.inf, tasks_max=3, tasks_timers=1))
    assert launcher.settings() == {
        "url": launcher.url,
        "dispatcher": True,
        "asyncdial": False,
        "autoexit": True,
        "cleanup": False,
        "output": True,
        "maxtasks": 3,
        "idletime": 2000,
        "walltime": math.inf,
        "timerstart": 1,
        "tlscert": None,
        "rs": None,
    }


def test_the_call_is_one_line_of_python_without_secrets(started):
    launcher = started(Recorder(name="it's", seconds_idle=math.inf))
    call = launcher.call()
    assert "\n" not in call
    ast.parse(call)
    assert "crew_py.crew_worker" in call
    (token,) = launcher.environment().values()
    assert token
    assert token not in call


def test_the_call_gives_the_worker_these_arguments(started, monkeypatch):
    launcher = started(Recorder(name="it's"))
    seen = {}
    monkeypatch.setattr(crew_py, "crew_worker", lambda **arguments: seen.update(arguments))
    exec(launcher.call(), {})
    assert seen == {
        "settings": launcher.settings(),
        "controller": "it's",
        "options_metrics": crew_py.crew_options_metrics(),
    }


def test_launch_adds_a_row_per_round(started):
    launcher = started(Recorder())
    launcher.launch(0)
    assert launcher.launches.is_empty()
    launcher.launch(2)
    launcher.launch()
    assert launcher.launches["count"].to_list() == [2, 1]
    assert launcher.launches["total"].to_list() == [2, 3]
    assert launcher.launches["submitted"].to_list() == [True, True]
    assert [len(handle) for handle in launcher.launches["handle"].to_list()] == [2, 1]
    assert launcher.launches["start"].to_list() == sorted(launcher.launches["start"].to_list())


def test_the_plural_hook_wins(started):
    class Plural(Recorder):
        def launch_workers(self, call, n):
            return n

    launcher = started(Plural())
    launcher.launch(5)
    assert launcher.launches["handle"].to_list() == [5]


def test_the_token_is_in_the_environment_only_while_a_hook_runs(started):
    launcher = started(Recorder())
    variables = launcher.environment()
    assert variables == mirai_py.nextget("env", compute=launcher.profile)
    launcher.launch()
    ((handle,),) = launcher.launches["handle"].to_list()
    assert variables.items() <= handle["environment"].items()
    assert not variables.keys() & os.environ.keys()


def test_the_environment_is_restored_when_a_hook_raises(started):
    class Broken(crew_py.CrewLauncher):
        def launch_worker(self, call):
            raise OSError("no")

    launcher = started(Broken())
    with pytest.raises(OSError, match="no"):
        launcher.launch()
    assert not launcher.environment().keys() & os.environ.keys()


def test_scale_launches_what_is_missing_and_resets_the_throttle(started):
    launcher = started(Recorder(workers=3))
    demand = {"connections": 0, "cumulative": 0, "awaiting": 5, "executing": 0, "completed": 0}
    assert launcher.scale(demand) is True
    assert launcher.launched == 3
    assert launcher.throttle.polled == -math.inf
    assert launcher.scale(demand) is False


IDLE = {"connections": 0, "cumulative": 0, "awaiting": 1, "executing": 0, "completed": 0}


def test_workers_that_never_connect_are_warned_of_once_and_given_up(started):
    launcher = started(Recorder(name="main", seconds_launch=0, launch_failures_max=4))
    launcher.scale(IDLE)
    with pytest.warns(crew_py.crew_warning, match=r"'main'.*did not connect within seconds_launch"):
        launcher.scale(IDLE)
    for _ in range(2):
        assert launcher.scale(IDLE) is True
    assert launcher.failed == 3
    with pytest.raises(crew_py.CrewLaunchError, match="4 launches in a row"):
        launcher.scale(IDLE)
    assert launcher.scale(IDLE) is True


def test_a_connection_starts_the_count_of_failures_anew(started):
    launcher = started(Recorder(seconds_launch=0, launch_failures_max=2))
    launcher.scale(IDLE)
    with pytest.warns(crew_py.crew_warning):
        launcher.scale(IDLE)
    seen = IDLE | {"cumulative": 1}
    for _ in range(2):
        launcher.scale(seen)
    with pytest.raises(crew_py.CrewLaunchError):
        launcher.scale(seen)


def test_infinity_never_gives_up(started):
    launcher = started(Recorder(seconds_launch=0, launch_failures_max=math.inf))
    launcher.scale(IDLE)
    with pytest.warns(crew_py.crew_warning):
        launcher.scale(IDLE)
    for _ in range(20):
        assert launcher.scale(IDLE) is True


class Ended:
    def __init__(self, call):
        self.log = "/tmp/x.log"

    def is_alive(self):
        return False

    def get_exit_status(self):
        return 1

    def get_pid(self):
        return 42

    def tail(self):
        return "ModuleNotFoundError: No module named 'crew_py'"


def test_three_rounds_that_end_at_once_give_up_with_their_last_words(started, monkeypatch):
    monkeypatch.setattr("crew_py.roster.SETTLED_SECONDS", 0.0)

    class Failing(crew_py.CrewLauncher):
        def launch_worker(self, call):
            return Ended(call)

    launcher = started(Failing(workers=2))
    launcher.scale(IDLE)
    with pytest.warns(crew_py.crew_warning, match=r"ended before it connected.*code 1"):
        launcher.scale(IDLE)
    assert launcher.scale(IDLE) is True
    with pytest.raises(crew_py.CrewLaunchError, match=r"(?s)3 launches in a row.*code 1.*x\.log.*No module"):
        launcher.scale(IDLE)


def test_start_forgets_and_terminate_keeps_the_launches(started):
    launcher = started(Recorder())
    launcher.launch()
    launcher.terminate()
    launcher.terminate()
    assert launcher.url is None
    assert launcher.launched == 1
    launcher.start("tcp://127.0.0.1:1", "profile")
    assert launcher.launched == launcher.failed == 0


def test_launches_are_timed_by_the_monotonic_clock(started):
    launcher = started(Recorder())
    before = time.monotonic()
    launcher.launch()
    assert before <= launcher.launches["start"][0] <= time.monotonic()
