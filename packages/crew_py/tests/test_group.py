import os
import time

import pytest

import crew_py

SECONDS = 30.0


@pytest.fixture
def group(local):
    return crew_py.crew_controller_group(local(name="a"), [local(name="b", workers=2)])


def sequential(name):
    """A controller without processes."""
    controller = crew_py.crew_controller_sequential()
    controller.launcher.name = name
    return controller


@pytest.fixture
def quick():
    return crew_py.crew_controller_group(sequential("a"), sequential("b"))


def crash(controller, name, member):
    controller.push("import os; os._exit(1)", name=name, controller=member)
    assert controller.wait(seconds_timeout=SECONDS)


def test_members_keep_their_order_and_may_be_nested(local):
    members = [local(name=name) for name in "abc"]
    group = crew_py.crew_controller_group(members[0], [members[1], [members[2]]])
    assert list(group.controllers) == ["a", "b", "c"]
    assert group.controllers["b"] is members[1]


def test_members_are_checked(local):
    with pytest.raises(crew_py.crew_error, match="at least one"):
        crew_py.crew_controller_group()
    with pytest.raises(crew_py.crew_error, match="made of controllers"):
        crew_py.crew_controller_group(5)
    with pytest.raises(crew_py.crew_error, match="'a' is there twice"):
        crew_py.crew_controller_group(local(name="a"), local(name="a"))
    started = local(name="a")
    started.start()
    with pytest.raises(crew_py.crew_error, match="is started"):
        crew_py.crew_controller_group(started)


def test_unknown_and_empty_choices_are_refused(quick):
    for method in (quick.size, quick.start, quick.wait, quick.collect, quick.pop, quick.summary):
        with pytest.raises(crew_py.crew_error, match="'z'"):
            method(controllers=["a", "z"])
        with pytest.raises(crew_py.crew_error, match="at least one"):
            method(controllers=[])
    with pytest.raises(crew_py.crew_error, match="'z'"):
        quick.push("1", controller="z")


def test_tasks_go_to_the_first_member_or_to_the_named_one(quick):
    quick.push("1", name="x")
    quick.push("2", name="y", controller="b")
    quick.walk("x", iterate={"x": [3]}, controller="b")
    assert (quick.size("a"), quick.size("b"), quick.size()) == (1, 2, 3)
    assert quick.collect()["controller"].to_list() == ["a", "b", "b"]
    assert quick.map("x", iterate={"x": [4]}, controller="b")["controller"].to_list() == ["b"]


def test_counts_are_summed_and_states_combined(quick):
    assert not quick.started()
    assert quick.empty()
    quick.start(controllers="a")
    assert not quick.started()
    assert quick.started(controllers="a")
    quick.start()
    assert quick.started()
    quick.push("1", controller="b")
    assert quick.nonempty()
    assert not quick.empty()
    assert quick.empty(controllers="a")
    assert (quick.resolved(), quick.unresolved(), quick.resolved("a")) == (1, 0, 0)
    assert quick.synced()
    assert not quick.saturated(controller="b")
    quick.terminate()
    assert not quick.started()


def test_summaries_are_stacked(quick):
    assert quick.summary() is None
    quick.push("1")
    quick.collect()
    assert quick.summary()["tasks"].to_list() == [1]
    quick.start()
    assert quick.summary()["controller"].to_list() == ["a", "b"]


def test_pop_takes_from_the_members_in_order(quick):
    quick.push("1", controller="b", name="second")
    quick.push("1", controller="a", name="first")
    assert [quick.pop()["name"][0] for _ in range(2)] == ["first", "second"]
    assert quick.pop() is None


def test_collect_stop_loses_no_row_of_any_member(quick):
    quick.push("1", name="good", controller="a")
    quick.push("raise ValueError('zap')", name="bad", controller="b")
    with pytest.raises(crew_py.crew_error, match="zap") as caught:
        quick.collect(error="stop")
    assert caught.value.result["name"].to_list() == ["good", "bad"]
    assert quick.error["name"].to_list() == ["good", "bad"]
    assert quick.size() == 0


def test_collect_gives_dicts_too(quick):
    assert quick.collect() is None
    assert quick.collect(frame=False) == []
    quick.push("1", name="x", controller="b")
    (record,) = quick.collect(frame=False)
    assert (record["name"], record["controller"]) == ("x", "b")


def test_real_members_work_side_by_side(group):
    with group:
        group.walk("(x, __import__('os').getpid())", iterate={"x": [1, 2]}, controller="a")
        group.walk("(x, __import__('os').getpid())", iterate={"x": [3, 4]}, controller="b")
        assert group.wait(seconds_timeout=SECONDS)
        results = group.collect()["result"].to_list()
        assert [x for x, _ in results] == [1, 2, 3, 4]
        assert {pid for _, pid in results[:2]}.isdisjoint({pid for _, pid in results[2:]})
    assert not group.started()


