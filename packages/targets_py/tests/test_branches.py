import pytest

from targets_py import (
    TarValidateError,
    cross,
    map,  # noqa: A004 - as scripts do
    sample,
    tar_branch_index,
    tar_branch_names,
    tar_branches,
    tar_meta,
    tar_pattern,
)

SCRIPT = """
pipeline = [
    tar_target("x", [1, 2, 3]),
    tar_target("y", lambda x: x, pattern=map("x")),
    tar_target("z", lambda x, y: 1, pattern=cross("y", "x")),
    tar_target("part", lambda y: y, pattern=sample("y", n=2)),
    tar_target("plain", lambda y: y),
]
"""


def test_names_and_numbers(project):
    project.make(SCRIPT)
    children = tar_meta("y")["children"].item().to_list()
    assert tar_branch_names("y", [0, -1, 1]) == [children[0], children[2], children[1]]
    assert tar_branch_names("y", 2) == [children[2]]
    assert tar_branch_index([children[2], children[0]]) == [2, 0]
    assert tar_branch_index(children[1]) == [1]
    assert tar_branch_index(tar_branch_names("z", range(9))[::-1]) == list(range(9))[::-1]


def test_what_has_no_branches(project):
    with pytest.raises(TarValidateError, match="data store _targets not found"):
        tar_branch_names("y", 0)
    project.make(SCRIPT)
    with pytest.raises(TarValidateError, match="target plain has no branches"):
        tar_branch_names("plain", 0)
    with pytest.raises(TarValidateError, match="target nope not found"):
        tar_branch_names("nope", 0)
    with pytest.raises(TarValidateError, match="branches out of range: y has 3"):
        tar_branch_names("y", [1, 3])
    with pytest.raises(TarValidateError, match="missing branches in metadata: y, y_0"):
        tar_branch_index(["y", tar_branch_names("y", 0)[0], "y_0"])


def test_what_branches_branch_over(project):
    project.make(SCRIPT)
    y, buds = tar_branch_names("y", range(3)), tar_meta("x")["children"].item().to_list()
    frame = tar_branches("y")
    assert frame.columns == ["name", "x"]
    assert list(frame.iter_rows()) == list(zip(y, buds, strict=True))
    frame = tar_branches("z")
    assert frame["name"].to_list() == tar_branch_names("z", range(9))
    assert frame["y"].to_list() == [name for name in y for _ in range(3)]
    assert frame["x"].to_list() == buds * 3
    assert tar_branches("part")["name"].to_list() == tar_branch_names("part", [0, 1])


def test_a_pattern_that_is_given_needs_no_script(project):
    project.make(SCRIPT)
    (project.folder / "_targets.py").unlink()
    assert tar_branches("z", cross("y", "x")).equals(tar_branches("z", "cross(y, x)"))


def test_what_is_no_pattern(project):
    project.make(SCRIPT)
    with pytest.raises(TarValidateError, match="plain is not dynamic"):
        tar_branches("plain")
    with pytest.raises(TarValidateError, match=r"nope is not a target in _targets\.py"):
        tar_branches("nope")
    with pytest.raises(TarValidateError, match="targets not in metadata: w"):
        tar_branches("y", "map(w)")


def test_a_pattern_can_be_tried_out():
    frame = tar_pattern(cross("x", map("y", "z")), x=2, y=2, z=2)
    assert frame.columns == ["x", "y", "z"]
    assert frame.rows() == [
        ("x_1", "y_1", "z_1"),
        ("x_1", "y_2", "z_2"),
        ("x_2", "y_1", "z_1"),
        ("x_2", "y_2", "z_2"),
    ]
    assert tar_pattern("slice(x, index=[-1, 0])", x=3).rows() == [("x_3",), ("x_1",)]
    assert tar_pattern(sample("x", n=2), x=9, seed=1).equals(tar_pattern(sample("x", n=2), x=9, seed=1))
    assert tar_pattern(map("x"), x=0).rows() == []
    with pytest.raises(TarValidateError, match="needs the length of y, as in y=3"):
        tar_pattern(map("x", "y"), x=1)
    with pytest.raises(TarValidateError, match="needs a pattern"):
        tar_pattern(None)
