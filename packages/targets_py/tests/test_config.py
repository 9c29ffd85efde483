from pathlib import Path

import pytest

from targets_py.config import (
    tar_config_get,
    tar_config_projects,
    tar_config_set,
    tar_config_unset,
    tar_config_yaml,
)
from targets_py.errors import TarDeprecateWarning, TarValidateError, TarValidateWarning

SETTINGS = [
    ("inherits", None, "other"),
    ("as_job", False, True),
    ("label", [], ["time", "size"]),
    ("label_width", 30, 12),
    ("level_separation", None, 200),
    ("reporter_make", "terse", "verbose"),
    ("reporter_outdated", "terse", "silent"),
    ("script", "_targets.py", "sub/script.py"),
    ("seconds_meta_append", 0, 2.5),
    ("seconds_meta_upload", 15, 60),
    ("shortcut", False, True),
    ("store", "_targets", "elsewhere"),
    ("use_crew", True, False),
]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TAR_CONFIG", raising=False)
    monkeypatch.delenv("TAR_PROJECT", raising=False)
    monkeypatch.setenv("CI", "true")


@pytest.mark.parametrize(("name", "default", "value"), SETTINGS)
def test_a_setting_is_set_kept_and_removed(name, default, value):
    assert tar_config_get(name) == default
    tar_config_set(**{name: value})
    assert tar_config_get(name) == value
    tar_config_set()
    assert tar_config_get(name) == value
    tar_config_unset(name)
    assert tar_config_get(name) == default


def test_asking_creates_no_file(tmp_path):
    tar_config_get("store")
    tar_config_set()
    tar_config_unset("store")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("label_width", -1),
        ("label_width", True),
        ("label", ["weight"]),
        ("seconds_meta_append", -0.5),
        ("seconds_meta_append", float("nan")),
        ("shortcut", "yes"),
        ("store", ""),
        ("script", 3),
        ("reporter_make", "loud"),
        ("reporter_outdated", "verbose"),
    ],
)
def test_an_illegal_value_is_refused_and_nothing_is_written(name, value, tmp_path):
    with pytest.raises(TarValidateError, match=rf"setting {name} must be"):
        tar_config_set(**{name: value, "use_crew": False})
    assert list(tmp_path.iterdir()) == []


def test_an_illegal_value_in_the_file_names_project_and_file():
    Path("_targets.yaml").write_text("main:\n  label_width: wide\n")
    with pytest.raises(TarValidateError, match=r"label_width in project main of _targets.yaml.*'wide'"):
        tar_config_get("label_width")


def test_old_reporters_have_successors():
    with pytest.warns(TarDeprecateWarning, match="'summary' is deprecated: using 'balanced'"):
        tar_config_set(reporter_make="summary")
    with pytest.warns(TarDeprecateWarning, match="forecast"):
        tar_config_set(reporter_outdated="forecast")
    assert tar_config_yaml() == {"main": {"reporter_make": "balanced", "reporter_outdated": "balanced"}}


def test_an_empty_label_is_a_value():
    tar_config_set(label=["time"], project="base")
    tar_config_set(label=[], inherits="base")
    assert tar_config_get("label") == []


def test_the_file_is_block_yaml_in_the_order_of_setting():
    tar_config_set(store="größe", label=["time", "size"])
    tar_config_set(inherits="main", shortcut=True, project="p2")
    text = Path("_targets.yaml").read_text(encoding="utf-8")
    assert text == (
        "main:\n  label:\n  - time\n  - size\n  store: größe\np2:\n  inherits: main\n  shortcut: true\n"
    )
    assert tar_config_projects() == ["main", "p2"]


def test_yes_and_no_are_booleans():
    Path("_targets.yaml").write_text("main:\n  shortcut: yes\n  use_crew: no\n")
    assert tar_config_get("shortcut") is True
    assert tar_config_get("use_crew") is False


def test_another_file_and_project(monkeypatch):
    tar_config_set(store="one", config="sub/folder/a.yaml", project="p")
    assert not Path("_targets.yaml").exists()
    assert tar_config_get("store", config="sub/folder/a.yaml", project="p") == "one"
    monkeypatch.setenv("TAR_CONFIG", "sub/folder/a.yaml")
    monkeypatch.setenv("TAR_PROJECT", "p")
    assert tar_config_get("store") == "one"
    tar_config_set(store="two")
    assert tar_config_yaml(config="sub/folder/a.yaml") == {"p": {"store": "two"}}


def test_inheritance_is_followed_until_a_value_is_found():
    tar_config_set(store="st")
    tar_config_set(inherits="main", project="p2")
    tar_config_set(inherits="p2", script="s.py", project="p3")
    assert tar_config_get("store", project="p3") == "st"
    assert tar_config_get("script", project="p3") == "s.py"
    assert tar_config_get("script", project="p2") == "_targets.py"


def test_a_circle_is_an_error_only_where_it_must_be_followed():
    tar_config_set(store="st", inherits="p2")
    tar_config_set(script="s.py", inherits="main", project="p2")
    for project in ("main", "p2"):
        assert tar_config_get("store", project=project) == "st"
        assert tar_config_get("script", project=project) == "s.py"
    with pytest.raises(TarValidateError, match="Circular project inheritance: p2, main"):
        tar_config_get("shortcut")


def test_an_unknown_project_has_defaults_and_a_warning_if_there_are_others():
    assert tar_config_get("store", project="p") == "_targets"
    tar_config_set(store="st")
    with pytest.warns(TarValidateWarning, match="project 'p' is not in _targets.yaml, which has main"):
        assert tar_config_get("store", project="p") == "_targets"


def test_unknown_settings_are_refused():
    with pytest.raises(TarValidateError, match=r"unknown setting 'workers': choose one of inherits, as_job"):
        tar_config_get("workers")
    with pytest.raises(TarValidateError, match="unknown setting"):
        tar_config_unset(["store", "workers"])


@pytest.mark.parametrize("text", ["store: _targets\n", "- main\n"])
def test_the_single_project_form_is_refused(text):
    Path("_targets.yaml").write_text(text)
    with pytest.raises(TarValidateError, match="must map project names to settings"):
        tar_config_get("store")


def test_broken_yaml_is_named():
    Path("_targets.yaml").write_text("main: [\n")
    with pytest.raises(TarValidateError, match=r"(?s)_targets.yaml is not valid YAML.*line 2"):
        tar_config_get("store")


@pytest.mark.parametrize("text", ["", "main:\n"])
def test_an_empty_file_or_project_sets_nothing(text):
    Path("_targets.yaml").write_text(text)
    assert tar_config_get("store") == "_targets"


def test_envvars(monkeypatch):
    pytest.importorskip("polars")
    from targets_py.config import tar_envvars

    monkeypatch.setenv("TAR_PROJECT", "p")
    frame = tar_envvars(unset="-")
    assert dict(frame.iter_rows())["TAR_PROJECT"] == "p"
    assert dict(frame.iter_rows())["TAR_CONFIG"] == "-"
    assert frame.columns == ["name", "value"]