def test_a_result_of_any_member_wakes_the_waiter(local):
    members = [local(name=name, seconds_interval=1000, seconds_timeout=2000) for name in "ab"]
    group = crew_py.crew_controller_group(members, seconds_interval=1000)
    for name in "ba":
        group.push("1", controller=name)
        assert group.wait(mode="one", seconds_timeout=500)
        assert group.pop()["controller"].to_list() == [name]


def test_wait_for_some_members_looks_at_no_others(group, tmp_path):
    gate = tmp_path / "gate"
    group.push(
        "import os, time\nwhile not os.path.exists(p): time.sleep(0.005)",
        data={"p": str(gate)},
        controller="a",
    )
    group.push("1", controller="b")
    assert group.wait(controllers="b", seconds_timeout=SECONDS)
    assert group.wait(seconds_timeout=0) is False
    assert group.wait(mode="one", controllers="a", seconds_timeout=0) is False
    gate.touch()
    assert group.wait(seconds_timeout=SECONDS)


def test_wait_scales_only_the_chosen(local):
    group = crew_py.crew_controller_group(local(name="a"), local(name="b"))
    for name in "ab":
        group.push("1", controller=name, scale=False)
    assert group.wait(controllers="b", seconds_timeout=SECONDS)
    assert group.controllers["a"].launcher.launched == 0


def test_wait_without_tasks_returns_at_once(group):
    assert group.wait() is True
    assert group.wait(mode="one") is False
    started = time.monotonic()
    group.push("import time; time.sleep(60)")
    assert group.wait(seconds_timeout=0.1) is False
    assert time.monotonic() - started < SECONDS


def test_pop_and_scale_reach_every_member(local):
    group = crew_py.crew_controller_group(local(name="a"), local(name="b"))
    for name in "ab":
        group.push("1", controller=name, scale=False)
    assert group.scale(throttle=False) is True
    assert [member.launcher.launched for member in group.controllers.values()] == [1, 1]


def test_launch_and_autoscale_reach_every_member(local):
    group = crew_py.crew_controller_group(local(name="a"), local(name="b"))
    group.launch(2)
    assert [member.launcher.launched for member in group.controllers.values()] == [2, 2]
    group.autoscale()
    assert all(member.loop is not None for member in group.controllers.values())
    group.descale(controllers="a")
    assert [member.loop is None for member in group.controllers.values()] == [True, False]
    group.terminate()


def test_tasks_of_all_members_can_be_cancelled(group):
    for name in "ab":
        group.push("import time; time.sleep(60)", controller=name, name="slow")
    group.cancel(names="slow", controllers="a")
    assert group.wait(mode="one", controllers="a", seconds_timeout=SECONDS)
    group.cancel(all=True)
    assert group.wait(seconds_timeout=SECONDS)
    assert group.collect()["status"].to_list() == ["cancel", "cancel"]


def test_backlogs_belong_to_members(group):
    group.push_backlog("x")
    for name in "yzw":
        group.push_backlog(name, controller="b")
    assert group.pop_backlog(controllers="b") == ["y", "z"]
    assert group.pop_backlog(ahead=2) == ["x", "w"]


def test_crashes_run_through_a_chain_of_backups(local):
    c = local(name="c", crashes_max=2)
    b = local(name="b", crashes_max=2, backup=c)
    a = local(name="a", crashes_max=2, backup=b)
    group = crew_py.crew_controller_group(a, b, c)
    seen = []
    for _ in range(6):
        crash(group, "x", "a")
        seen.append(group.collect()["controller"][0])
    assert seen == ["a", "a", "b", "b", "c", "c"]
    assert group.crashes("x") == 6
    assert group.crashes("x", controllers="b") == 2
    crash(group, "x", "a")
    group.push("1", name="good", controller="b")
    assert group.wait(seconds_timeout=SECONDS)
    with pytest.raises(crew_py.CrewCrashError) as caught:
        group.collect()
    assert (caught.value.name, caught.value.crashes) == ("x", 3)
    assert caught.value.result["controller"].to_list() == ["c"]
    assert group.error["name"].to_list() == ["x"]
    assert group.collect()["name"].to_list() == ["good"]


def test_a_group_can_stand_in_for_a_controller(local):
    controller, group = local(), crew_py.crew_controller_group(local())
    methods = {
        name
        for name in dir(crew_py.CrewController)
        if not name.startswith("_") and callable(getattr(crew_py.CrewController, name))
    }
    assert methods - set(dir(group)) <= {"count_resolved", "is_ready", "offense"}
    for one in (controller, group):
        one.push("1", controller=None)
        assert one.wait(seconds_timeout=SECONDS, controllers=None)
        assert one.collect(controllers=None)["result"].to_list() == [1]
    assert os.getpid()
