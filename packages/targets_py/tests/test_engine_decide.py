"""What makes a target run again: the decision table."""

from __future__ import annotations

import os

import pytest

from targets_py import TarValidateError, tar_cue
from targets_py.engine.decide import Fingerprint, Rule, all_cues, decide
from targets_py.storage.records import Record

SCRIPT = """
tar_option_set(seed={seed}, error="continue")
K = {k}
{extra}
def inner(v):
    return v + K

def helper(v):
    return {helper}

pipeline = [
    tar_target("up", lambda: {up}),
    tar_target("x", {command}, cue=tar_cue({cue}), format={format!r}, iteration={iteration!r}{settings}),
]
"""
BASE = {
    "seed": 0, "k": 2, "extra": "", "helper": "inner(v)", "up": "1", "cue": "", "format": "pickle",
    "iteration": "vector", "settings": "", "command": "lambda up: helper(up) * 0 + 7",
}  # fmt: skip
CUES = {
    "default": "",
    "never": "mode='never'",
    "always": "mode='always'",
    **{name: f"{name}=False" for name in ("command", "depend", "format", "iteration", "file", "seed")},
}
# Change -> what each cue makes of it, in the order of CUES: r reruns, . skips.
TABLE = {
    "nothing": "..r......",
    "command code": "r.r.rrrrr",
    "comments and layout": "..r......",
    "function it calls": "r.rr.rrrr",
    "constant two calls away": "r.rr.rrrr",
    "upstream value": "r.rr.rrrr",
    "upstream command, equal value": "..r......",
    "unused global": "..r......",
    "format": "r.rrr.rrr",
    "iteration": "r.rrrr.rr",
    "seed": "r.rrrrrr.",
    "no seed": "r.rrrrrr.",
    "file deleted": "r.rrrrr.r",
    "file edited": "r.rrrrr.r",
    "file touched": "..r......",
    "other settings": "..r......",
    "last run errored": "rrrrrrrrr",
    "became a pattern": "rrrrrrrrr",
}
CHANGES = {
    "command code": {"command": "lambda up: helper(up) * 0 + 8"},
    "comments and layout": {"command": "lambda up: (  # why\n        helper(up) * 0 +\n        7\n    )"},
    "function it calls": {"helper": "inner(v) + 0"},
    "constant two calls away": {"k": 3},
    "upstream value": {"up": "2"},
    "upstream command, equal value": {"up": "3 - 2"},
    "unused global": {"extra": "unused = 5"},
    "format": {"format": "json"},
    "iteration": {"iteration": "list"},
    "seed": {"seed": 1},
    "no seed": {"seed": None},
    "other settings": {
        "settings": ", packages=['math'], library=['lib'], memory='persistent', error='null', "
        "deployment='main', storage='main', retrieval='main', priority=1, description='d', "
        "garbage_collection=True, resources=tar_resources(crew=tar_resources_crew(seconds_timeout=9))"
    },
    "became a pattern": {"settings": ", pattern=map('up')"},
}


@pytest.mark.parametrize("cue", CUES)
@pytest.mark.parametrize("change", TABLE)
def test_a_change_reruns_what_the_table_says(project, change, cue):
    first = BASE | {"cue": CUES[cue]}
    if change == "last run errored":
        first["command"] = "lambda up: 1 / 0"
    project.make(SCRIPT.format(**first))
    stored = project.store.objects / "x"
    if change == "file deleted":
        stored.unlink()
    elif change == "file edited":
        stored.write_bytes(b"something else")
    elif change == "file touched":
        os.utime(stored, ns=(1, 1))

    made = project.make(SCRIPT.format(**(first | CHANGES.get(change, {}))))

    names = [name for name in made.ran if name == "x" or name.startswith("x_")]
    assert bool(names) == (TABLE[change][list(CUES).index(cue)] == "r")


def test_a_pattern_that_becomes_a_stem_runs(project):
    script = "pipeline = [tar_target('a', lambda: [1, 2]), tar_target('x', lambda a: a{})]"
    project.make(script.format(", pattern=map('a'), cue=tar_cue('never')"))

    made = project.make(script.format(", cue=tar_cue('never')"))

    assert made.ran == ["x"]
    assert project.value("x") == [1, 2]


def test_a_changed_pattern_expression_runs_only_new_branches(project):
    script = "pipeline = [tar_target('a', lambda: [1, 2, 3]), tar_target('x', lambda a: a, pattern={})]"
    project.make(script.format("head('a', n=2)"))

    made = project.make(script.format("map('a')"))

    assert made.ran_of("x") == 1
    assert project.values("x") == [1, 2, 3]


def test_a_touched_file_is_recorded_with_its_new_time(project):
    project.make("pipeline = [tar_target('x', lambda: 1)]")
    os.utime(project.store.objects / "x", ns=(10**18, 10**18))

    made = project.make()

    assert made.ran == []
    assert project.records["x"].time == 10**18


