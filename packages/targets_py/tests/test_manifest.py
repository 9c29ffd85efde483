import polars as pl
import pytest

from targets_py import TarValidateError, any_of, tar_manifest
from targets_py.manifest import SCHEMA

CHAIN = """
pipeline = [
    tar_target("a", lambda b: b),
    tar_target("c", lambda d: d, description="the third"),
    tar_target("b", lambda c: c),
    tar_target("d", 1),
]
"""


def manifest(*args, **options):
    return tar_manifest(*args, callr_function=None, **options)


def test_rows_stand_in_the_order_of_running(project):
    project.script(CHAIN)
    assert manifest()["name"].to_list() == ["d", "c", "b", "a"]
    assert manifest(["a", "d"])["name"].to_list() == ["d", "a"]
    with pytest.raises(TarValidateError, match="unknown name 'z'"):
        manifest("z")


def test_columns(project):
    project.script(CHAIN)
    assert manifest().columns == ["name", "command", "description"]
    fields = any_of(["name", "command", "pattern"])
    assert manifest(fields=fields).columns == ["name", "command"]
    assert manifest(fields=fields, drop_missing=False).columns == ["name", "command", "pattern"]
    whole = manifest(fields=None, drop_missing=False)
    assert whole.columns == list(SCHEMA)
    assert whole.width == 25
    assert whole.schema["priority"] == pl.Float64
    assert whole.schema["cue_seed"] == pl.Boolean
    assert whole.schema["packages"] == pl.List(pl.String)
    assert whole["resources"].dtype == pl.Object


def test_the_schema_does_not_depend_on_the_rows(project):
    project.script("pipeline = []")
    empty = manifest(fields=None)
    project.script(CHAIN)
    assert empty.height == 0
    assert empty.schema == manifest(fields=None, drop_missing=False).schema


def test_patterns_and_settings(project):
    project.script("""
    pipeline = [
        tar_target("x", 1), tar_target("y", 2, format="json", cue=tar_cue(seed=False), packages="json"),
        tar_target("z", lambda x, y: 1, pattern=cross("x", "y")),
    ]
    """)
    assert manifest("z", fields="pattern").rows() == [("z", "cross(x, y)")]
    row = manifest("y", fields=["format", "cue_seed", "cue_mode", "packages"]).row(0)
    assert row == ("y", "json", False, "thorough", ["json"])


def test_commands_as_people_read_them(project):
    project.script("""
    def load(path, rows: int = 10, *, fast=True):
        return path

    @tar_target
    def report(data):
        return data

    pipeline = [
        tar_target("data", load, deps=[]), tar_target("path", "folder" + "/file"),
        tar_target("lamb", lambda data: [row for row in
            data]),
        tar_target("source", "x = data\\nx + 1"),
        tar_target("number", 5), tar_target("long", list(range(100))), tar_target("builtin", dict),
        tar_target_copy(report, name="bound", command=report.command.bind({"data": 7})),
        report,
    ]
    """)
    commands = dict(manifest(fields="command").iter_rows())
    assert commands == {
        "data": "load(path, rows: int=10, *, fast=True)",
        "path": "folder/file",
        "lamb": "[row for row in data]",
        "source": "x = data\nx + 1",
        "number": "5",
        "long": commands["long"],
        "builtin": "dict",
        "bound": "report(data)  # data=7",
        "report": "report(data)",
    }
    assert len(commands["long"]) == 60
    assert commands["long"].endswith("...")


def test_a_cycle_is_shown_in_the_order_of_the_script(project):
    project.script('pipeline = [tar_target("b", lambda a: a), tar_target("a", lambda b: b)]')
    assert manifest()["name"].to_list() == ["b", "a"]
