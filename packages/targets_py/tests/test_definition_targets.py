"""Targets and their commands."""

from __future__ import annotations

import pytest

from targets_py import (
    TarValidateError,
    map,  # noqa: A004 - that is what scripts do
    tar_cue,
    tar_option_with,
    tar_seed_create,
    tar_seed_set,
    tar_target,
    tar_target_copy,
    tar_target_raw,
)
from targets_py.definition.commands import as_command


def test_settings_default_to_the_options_at_the_moment_of_the_call():
    with tar_option_with(format="json", cue=tar_cue("always"), garbage_collection=3):
        target = tar_target("x", 1, error="null")
    later = tar_target("x", 1)

    assert (target.settings.format, target.settings.error, target.cue.mode) == ("json", "null", "always")
    assert target.settings.garbage_collection is False
    assert later.settings.format == "pickle"
    with tar_option_with(garbage_collection=True):
        assert tar_target("x", 1).settings.garbage_collection is True


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("1x", "valid Python identifier"),
        ("a b", "valid Python identifier"),
        ("", "valid Python identifier"),
        ("class", "keyword"),
        ("_x", "underscore"),
        ("x" * 201, "200 bytes"),
        ("ä" * 101, "200 bytes"),
        (3, "must be a str"),
    ],
)
def test_illegal_names(name, problem):
    with pytest.raises(TarValidateError, match=problem):
        tar_target(name, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "excel"}, "format of target x"),
        ({"priority": 2}, "priority of target x"),
        ({"garbage_collection": 1}, "garbage_collection of target x"),
        ({"cue": "never"}, "cue of target x"),
        ({"deps": 3}, "deps of target x"),
        ({"pattern": "map(x)"}, "cannot branch over itself"),
        ({"pattern": map("y"), "iteration": "group"}, "group"),
        ({"pattern": "zip(y)"}, "target x: unknown function"),
        ({"command": "1 +"}, "target x: command '1 \\+' is no valid source"),
    ],
)
def test_illegal_arguments_name_the_target(arguments, message):
    with pytest.raises(TarValidateError, match=message):
        tar_target("x", **({"command": 1} | arguments))


def test_unknown_arguments():
    with pytest.raises(TypeError):
        tar_target("x", 1, formt="json")
    with pytest.raises(TypeError, match="no argument 'formt'"):
        tar_target_copy(tar_target("x", 1), formt="json")


@pytest.mark.parametrize(
    ("command", "kind"),
    [(lambda: 1, "callable"), (len, "callable"), ("a + b", "source"), (5, "constant"), (None, "constant")],
)
def test_kinds_of_commands(command, kind):
    assert tar_target("x", command).command.kind == kind


def test_the_decorator_in_all_its_forms():
    @tar_target
    def plain(a):
        return a + 1

    @tar_target(pattern=map("plain"), format="json")
    def configured(plain):
        return plain

    @tar_target("renamed", error="null")
    def other(a):
        return a

    assert [target.name for target in (plain, configured, other)] == ["plain", "configured", "renamed"]
    assert plain(1) == 2
    assert str(configured.pattern) == "map(plain)"
    assert configured.settings.format == "json"
    assert other.settings.error == "null"
    assert "plain" in repr(plain)


def test_a_target_without_command_cannot_be_called():
    with pytest.raises(TypeError, match="target x has no command"):
        tar_target("x")(1)
    with pytest.raises(TypeError, match="the command of target x is no function"):
        tar_target("x", "1 + 1")()


def test_copies():
    original = tar_target("x", lambda a: a, pattern=map("a"), format="json", deps=["a"], string="v1")

    with tar_option_with(format="csv", error="null"):
        copy = tar_target_copy(original, name="y", pattern=None, cue=tar_cue("never"))

    assert (copy.name, copy.pattern, copy.settings.format, copy.settings.error) == ("y", None, "json", "stop")
    assert (copy.cue.mode, copy.deps, copy.command) == ("never", ("a",), original.command)
    assert tar_target_copy(original, command=3, deps=None).command.value == 3
    assert tar_target_copy(original, string="v2").command.string == "v2"
    assert (original.name, original.cue.mode) == ("x", "thorough")


def test_targets_are_frozen():
    with pytest.raises(AttributeError):
        tar_target("x", 1).name = "y"


def test_raw_is_the_same_function():
    assert tar_target_raw is tar_target


def test_commands_are_bound_renamed_and_extended():
    command = as_command(lambda a, b: (a, b)).bind({"a": 1}).rename({"b": "b_1"}).rename({"b_1": "b_2"})

    assert command.bound == {"a": 1}
    assert command.upstream_of("b") == "b_2"
    assert command.also(["c"]).also(["d"]).extra == ("c", "d")
    assert command.extra == ()


def test_bound_and_renamed_commands_run(project):
    script = """
        base = tar_target("base", lambda a, data: (a, data))
        source = tar_target("source", "(a, data)")

        def variant(target, name, a):
            command = target.command.bind({{"a": a}}).rename({{"data": "data_1"}})
            return tar_target_copy(target, name=name, command=command)

        pipeline = [
            tar_target("data_1", lambda: "d"),
            variant(base, "one", {}),
            variant(base, "two", 2),
            variant(source, "three", 3),
        ]
    """
    made = project.make(script.format(1))

    assert [project.value(name) for name in ("one", "two", "three")] == [(1, "d"), (2, "d"), (3, "d")]
    assert made.ran == ["data_1", "one", "two", "three"]
    assert project.make(script.format(9)).ran == ["one"]


def test_seeds_are_functions_of_names():
    assert tar_seed_create("x", 0) == tar_seed_create("x", 0) == 1999346828904115879
    assert tar_seed_create("x", 0) != tar_seed_create("y", 0)
    assert tar_seed_create("x", 0) != tar_seed_create("x", 1)
    assert tar_seed_create("x", None) is None
    with tar_option_with(seed=7):
        assert tar_seed_create("x") == tar_seed_create("x", 7)
    assert 0 <= tar_seed_create("x") < 2**63


def test_setting_seeds(project):
    import random

    state = random.getstate()
    try:
        tar_seed_set(3)
        first = random.random()
        tar_seed_set(None)
        assert random.random() != first
        tar_seed_set(3)
        assert random.random() == first
    finally:
        random.setstate(state)
    for seed in (-1, "a", True):
        with pytest.raises(TarValidateError, match="a seed must be an integer"):
            tar_seed_set(seed)
    with pytest.raises(TarValidateError, match="takes a name"):
        tar_seed_create(3)
