import polars as pl
import pytest

from targets_py import (
    TarValidateError,
    TarValidateWarning,
    starts_with,
    tar_deps,
    tar_described_as,
    tar_manifest,
    tar_outdated,
    tar_sitrep,
    tar_validate,
)
from targets_py.inspection import SITREP_SCHEMA

DIAMOND = """
pipeline = [
    tar_target("w", 1),
    tar_target("x", lambda w: w),
    tar_target("y", 2),
    tar_target("z", lambda x, y: x + y),
]
"""


def outdated(*args, **options):
    return tar_outdated(*args, callr_function=None, **options)


def sitrep(*args, **options):
    return tar_sitrep(*args, callr_function=None, **options)


def test_a_changed_function_and_what_reaches_it(project):
    text = "\n\ndef f(x):\n    return x\n\npipeline = [tar_target('x', lambda: f(1))]\n"
    project.script(text)
    assert outdated() == ["x"]
    assert outdated(targets_only=False) == ["f", "x"]
    project.make()
    assert outdated(targets_only=False) == []
    project.script("# a comment\n" + text.replace("return x", "return x  # too"))
    assert outdated(targets_only=False) == []
    project.script(text.replace("return x", "return x + 1"))
    assert outdated() == ["x"]
    assert outdated(targets_only=False) == ["f", "x"]


def test_patterns_and_branches(project):
    text = 'pipeline = [tar_target("x", [1, 2]), tar_target("y", lambda x: x, pattern=map("x"))]'
    project.script(text)
    assert outdated(branches=True) == ["x", "y"]  # there are no branches yet
    project.make()
    project.script(text.replace("lambda x: x", "lambda x: x + 1"))
    assert outdated() == ["y"]
    names = outdated(branches=True)
    assert len(names) == 3
    assert names[0] == "y"
    assert names[1:] == project.records["y"].children
    project.script(text.replace("[1, 2]", "[1, 3]"))
    assert outdated(branches=True) == ["x", "y", *project.records["y"].children]


def test_names_and_shortcut(project):
    project.make(DIAMOND)
    project.script(DIAMOND.replace('"w", 1', '"w", 5').replace('"y", 2', '"y", 6').replace("x + y", "x - y"))
    assert outdated() == ["w", "x", "y", "z"]
    assert outdated("z", shortcut=True) == ["z"]
    assert outdated("x") == ["w", "x"]
    assert outdated("nope*") == []
    with pytest.raises(TarValidateError, match=r"Error in tar_outdated\(\):\n  unknown name 'nope'"):
        outdated("nope")


def test_cues(project):
    text = 'pipeline = [tar_target("a", 1, cue=tar_cue("always")), tar_target("n", 1, cue=tar_cue("never"))]'
    project.script(text)
    assert outdated() == ["a", "n"]
    for _ in range(2):
        project.make()
        assert outdated() == ["a"]
    project.script(text.replace(', 1, cue=tar_cue("never")', ', 2, cue=tar_cue("never")'))
    assert outdated() == ["a"]


@pytest.mark.parametrize(
    "look",
    [
        outdated,
        sitrep,
        lambda: tar_manifest(callr_function=None),
        lambda: tar_validate(callr_function=None),
    ],
)
def test_looking_changes_nothing(project, look):
    project.script(DIAMOND)
    look()
    assert not project.store.exists()
    project.make()
    with project.store.meta_file.open("a") as file:  # a line twice: only a run tidies up
        file.write(project.store.meta_file.read_text().splitlines()[-1] + "\n")
    before = project.store.meta_file.read_bytes(), project.store.progress_file.read_bytes()
    look()
    assert (project.store.meta_file.read_bytes(), project.store.progress_file.read_bytes()) == before


def test_it_works_in_a_child_process_and_may_show_progress(project, capfd):
    project.script("print('noise')\n" + DIAMOND)
    for reporter in ("balanced", "terse", "silent"):
        assert tar_outdated(reporter=reporter) == ["w", "x", "y", "z"]
    assert capfd.readouterr().err == ""
    with pytest.raises(TarValidateError, match="unknown reporter 'verbose'"):
        tar_outdated(reporter="verbose")


