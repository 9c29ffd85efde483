"""Options and resources."""

from __future__ import annotations

import pytest

from targets_py import (
    TarValidateError,
    tar_cue,
    tar_option_export,
    tar_option_get,
    tar_option_reset,
    tar_option_set,
    tar_option_unset,
    tar_option_with,
    tar_resources,
    tar_resources_crew,
    tar_resources_feather,
    tar_resources_network,
    tar_resources_parquet,
    tar_target,
)
from targets_py.definition.options import Options, current_options, restore_options


@pytest.fixture(autouse=True)
def fresh_options():
    before = current_options()
    restore_options(Options())
    yield
    restore_options(before)


class Controller:
    """What targets asks of a controller when it is set."""

    def __init__(self, problem=None):
        self.problem = problem

    def push(self):
        pass

    def validate(self):
        if self.problem:
            raise RuntimeError(self.problem)


LEGAL = {
    "packages": ("json", ("json",)),
    "library": (["lib"], ("lib",)),
    "imports": (["numpy"], ("numpy",)),
    "envir": ({"a": 1}, {"a": 1}),
    "format": ("rds", "pickle"),
    "iteration": ("list", "list"),
    "error": ("null", "null"),
    "memory": ("persistent", "persistent"),
    "garbage_collection": (5, 5),
    "deployment": ("main", "main"),
    "priority": (1, 1.0),
    "storage": ("none", "none"),
    "retrieval": ("main", "main"),
    "cue": (tar_cue("always"), tar_cue("always")),
    "description": ("text", "text"),
    "debug": ("x", ("x",)),
    "workspaces": (["x", "y"], ("x", "y")),
    "workspace_on_error": (False, False),
    "seed": (None, None),
    "trust_timestamps": (True, True),
}
ILLEGAL = {
    "packages": 3,
    "library": [1],
    "imports": [None],
    "envir": 5,
    "format": "excel",
    "repository": "moon",
    "repository_meta": "aws",
    "iteration": "rows",
    "error": "ignore",
    "memory": None,
    "garbage_collection": -1,
    "deployment": "cloud",
    "priority": 1.5,
    "resources": {"crew": 1},
    "storage": None,
    "retrieval": "auto!",
    "cue": "always",
    "description": 5,
    "debug": [1],
    "workspaces": 1,
    "workspace_on_error": None,
    "seed": "1",
    "controller": "local",
    "trust_timestamps": 1,
}


@pytest.mark.parametrize("name", LEGAL)
def test_options_are_set_read_and_unset(name):
    default = tar_option_get(name)
    given, kept = LEGAL[name]

    tar_option_set(**{name: given})
    assert tar_option_get(name) == kept

    tar_option_unset(name)
    assert tar_option_get(name) == default


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_values_change_nothing(name):
    before = current_options()

    with pytest.raises(TarValidateError, match=name):
        tar_option_set(**({"description": "other"} | {name: ILLEGAL[name]}))

    assert current_options() == before


def test_only_what_is_given_is_set():
    tar_option_set(seed=5)
    tar_option_set(error="trim")

    assert (tar_option_get("seed"), tar_option_get("error")) == (5, "trim")
    tar_option_reset()
    assert current_options() == Options()


@pytest.mark.parametrize("call", [tar_option_get, tar_option_unset])
def test_unknown_names_get_a_hint(call):
    with pytest.raises(TarValidateError, match=r"there is no option 'formt'\. Did you mean 'format'"):
        call("formt")


def test_with_restores_exactly_even_after_an_exception():
    tar_option_set(library=None, seed=1)

    seen = []

    def change_and_fail():
        with tar_option_with(library=["a"], seed=None):
            tar_option_set(error="null")
            seen.append((tar_option_get("library"), tar_option_get("seed")))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()

    assert seen == [(("a",), None)]

    assert (tar_option_get("library"), tar_option_get("seed"), tar_option_get("error")) == (None, 1, "stop")


def test_with_refuses_unknown_options():
    with pytest.raises(TarValidateError, match="no option 'nope'"), tar_option_with(nope=1):
        pass


def test_controllers_are_validated():
    good = Controller()
    tar_option_set(controller=good)
    assert tar_option_get("controller") is good

    with pytest.raises(TarValidateError, match="controller is not valid: no workers"):
        tar_option_set(controller=Controller("no workers"))
    assert tar_option_get("controller") is good
    tar_option_set(controller=None)
    assert tar_option_get("controller") is None


def test_export_leaves_out_what_stays():
    tar_option_set(controller=Controller(), envir={}, seed=3)

    exported = tar_option_export()

    assert exported["seed"] == 3
    assert {"controller", "envir"}.isdisjoint(exported)


def test_resources_come_from_the_option_part_by_part():
    tar_option_set(resources=tar_resources(crew=tar_resources_crew(controller="a", seconds_timeout=5)))

    resources = tar_resources(parquet=tar_resources_parquet(compression="snappy"))

    assert resources.crew.controller == "a"
    assert resources.parquet.compression == "snappy"
    assert tar_resources_crew(seconds_timeout=None).controller == "a"
    assert tar_resources_crew(seconds_timeout=None).seconds_timeout is None
    target = tar_target("x", 1, resources=resources)
    assert target.settings.resources.of("parquet") == {"compression": "snappy", "compression_level": None}
    assert target.settings.resources.of("pickle") == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda: tar_resources(crew=tar_resources_network()),
        lambda: tar_resources(parquet=tar_resources_feather()),
        lambda: tar_resources_crew(controller=3),
        lambda: tar_resources_crew(seconds_timeout=-1),
        lambda: tar_resources_network(max_tries=0),
        lambda: tar_resources_network(seconds_interval=float("nan")),
        lambda: tar_resources_network(seconds_timeout="1"),
    ],
)
def test_illegal_resources(make):
    with pytest.raises(TarValidateError):
        make()
