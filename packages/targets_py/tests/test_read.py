import subprocess
import sys
import types
from pathlib import Path

import pytest

import targets_py
from targets_py import (
    TarRunError,
    TarValidateError,
    everything,
    starts_with,
    tar_delete,
    tar_exist_objects,
    tar_invalidate,
    tar_load,
    tar_load_everything,
    tar_meta,
    tar_objects,
    tar_read,
)

LETTERS = """
pipeline = [
    tar_target("x", ["a", "b", "c", "d"]),
    tar_target("y", lambda x: x, pattern=map("x")),
    tar_target("z", lambda x: x, pattern=map("x"), iteration="list"),
    tar_target("n", lambda x: None, pattern=map("x")),
]
def f(): return 1
"""


def test_branches_of_a_pattern(project):
    project.make(LETTERS)
    assert tar_read("y") == ["a", "b", "c", "d"]
    assert tar_read("y", branches=[1, 2]) == ["b", "c"]
    assert tar_read("y", branches=-1) == ["d"]
    assert tar_read("y", branches=range(2)) == ["a", "b"]
    assert tar_read("z") == ["a", "b", "c", "d"]
    assert tar_read("n") is None
    assert tar_read("x", branches=99) == ["a", "b", "c", "d"]  # no pattern
    branch = targets_py.tar_branch_names("y", 2)[0]
    assert tar_read(branch) == "c"


@pytest.mark.parametrize("branches", [99, [0, -5]])
def test_branches_out_of_range(project, branches):
    project.make(LETTERS)
    with pytest.raises(TarValidateError, match=r"branches out of range: y has 4, so .* from 0 to 3"):
        tar_read("y", branches=branches)


def test_branches_that_are_no_numbers(project):
    project.make(LETTERS)
    with pytest.raises(TarValidateError, match="branches must be a whole number"):
        tar_read("y", branches=["a"])


def test_names_that_cannot_be_read(project):
    with pytest.raises(TarValidateError, match="targets data store _targets not found"):
        tar_read("x")
    project.make(LETTERS)
    with pytest.raises(TarValidateError, match="target why not found in the metadata"):
        tar_read("why")
    with pytest.raises(TarValidateError, match="f is a function of the script: it is not a target"):
        tar_read("f")


def test_values_that_are_gone(project):
    project.make(LETTERS)
    lost = targets_py.tar_branch_names("y", [0, 3])
    for name in lost:
        (project.store.objects / name).unlink()
    with pytest.raises(
        TarRunError, match=r"could not read 2 of 4 branches of y; branches=\[1, 2\] can be read"
    ) as caught:
        tar_read("y")
    assert all(name in str(caught.value) for name in lost)
    assert tar_read("y", branches=[1, 2]) == ["b", "c"]
    (project.store.objects / "x").unlink()
    with pytest.raises(TarRunError, match="the value of x is not stored"):
        tar_read("x")


def test_failed_targets(project):
    project.make("""
    tar_option_set(error="continue")
    def fail(x):
        if x > 1:
            raise ValueError(f"{x} is much")
        return x
    pipeline = [
        tar_target("x", [1, 2, 3]),
        tar_target("y", lambda x: fail(x), pattern=map("x")),
        tar_target("bad", lambda: fail(9)),
        tar_target("none", lambda: fail(9), error="null"),
        tar_target("empty", []),
        tar_target("over", lambda empty: empty, pattern=map("empty")),
    ]
    """)
    with pytest.raises(
        TarRunError, match=r"branches=\[0\] can be read\n  1: .* failed with: 2 is much\n  2: .*: 3 is much"
    ):
        tar_read("y")
    with pytest.raises(TarRunError, match="bad has no value: it failed with: 9 is much"):
        tar_read("bad")
    with pytest.raises(TarRunError, match="over has no branches: cannot branch over empty target"):
        tar_read("over")
    assert tar_read("none") is None


def test_the_old_value_of_a_failed_target_can_be_read(project):
    project.make('pipeline = [tar_target("x", lambda: 1)]')
    project.make('pipeline = [tar_target("x", lambda: 1 / 0, error="continue")]')
    assert tar_read("x") == 1


