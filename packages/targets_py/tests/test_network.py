import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from targets_py import TarValidateError, tar_mermaid, tar_network, tar_visnetwork
from targets_py.network import EDGES, VERTICES

SCRIPT = """
from math import sqrt
import json
unused = 7
factor = 2

def scale(value):
    return value * factor

pipeline = [
    tar_target("a", 1, description="the start"),
    tar_target("b", lambda a: scale(a)),
    tar_target("c", [1, 2]),
    tar_target("d", lambda b, c: 1, pattern=map("c")),
]
"""


def network(*args, **options):
    return tar_network(*args, callr_function=None, **options)


def names(found):
    return found["vertices"]["name"].to_list()


def states(found):
    return dict(found["vertices"].select("name", "status").iter_rows())


def test_vertices_and_edges_before_the_first_run(project):
    project.script(SCRIPT)
    found = network()
    vertices = found["vertices"]
    assert list(vertices.columns) == list(VERTICES)
    assert list(found["edges"].columns) == list(EDGES)
    assert [vertices.schema[name] for name in ("seconds", "bytes", "branches")] == [
        pl.Float64,
        pl.Int64,
        pl.Int64,
    ]
    assert vertices.rows() == [
        ("a", "stem", "the start", "outdated", None, None, None),
        ("b", "stem", None, "outdated", None, None, None),
        ("c", "stem", None, "outdated", None, None, None),
        ("d", "pattern", None, "outdated", None, None, None),
        ("factor", "object", None, "outdated", None, None, None),
        ("scale", "function", None, "outdated", None, None, None),
        ("unused", "object", None, "outdated", None, None, None),
    ]
    assert found["edges"].rows() == [("a", "b"), ("b", "d"), ("c", "d"), ("factor", "scale"), ("scale", "b")]
    assert not project.store.exists()


def test_what_is_recorded_is_shown(project):
    project.make(SCRIPT)
    rows = {row["name"]: row for row in network()["vertices"].to_dicts()}
    assert rows["d"]["branches"] == 2
    assert rows["d"]["bytes"] == sum(project.records[name].bytes for name in project.records["d"].children)
    assert rows["a"]["bytes"] == project.records["a"].bytes
    assert (rows["a"]["branches"], rows["scale"]["bytes"]) == (None, None)
    assert {row["status"] for row in rows.values()} == {"uptodate"}


def test_selection_of_vertices(project):
    project.script(SCRIPT)
    assert names(network(targets_only=True)) == ["a", "b", "c", "d"]
    assert names(network(names="b")) == ["a", "b", "factor", "scale"]
    found = network(names=["b", "d"], shortcut=True)
    assert names(found) == ["b", "d"]
    assert found["edges"].rows() == [("b", "d")]
    assert names(network(names="scale")) == ["factor", "scale"]
    assert names(network(allow="d")) == ["d"]
    assert network(allow="d")["edges"].rows() == []
    assert network(exclude="zzz")["vertices"].equals(network()["vertices"])
    assert names(network(targets_only=True, exclude=["a", "zzz"])) == ["b", "c", "d"]
    for arguments in ({"allow": "zzz"}, {"names": "zzz"}):
        with pytest.raises(TarValidateError, match="unknown name 'zzz'"):
            network(**arguments)
    empty = network(names="zzz*")
    assert empty["vertices"].shape == (0, 7)
    assert empty["edges"].schema == network()["edges"].schema


def test_states(project):
    project.make("""
    tar_option_set(error="continue")
    pipeline = [
        tar_target("good", 1), tar_target("bad", lambda: 1 / 0), tar_target("gone", lambda: tar_cancel()),
        tar_target("below", lambda good: good),
    ]
    """)
    assert states(network()) == {
        "bad": "errored",
        "below": "uptodate",
        "gone": "canceled",
        "good": "uptodate",
    }
    assert states(network(outdated=False)) == {
        "bad": "errored", "below": "completed", "gone": "canceled", "good": "completed",
    }  # fmt: skip
    project.script(
        'pipeline = [tar_target("good", 2), tar_target("below", lambda good: good), tar_target("new", 1)]'
    )
    assert states(network()) == {"below": "outdated", "good": "outdated", "new": "outdated"}
    assert states(network(outdated=False))["new"] == "queued"


def test_globals_are_compared_even_if_targets_are_not(project):
    project.make(SCRIPT)
    project.script(SCRIPT.replace("factor = 2", "factor = 3"))
    found = states(network(outdated=False))
    assert (found["factor"], found["scale"], found["unused"]) == ("outdated", "outdated", "uptodate")


def test_what_a_dead_process_dispatched_is_not_running(project):
    project.make('pipeline = [tar_target("x", 1)]')
    with project.store.progress_file.open("a") as file:
        file.write("x|stem|x|0|dispatched\n")
    assert states(network()) == {"x": "dispatched"}  # this process lives
    text = project.store.process_file.read_text()
    project.store.process_file.write_text(re.sub(r"created\|.*", "created|2001-01-01T00:00:00+00:00", text))
    assert states(network()) == {"x": "uptodate"}  # another one had its number
    project.store.process_file.write_text(text)
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    text = project.store.process_file.read_text().replace(f"pid|{os.getpid()}", f"pid|{int(gone.stdout)}")
    project.store.process_file.write_text(text)
    assert states(network()) == {"x": "uptodate"}
    assert states(network(outdated=False)) == {"x": "queued"}
    project.store.process_file.write_text(text.replace(socket.gethostname(), "elsewhere"))
    assert states(network()) == {"x": "dispatched"}


def test_a_cycle_is_named(project):
    project.script('pipeline = [tar_target("a", lambda b: 1), tar_target("b", lambda a: 1)]')
    with pytest.raises(
        TarValidateError,
        match=r"Error in tar_network\(\):\n  the targets form a cycle: (a -> b -> a|b -> a -> b)",
    ):
        network()


def test_functions_of_the_project_modules_are_vertices(project):
    Path("helpers.py").write_text("base = 1\ndef clean(x):\n    return x + base\n")
    project.script("""
    import helpers
    from helpers import clean
    pipeline = [tar_target("x", lambda: clean(1)), tar_target("y", lambda: helpers.clean(2))]
    """)
    edges = network()["edges"].rows()
    assert ("clean", "x") in edges
    assert ("helpers.clean", "y") in edges


def test_looking_in_a_child_and_not_changing_anything(project):
    project.make(SCRIPT)
    before = project.store.meta_file.read_bytes(), project.store.progress_file.read_bytes()
    assert tar_network()["vertices"].equals(network()["vertices"])
    tar_mermaid(callr_function=None)
    tar_visnetwork(callr_function=None)
    assert (project.store.meta_file.read_bytes(), project.store.progress_file.read_bytes()) == before


def test_a_graph_of_thousands(project):
    text = 'pipeline = [tar_target("t0", 1), *(tar_target(f"t{i}", f"t{i // 2}") for i in range(1, 3000))]'
    project.script(text)
    found = network(outdated=False)
    assert found["vertices"].height == 3000
    assert found["edges"].height == 2999
