import asyncio
import os
import threading

import pytest

import crew_py


@pytest.fixture
def controller():
    controller = crew_py.crew_controller_sequential()
    yield controller
    controller.terminate()


def test_a_task_runs_at_once_in_this_process(controller):
    task = controller.push(lambda: (os.getpid(), threading.get_ident()), name="a")
    assert task.done()
    assert task.data["result"] == (os.getpid(), threading.get_ident())
    assert task.call() is task
    assert task.collect() is task.result() is task.data


def test_a_task_can_be_awaited(controller):
    async def run():
        return (await controller.push("6 * 7"))["result"]

    assert asyncio.run(run()) == 42


def test_rows_are_as_those_of_workers(controller):
    controller.push(lambda x: x, data={"x": 1}, name="good", seed=3)
    controller.push("raise ValueError('zap')", name="bad", seconds_timeout=1e-9)
    good, bad = controller.collect().to_dicts()
    assert (good["status"], good["result"], good["seed"]) == ("success", 1, 3)
    assert (bad["status"], bad["code"], bad["error"]) == ("error", -1, "zap")
    assert good["controller"] == bad["controller"] == "sequential"
    assert controller.summary()["tasks"].to_list() == [2]


def test_data_is_passed_as_it_is_and_shared_values_are_unwrapped(controller):
    values = []
    controller.push(lambda x, y: x.append(y), data={"x": crew_py.once(values, fresh=False), "y": 1})
    assert values == [1]
    assert controller.push("g", globals={"g": crew_py.once(2)}).data["result"] == 2
    assert controller.push(crew_py.once(len), data={"obj": 1}).data["status"] == "error"


def test_map_and_walk_work(controller):
    rows = controller.map(lambda x: x * 2, iterate={"x": [1, 2]}, error="stop")
    assert rows["result"].to_list() == [2, 4]
    assert list(controller.walk("x", iterate={"x": ["a", "b"]}, names="x")) == ["a", "b"]
    with pytest.raises(crew_py.crew_error, match="uncollected"):
        controller.map("x", iterate={"x": [1]})
    with pytest.raises(crew_py.crew_error, match="'a'"):
        controller.push("1", name="a")


def test_what_concerns_workers_does_nothing(controller):
    controller.push("1")
    assert controller.wait(mode="one") is True
    assert controller.wait() is True
    assert controller.scale() is False
    assert controller.saturated() is False
    assert controller.unresolved() == 0
    assert controller.synced() is True
    controller.launch(3)
    controller.autoscale()
    controller.descale()
    controller.cancel(all=True)
    controller.push_backlog("a")
    assert controller.pop_backlog() == []
    assert controller.loop is None
    assert controller.launcher.launched == 0
    assert controller.pop()["status"].to_list() == ["success"]


def test_it_counts_and_forgets_as_others_do(controller):
    assert controller.resolved() == 0
    assert not controller.started()
    controller.push("1")
    assert controller.started()
    assert (controller.size(), controller.resolved(), controller.pushed) == (1, 1, 1)
    controller.pop()
    assert controller.resolved() == 1
    controller.push("1")
    controller.terminate()
    assert (controller.size(), controller.resolved(), controller.pushed) == (0, 0, None)
    assert controller.client.url is None


def test_options_reach_the_evaluation(monkeypatch):
    monkeypatch.setenv("CREW_PY_TEST", "before")
    task = "import os; os.environ['CREW_PY_TEST'] = 'after'"
    crew_py.crew_controller_sequential(reset_options=True).push(task)
    assert os.environ["CREW_PY_TEST"] == "before"
    crew_py.crew_controller_sequential().push(task)
    assert os.environ["CREW_PY_TEST"] == "after"


def test_it_is_a_controller():
    assert isinstance(crew_py.crew_controller_sequential(), crew_py.crew_class_controller)
