import random
import sys

import pytest

from targets_py import (
    TarValidateError,
    tar_branch_names,
    tar_load_globals,
    tar_seed_create,
    tar_traceback,
    tar_workspace,
    tar_workspaces,
)

SCRIPT = """
import textwrap
tar_option_set(error="continue", workspaces=["z"], packages=["json.decoder"])
offset = 1

def check(x, y):
    if x == 4:
        raise ValueError("four is bad")
    return x + y + offset

pipeline = [
    tar_target("x", [1, 4]),
    tar_target("y", 10),
    tar_target("bad", lambda x, y: check(x, y), pattern=map("x")),
    tar_target("z", lambda y: y),
]
"""


@pytest.fixture(autouse=True)
def forget_the_script():
    yield
    sys.modules.pop("_targets", None)


def test_a_failed_branch_is_brought_back(project):
    project.make(SCRIPT)
    failed = tar_branch_names("bad", 1)[0]
    assert tar_workspaces() == [failed, "z"]
    assert tar_workspaces("z") == ["z"]
    variables = {}
    tar_workspace(failed, envir=variables)
    assert (variables["x"], variables["y"], variables["offset"]) == (4, 10, 1)
    assert variables["json"] is sys.modules["json"]
    with pytest.raises(ValueError, match="four is bad"):
        variables["check"](variables["x"], variables["y"])
    drawn = random.random()
    random.seed(tar_seed_create(failed, global_seed=0))
    assert random.random() == drawn


def test_parts_can_be_left_out(project):
    project.make(SCRIPT)
    variables = {}
    tar_workspace("z", envir=variables, packages=False, source=False)
    assert variables == {"y": 10}


def test_a_healthy_and_a_skipped_target_leave_one_if_asked(project):
    project.make(SCRIPT)
    (project.store.workspaces / "z").unlink()
    project.make()
    assert "z" in tar_workspaces()
    assert tar_traceback("z") == []


def test_a_pattern_stands_for_all_its_branches(project):
    project.make(SCRIPT.replace('["z"]', '["bad"]'))
    assert tar_workspaces() == sorted(tar_branch_names("bad", [0, 1]))


def test_a_traceback_shows_the_users_code(project):
    project.make(SCRIPT)
    lines = tar_traceback(tar_branch_names("bad", 1)[0])
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: four is bad"
    assert any("in check" in line for line in lines)
    assert not any("targets_py/engine" in line for line in lines)


def test_a_canceled_target_leaves_none(project):
    project.make('pipeline = [tar_target("x", lambda: tar_cancel())]')
    assert tar_workspaces() == []


def test_workspaces_that_are_not_there(project):
    assert tar_workspaces() == []
    with pytest.raises(TarValidateError, match="data store _targets not found"):
        tar_workspace("z", envir={})
    project.make(SCRIPT)
    with pytest.raises(TarValidateError, match=r"workspace y not found.*There are: bad_.*, z"):
        tar_workspace("y", envir={})
    with pytest.raises(TarValidateError, match="workspace y not found"):
        tar_traceback("y")

    with pytest.raises(TarValidateError, match="give envir="):
        tar_workspace("z")


def test_globals_without_a_store(project):
    project.script(SCRIPT)
    variables = {}
    tar_load_globals(envir=variables)
    assert variables["check"](1, 2) == 4
    assert variables["offset"] == 1
    assert "json" in variables
    assert not project.store.exists()
