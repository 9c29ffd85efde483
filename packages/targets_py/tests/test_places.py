import sys
from pathlib import Path

import pytest

from targets_py import TarValidateError, tar_config_set, tar_network, tar_outdated, tar_sitrep, tar_validate
from targets_py.engine.context import session
from targets_py.places import (
    existing_store,
    open_pipeline,
    project_on_path,
    reading_store,
    script_path,
    store_path,
    warns,
)


def test_what_is_given_beats_what_runs_beats_what_is_configured(project):
    assert (script_path(None), store_path(None)) == ("_targets.py", "_targets")
    tar_config_set(script="configured.py", store="configured")
    assert (script_path(None), store_path(None)) == ("configured.py", "configured")
    with session("tar_make", "running.py", "running"):
        assert (script_path(None), store_path(None)) == ("running.py", "running")
        assert (script_path(Path("given.py")), store_path("given")) == ("given.py", "given")


def test_an_empty_path_is_refused(project):
    with pytest.raises(TarValidateError, match="store must be a path, not ''"):
        store_path("")


def test_a_store_that_is_missing(project):
    assert not reading_store(None).exists()
    with pytest.raises(TarValidateError, match=r"targets data store elsewhere not found.*tar_make\(\)"):
        existing_store("elsewhere")


def test_the_projects_modules_can_be_found_meanwhile(project):
    before = list(sys.path)
    with project_on_path():
        assert sys.path[0] == str(Path.cwd())
    assert sys.path == before


@pytest.mark.parametrize("runner", [tar_outdated, tar_sitrep, tar_network, tar_validate])
def test_every_runner_says_who_it_is_and_where(project, runner):
    Path("example").mkdir()
    Path("example/script.py").write_text(
        "from targets_py import *\n"
        f'assert tar_call() == "{runner.__name__}", tar_call()\n'
        'assert (tar_path_script(), tar_path_store()) == ("example/script.py", "example/store")\n'
        "assert not tar_active()\n"
        'pipeline = [tar_target("x", 1)]\n'
    )
    runner(script="example/script.py", store="example/store", callr_function=None)
    runner(script="example/script.py", store="example/store")
    assert [path.name for path in Path().iterdir()] == ["example"]
    assert [path.name for path in Path("example").iterdir()] == ["script.py"]


def test_opening_a_pipeline(project):
    project.script('pipeline = [tar_target("x", 1)]')
    with open_pipeline("tar_validate", "_targets.py", "_targets", {"given": 1}) as pipeline:
        assert list(pipeline.targets) == ["x"]
        assert pipeline.namespace["given"] == 1


def test_notes_can_be_silenced(monkeypatch):
    monkeypatch.delenv("TAR_WARN", raising=False)
    assert warns()
    monkeypatch.setenv("TAR_WARN", "false")
    assert not warns()
