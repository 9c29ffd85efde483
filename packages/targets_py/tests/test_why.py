import pytest

from targets_py import TarValidateError, tar_invalidate, tar_why

SCRIPT = """
factor = 2

def clean(value):
    return value * factor

def summarize(value):
    return clean(value) + 1

pipeline = [
    tar_target("data", 3),
    tar_target("report", lambda data: summarize(data)),
    tar_target("xs", [1, 2]),
    tar_target("branch", lambda xs: clean(xs), pattern=map("xs")),
    tar_target("end", lambda report: report),
]
"""


def why(name):
    return tar_why(name, callr_function=None)


def test_nothing_changed(project):
    project.make(SCRIPT)
    assert why("report") == "report is up to date."
    assert why("branch") == "branch is up to date."


def test_never_built_or_forgotten(project):
    project.script(SCRIPT)
    assert why("data") == "It was never built, or what was recorded of it was forgotten."
    project.make()
    tar_invalidate("data")
    assert why("data").startswith("It was never built")


def test_the_command_changed(project):
    project.make(SCRIPT)
    project.script(SCRIPT.replace('"data", 3', '"data", 4'))
    assert why("data") == "Its command changed."
    assert why("report") == "What it needs is outdated too, and would run before: data."


def test_a_helper_of_a_function_changed(project):
    project.make(SCRIPT)
    project.script(SCRIPT.replace("value * factor", "value / factor"))
    assert why("report") == "What it depends on changed (changed: summarize (because of clean))."
    text = why("branch")
    assert text.startswith("branch: 2 of 2 branches that can be told now would run.\n\nbranch_")
    assert text.count("What it depends on changed (changed: clean).") == 2


def test_a_constant_behind_two_functions_changed(project):
    project.make(SCRIPT)
    project.script(SCRIPT.replace("factor = 2", "factor = 3"))
    assert why("report") == "What it depends on changed (changed: summarize (because of factor))."


def test_an_upstream_value_changed(project):
    project.make(SCRIPT)
    project.make(SCRIPT.replace('"data", 3', '"data", 4'), "data")
    assert why("report") == "What it depends on changed (changed: data)."


def test_a_dependency_came_and_one_went(project):
    project.make(SCRIPT)
    project.script(SCRIPT.replace("lambda data: summarize(data)", "lambda xs: clean(xs)"))
    text = why("report")
    assert "Its command changed." in text
    assert "new: clean, xs; gone: data, summarize" in text


def test_other_cues(project):
    project.make(SCRIPT)
    (project.store.objects / "data").unlink()
    changed = SCRIPT.replace('"data", 3', '"data", 3, format="json", iteration="list", cue=tar_cue("always")')
    project.script("tar_option_set(seed=1)\n" + changed)
    assert why("data").split("\n\n") == [
        'Its cue says "always".',
        "Its format changed: it was pickle.",
        "Its iteration changed: it was vector.",
        "Its stored file is gone or was altered.",
        "Its seed changed.",
    ]


def test_the_last_run_failed(project):
    project.make('pipeline = [tar_target("x", lambda: 1 / 0, error="continue")]')
    assert why("x") == "Its last run failed: division by zero"


def test_a_branch(project):
    project.make(SCRIPT)
    branch = project.records["branch"].children[0]
    assert why(branch) == f"{branch} is up to date."
    project.script(SCRIPT.replace("[1, 2]", "[5, 2]"))
    project.make(None, "xs")
    with pytest.raises(TarValidateError, match=f"{branch} is no branch of branch any more"):
        why(branch)


def test_without_what_explains_it_the_cue_is_named(project):
    project.make(SCRIPT)
    project.store.depends_file.unlink()
    project.script(SCRIPT.replace("factor = 2", "factor = 3"))
    assert why("report") == "Something it depends on changed."


def test_many_branches_are_cut_short(project):
    text = """
    k = 1
    pipeline = [
        tar_target("xs", list(range(8))), tar_target("b", lambda xs: xs + k, pattern=map("xs"))
    ]
    """
    project.make(text)
    project.script(text.replace("k = 1", "k = 2"))
    assert why("b").endswith("... and 3 more.")


def test_unknown_names(project):
    project.script(SCRIPT)
    with pytest.raises(TarValidateError, match=r'reprot is no target of the script\. Did you mean "report"'):
        why("reprot")