def test_a_tracked_file_is_its_path(project):
    project.make("""
    from pathlib import Path
    def write(name):
        Path(name).write_text(name)
        return name
    pipeline = [
        tar_target("one", lambda: write("a"), format="file"),
        tar_target("some", lambda: [write("b")], format="file"),
    ]
    """)
    assert tar_objects() == []
    for meta in (None, tar_meta()):
        assert tar_read("one", meta=meta) == "a"
        assert tar_read("some", meta=meta) == ["b"]


def test_metadata_can_be_reused(project):
    project.make(LETTERS)
    meta = tar_meta()
    project.store.meta_file.rename("elsewhere")
    assert tar_read("y", branches=[0], meta=meta) == ["a"]
    variables = {}
    tar_load("x", "z", meta=meta, envir=variables)
    assert sorted(variables) == ["x", "z"]
    with pytest.raises(TarValidateError, match="path is missing"):
        tar_read("y", meta=meta.drop("path"))
    with pytest.raises(TarValidateError, match="not found"):
        tar_read("w", meta=meta)


def test_reading_in_a_fresh_process_finds_the_projects_modules(project):
    Path("shapes.py").write_text("class Square:\n    side = 2\n")
    project.make('from shapes import Square\npipeline = [tar_target("s", lambda: Square())]')
    code = "import targets_py\nprint(targets_py.tar_read('s').side)"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "2\n"


def test_loading_into_given_variables(project):
    project.make('pipeline = [tar_target("y1", 1), tar_target("y2", 2), tar_target("z", 3)]\ny0 = 0')
    variables = {}
    tar_load(starts_with("y"), envir=variables)
    assert variables == {"y1": 1, "y2": 2}
    module = types.ModuleType("m")
    tar_load("z", "y1", envir=module)
    assert (module.z, module.y1) == (3, 1)


def test_loading_loads_branches_too(project):
    project.make(LETTERS)
    variables = {}
    tar_load(starts_with("y"), branches=[0], envir=variables)
    assert variables["y"] == ["a"]
    assert sorted(variables) == ["y", *sorted(targets_py.tar_branch_names("y", range(4)))]


def test_top_level_code_gets_variables(project):
    project.make('pipeline = [tar_target("x", 1)]')
    namespace = {}
    exec(
        "from targets_py import tar_load, tar_load_everything\ntar_load('x')\ny = x\ntar_load_everything()",
        namespace,
    )
    assert namespace["y"] == 1


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    tar_load('x')\nf()",
        "(lambda: tar_load('x'))()",
        "class C:\n    tar_load('x')",
        "def f():\n    return [tar_load('x') for _ in [1]]\nf()",
    ],
)
def test_other_code_has_to_say_where(project, code):
    project.make('pipeline = [tar_target("x", 1)]')
    with pytest.raises(TarValidateError, match="give envir="):
        exec(f"from targets_py import tar_load\n{code}", {})


def test_what_cannot_be_loaded(project, capsys):
    project.make('pipeline = [tar_target("x", 1), tar_target("y", lambda: 1 / 0, error="continue")]')
    variables = {}
    with pytest.raises(TarRunError, match="y has no value"):
        tar_load(everything(), envir=variables)
    assert variables == {}
    tar_load_everything(strict=False, envir=variables)
    assert variables == {"x": 1}
    assert "could not load y: y has no value" in capsys.readouterr().err
    tar_load_everything(strict=False, silent=True, envir={})
    assert tuple(capsys.readouterr()) == ("", "")
    tar_load(starts_with("nothing"), envir={})
    assert capsys.readouterr().out == "Identified no targets to load.\n"
    with pytest.raises(TarValidateError, match="needs names"):
        tar_load(envir={})
    with pytest.raises(TarValidateError, match="unknown name 'w'"):
        tar_load("w", envir={})
    with pytest.raises(TarValidateError, match="envir must be a dict or a module, not 3"):
        tar_load("x", envir=3)


def test_objects(project):
    assert tar_objects() == []
    assert tar_objects("x") == []
    assert tar_exist_objects(["y", "x"]) == [False, False]
    project.make('pipeline = [tar_target("x", 1), tar_target("y", 1), tar_target("z", 1)]')
    tar_invalidate("x")
    tar_delete("y", verbose=False)
    assert tar_exist_objects(["y", "x", "z"]) == [False, True, True]
    assert tar_exist_objects("z") == [True]
    assert tar_objects() == ["x", "z"]
    assert tar_objects("z") == ["z"]
    project.make(LETTERS)
    assert tar_exist_objects("y") == [False]