def test_early_cutoff_holds_through_levels(project):
    script = """
        pipeline = [
            tar_target("a", lambda: {}),
            tar_target("b", lambda a: a > 0),
            tar_target("c", lambda b: not b),
            tar_target("d", lambda c: c),
        ]
    """
    project.make(script.format(1))

    assert project.make(script.format(2)).ran == ["a", "b"]


def test_a_removed_target_that_comes_back_unchanged_skips(project):
    script = "pipeline = [tar_target('a', lambda: 1), tar_target('b', lambda a: a)]"
    project.make(script)
    project.make("pipeline = [tar_target('a', lambda: 1)]")

    assert project.make(script).ran == []


def test_a_global_that_becomes_a_target_runs_once(project):
    project.make("a = 1\npipeline = [tar_target('b', lambda: a)]")
    script = "pipeline = [tar_target('a', lambda: 1)]"

    assert project.make(script).ran == ["a"]
    assert project.make(script).ran == []


def test_format_auto_matches_what_it_became(project):
    (project.folder / "f.txt").write_text("x")
    script = "pipeline = [tar_target('a', lambda: {!r}, format='auto')]"
    project.make(script.format("f.txt"))

    assert project.records["a"].format == "file"
    assert project.make().ran == []


def test_without_seed_targets_run_each_time_unless_the_cue_says_not(project):
    script = "tar_option_set(seed=None)\npipeline = [tar_target('a', lambda: 1, cue=tar_cue(seed={}))]"
    project.make(script.format(True))

    assert project.make(script.format(True)).ran == ["a"]
    assert project.make(script.format(False)).ran == []


NOW = Fingerprint("stem", "c", "d", "pickle", "local", "vector", 1)
RECORD = Record(
    "x",
    "stem",
    data="v",
    command="c",
    depend="d",
    seed=1,
    format="pickle",
    repository="local",
    iteration="vector",
)


def with_(**changes):
    return Record(**({name: getattr(RECORD, name) for name in Record.__slots__} | changes))


@pytest.mark.parametrize(
    ("record", "cue", "rule"),
    [
        (None, tar_cue(mode="never"), Rule.RECORD),
        (with_(type="object"), tar_cue(), Rule.RECORD),
        (with_(error="bad", type="branch"), tar_cue(), Rule.ERROR),
        (with_(type="branch"), tar_cue(mode="always"), Rule.KIND),
        (with_(command="z"), tar_cue(mode="always"), Rule.ALWAYS),
        (with_(command="z"), tar_cue(mode="never"), Rule.NEVER),
        (with_(command="z", depend="z"), tar_cue(), Rule.COMMAND),
        (with_(depend="z", format="z"), tar_cue(), Rule.DEPEND),
        (with_(format="z", repository="z"), tar_cue(), Rule.FORMAT),
        (with_(repository="z", iteration="z"), tar_cue(), Rule.REPOSITORY),
        (with_(iteration="z", seed=2), tar_cue(), Rule.ITERATION),
        (with_(seed=2), tar_cue(), Rule.SEED),
        (RECORD, tar_cue(), Rule.CURRENT),
    ],
)
def test_the_first_rule_that_applies_decides(record, cue, rule):
    assert decide(NOW, record, cue, lambda record: record).rule is rule


def test_the_file_is_looked_at_last():
    looked = []

    def check(record):
        looked.append(record.name)

    assert decide(NOW, with_(seed=2), tar_cue(), check).rule is Rule.SEED
    assert looked == []
    assert decide(NOW, RECORD, tar_cue(), check).rule is Rule.FILE
    assert looked == ["x"]


def test_cues_are_null_without_a_usable_record():
    cues = all_cues(NOW, None, tar_cue(mode="always"), lambda record: record)

    assert cues == {"meta": True, "always": True, "never": False} | dict.fromkeys(
        ("command", "depend", "format", "repository", "iteration", "file", "seed")
    )


def test_a_cue_that_is_off_is_false():
    cues = all_cues(NOW, with_(command="z", seed=5), tar_cue(command=False), lambda record: record)

    assert (cues["command"], cues["seed"], cues["file"]) == (False, True, False)


def test_a_check_that_fails_makes_the_target_fail(project, monkeypatch):
    project.make("pipeline = [tar_target(name, lambda: 1, error='continue') for name in 'ab']")

    def broken(self, record, trust=None):
        if record.name == "a":
            raise OSError("no such bucket")
        return record

    monkeypatch.setattr(type(project.store), "check", broken)
    made = project.make()

    assert made.reporter.messages == {"a": "could not check target a. no such bucket"}
    assert made.progress == {"a": "errored", "b": "skipped"}


@pytest.mark.parametrize("arguments", [{"mode": "sometimes"}, {"command": 1}, {"seed": None}])
def test_illegal_cues_are_refused(arguments):
    with pytest.raises(TarValidateError, match="cue"):
        tar_cue(**arguments)