def test_sitrep_says_which_cue_asks(project):
    project.make(DIAMOND)
    project.script(
        DIAMOND.replace('"w", 1', '"w", 5').replace('"y", 2', '"y", 2, cue=tar_cue("always")')
        .replace("lambda x, y: x + y", "lambda x, y: x + y, iteration='list'")
    )  # fmt: skip
    (project.store.objects / "x").unlink()
    frame = sitrep()
    assert dict(frame.schema) == {"name": pl.String, **dict.fromkeys(list(SITREP_SCHEMA)[1:], pl.Boolean)}
    said = {row["name"]: [cue for cue, value in row.items() if value is True] for row in frame.to_dicts()}
    assert said == {"w": ["command"], "x": ["file"], "y": ["always"], "z": ["iteration"]}
    assert sitrep(["z", "w"], fields=["file", "seed"]).rows() == [("z", False, False), ("w", False, False)]


def test_sitrep_without_a_store_and_of_nothing(project):
    project.script('pipeline = [tar_target("x", [1]), tar_target("y", lambda x: x, pattern=map("x"))]')
    frame = sitrep()
    assert frame["name"].to_list() == ["x"]
    assert frame["meta"].to_list() == [True]
    assert frame["command"].to_list() == [None]
    assert sitrep([]).shape == (0, 11)
    assert sitrep([]).schema == frame.schema


def test_sitrep_of_a_pattern_are_its_branches(project):
    project.make('pipeline = [tar_target("x", [1, 2]), tar_target("y", lambda x: x, pattern=map("x"))]')
    assert sitrep("y")["name"].to_list() == project.records["y"].children


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ('pipeline = [tar_target("x", 1), tar_target("x", 2)]', "duplicate target names: x"),
        ('pipeline = [tar_target("a", lambda a2: 1), tar_target("a2", lambda a: 1)]', "cycle"),
        ("pipeline = [1]", r"pipeline\[0\] must be a target, not int"),
        ("x = 1", 'must define a list called "pipeline"'),
        ('pipeline = [tar_target("x", 1, cue=5)]', "cue"),
    ],
)
def test_validate_says_what_is_wrong(project, script, text):
    project.script(script)
    with pytest.raises(TarValidateError, match=text):
        tar_validate(callr_function=None)
    assert not project.store.exists()


def test_validate_warns_of_what_may_be_wrong(project, monkeypatch):
    project.script('x = 5\npipeline = [tar_target("x", 1), tar_target("X", 1)]')
    with pytest.warns(TarValidateWarning) as caught:
        tar_validate(callr_function=None)
    texts = [str(warning.message) for warning in caught]
    assert any("differ in case only" in text for text in texts)
    assert any("both a target and a global" in text for text in texts)
    monkeypatch.setenv("TAR_WARN", "false")
    tar_validate(callr_function=None)


def test_descriptions_select(project):
    project.script("""
    pipeline = [
        tar_target("b2", 1, description="blue two"), tar_target("g4", 1, description="green three"),
        tar_target("g2", 1, description="green two"), tar_target("g3", 1, description="green three"),
        tar_target("plain", 1),
    ]
    """)
    green = tar_described_as(starts_with("green"), callr_function=None)
    assert tar_described_as(starts_with("green"), tidyselect=False, callr_function=None) == ["g2", "g3", "g4"]
    assert tar_described_as(tidyselect=False, callr_function=None) == []
    assert tar_manifest(green, fields="name", callr_function=None)["name"].to_list() == ["g4", "g2", "g3"]
    assert outdated(tar_described_as(callr_function=None)) == []


def test_deps():
    def clean(data, k=2):
        import math

        local = [math.floor(value) for value in data]
        return helper(local) * k

    assert tar_deps("x = y + z(w, lambda q: q + r)") == ["r", "w", "y", "z"]
    assert tar_deps("np.sum(x)") == ["np", "x"]
    assert tar_deps("len(range(3))") == []
    assert tar_deps(clean) == ["helper"]
    assert tar_deps(clean, command=True) == ["data", "helper", "k"]
    with pytest.raises(TarValidateError, match="cannot parse"):
        tar_deps("x +")


def helper(value):
    return value
