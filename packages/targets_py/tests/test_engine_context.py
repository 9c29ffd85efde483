"""What commands can find out about themselves."""

from __future__ import annotations

import pytest

from targets_py import (
    TarRunError,
    TarValidateError,
    tar_active,
    tar_call,
    tar_cancel,
    tar_definition,
    tar_envir,
    tar_format_get,
    tar_name,
    tar_option_with,
    tar_seed_get,
)
from targets_py.engine.context import current_session, session


def test_outside_of_commands_there_are_defaults(project):
    assert (tar_name(), tar_name("other")) == ("target", "other")
    assert tar_definition() is None
    assert (tar_seed_get(), tar_seed_get(None)) == (1, None)
    assert tar_format_get() == "pickle"
    assert tar_format_get("csv") == "csv"
    with tar_option_with(format="json"):
        assert tar_format_get() == "json"
    assert tar_envir("nobody's") == "nobody's"
    assert tar_call() is None
    assert not tar_active()


def test_inside_of_commands(project):
    project.make(
        """
        k = 5

        def about():
            me = tar_definition()
            return tar_name(), me.parent, me.index

        def settings():
            me = tar_definition()
            return me.settings.error, me.cue.mode

        pipeline = [
            tar_target("x", lambda: [1, 2]),
            tar_target(
                "y",
                lambda x: (*about(), tar_format_get(), tar_envir()["k"]),
                pattern=map("x"),
            ),
            tar_target("z", lambda: (*about(), tar_seed_get())),
            tar_target("d", settings, error="null"),
        ]
        """
    )

    first, second = project.records["y"].children
    assert project.values("y") == [(first, "y", 0, "pickle", 5), (second, "y", 1, "pickle", 5)]
    assert project.value("z") == ("z", "z", None, project.records["z"].seed)
    assert project.value("d") == ("null", "thorough")


def test_cancel_outside_of_commands():
    with pytest.raises(TarRunError, match="must be called by the command of a target"):
        tar_cancel()


@pytest.mark.parametrize("condition", [1, None, "yes"])
def test_cancel_takes_a_bool(condition):
    with pytest.raises(TarValidateError, match="condition"):
        tar_cancel(condition)


def test_active_follows_the_environment(monkeypatch):
    monkeypatch.setenv("TAR_ACTIVE", "true")
    assert tar_active()


def test_sessions_nest():
    with session("tar_make", "_targets.py", "_targets"):
        with session("tar_outdated", "other.py", "store") as inner:
            assert current_session() is inner
            assert tar_call() == "tar_outdated"
        assert tar_call() == "tar_make"
    assert tar_call() is None
