"""Running pipelines: where, with what output, and how failures reach the caller."""

import contextlib
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import targets_py
from targets_py import (
    TarRunError,
    TarRunWarning,
    TarValidateError,
    any_of,
    callr_r,
    callr_r_bg,
    starts_with,
    tar_make,
    tar_meta,
    tar_objects,
    tar_outdated,
    tar_progress,
    tar_read,
)

FAILING = """
def fail(x):
    raise ValueError(f"bad {x}")

pipeline = [
    tar_target("x", 1),
    tar_target("y", lambda x: fail(x)),
    tar_target("z", lambda y: y),
]
"""


def make(*args, **options):
    tar_make(*args, **{"callr_function": None, "reporter": "silent", **options})


def test_named_targets_and_what_they_need(project):
    project.script("""
    pipeline = [
        tar_target("y1", 1), tar_target("y2", lambda y1: y1 + 1), tar_target("z", lambda y1, y2: y1 + y2)
    ]
    """)
    make(starts_with("y"))
    assert tar_objects() == ["y1", "y2"]
    make("z")
    assert tar_read("z") == 3


def test_names_in_the_child_may_be_selected_by_a_function(project):
    project.script('pipeline = [tar_target("y1", 1), tar_target("z", 2)]')
    make(lambda name: name.endswith("1"), callr_function=callr_r)
    assert tar_objects() == ["y1"]


def test_an_unknown_name_is_refused_before_anything_is_written(project):
    project.script('pipeline = [tar_target("data", 1)]')
    with pytest.raises(
        TarValidateError, match=r"Error in tar_make\(\):\n  unknown name 'dta'. Did you mean 'data'"
    ):
        make("dta")
    assert not project.store.exists()


def test_nothing_selected_is_nothing(project, capsys):
    project.script('pipeline = [tar_target("x", 1)]')
    make(any_of("nope"), reporter="terse")
    assert capsys.readouterr().err.startswith("! empty pipeline [")
    assert tar_objects() == []


def test_an_empty_pipeline_has_nothing_to_choose_from(project, capsys):
    project.script("pipeline = []")
    make("x")
    assert tuple(capsys.readouterr()) == ("", "")


def test_the_second_run_skips(project, capsys):
    project.script('pipeline = [tar_target("x", 1), tar_target("y", lambda x: x)]')
    make()
    make(reporter="terse")
    assert " skipped pipeline [" in capsys.readouterr().err
    assert set(tar_progress()["progress"]) == {"skipped"}


@pytest.mark.parametrize("where", [callr_r, None, callr_r_bg])
def test_a_failure_is_the_same_wherever_it_happens(project, where, capfd):
    project.script(FAILING)

    def run():
        process = tar_make(callr_function=where, reporter="silent", seconds_meta_append=9999)
        with process:
            process.get_result()

    with pytest.raises(TarRunError) as caught:
        run()
    error = caught.value
    assert str(error).startswith("Error in tar_make():\n  bad 1\n  See `targets errors")
    assert error.target == "y"
    assert error.condition_class[:2] == ("ValueError", "Exception")
    assert repr(error.original) == "ValueError('bad 1')"
    assert error.traceback.splitlines()[-1] == "ValueError: bad 1"
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert tuple(capfd.readouterr()) == ("", "")
    # What was done before is on disk, whatever seconds_meta_append.
    assert dict(tar_progress().iter_rows()) == {"x": "completed", "y": "errored"}
    assert tar_outdated(callr_function=None) == ["y", "z"]
    assert tar_meta("y")["error"].to_list() == ["bad 1"]


def test_after_a_failure_what_was_built_is_skipped(project, capsys):
    project.script(FAILING)
    for _ in range(2):
        with pytest.raises(TarRunError):
            make(reporter="terse")
    assert capsys.readouterr().err.splitlines()[-1].endswith("0 completed, 1 skipped]")


def test_a_warning_tells_of_errors_that_did_not_stop_the_run(project):
    project.script('tar_option_set(error="continue")\n' + FAILING)
    make()  # silent
    with pytest.warns(TarRunWarning, match="2 targets produced errors") as caught:
        make(reporter="terse")
    assert caught[0].filename == __file__


def test_one_failure_is_one_target(project):
    project.script('pipeline = [tar_target("x", lambda: 1 / 0, error="continue")]')
    with pytest.warns(TarRunWarning, match=r'^1 target produced errors: see tar_meta\(fields="error"'):
        make(reporter="terse")


@pytest.mark.parametrize("where", [callr_r, None])
def test_script_and_store_elsewhere(project, where):
    Path("example").mkdir()
    Path("example/script.py").write_text(
        "from targets_py import *\n"
        "seen = (tar_path_script(), tar_path_store(), tar_call(), tar_active())\n"
        'pipeline = [tar_target("x", lambda: (seen, tar_path_script(), tar_path_store(), tar_active()))]\n'
    )
    tar_make(callr_function=where, reporter="silent", script="example/script.py", store="example/store")
    paths = ("example/script.py", "example/store")
    assert tar_read("x", store="example/store") == ((*paths, "tar_make", True), *paths, True)
    assert sorted(path.name for path in Path().iterdir()) == ["example"]


@pytest.mark.parametrize("text", [FAILING, 'pipeline = [tar_target("x", 1)]', "raise ValueError(1)"])
def test_the_session_is_afterwards_as_it_was(project, text, monkeypatch):
    Path("helper.py").write_text("value = 1\n")
    project.script("import helper\ntar_option_set(seed=5)\n" + text)
    monkeypatch.setenv("TAR_ACTIVE", "no")
    modules, search, options = dict(sys.modules), list(sys.path), targets_py.tar_option_export()
    with contextlib.suppress(targets_py.TarError):
        make()
    assert os.environ["TAR_ACTIVE"] == "no"
    assert "_targets" not in sys.modules
    assert "helper" not in sys.modules
    assert set(sys.modules) >= set(modules)
    assert sys.path == search
    assert targets_py.tar_option_export() == options
    assert targets_py.tar_call() is None


def test_functions_of_one_name_in_two_projects_do_not_meet(project):
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "script.py").write_text(
            f'from targets_py import *\ndef f(): return "{name}"\npipeline = [tar_target("x", lambda: f())]\n'
        )
        make(script=f"{name}/script.py", store=f"{name}/store")
    assert [tar_read("x", store=f"{name}/store") for name in ("a", "b")] == ["a", "b"]


def test_settings_of_the_project_are_defaults(project, capsys):
    targets_py.tar_config_set(store="st", script="s.py", reporter_make="verbose")
    Path("s.py").write_text('from targets_py import *\npipeline = [tar_target("x", 1)]\n')
    tar_make(callr_function=None)
    assert "completed target x" in capsys.readouterr().err
    assert Path("st/objects/x").exists()


def test_shortcut(project):
    project.script('pipeline = [tar_target("x", 1), tar_target("y", lambda x: x + 1)]')
    with pytest.raises(TarValidateError, match="cannot bootstrap target x"):
        make("y", shortcut=True)
    make()
    project.script('pipeline = [tar_target("x", 10), tar_target("y", lambda x: x + 2)]')
    make("y", shortcut=True)
    assert tar_read("y") == 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"reporter": "loud"}, "unknown reporter 'loud'"),
        ({"seconds_meta_append": -1}, "seconds_meta_append must be a number"),
        ({"seconds_meta_upload": "often"}, "seconds_meta_upload must be a number"),
        ({"script": "nowhere.py"}, r"could not find file .*nowhere.py.*tar_script\(\)"),
    ],
)
def test_bad_arguments(project, options, text):
    project.script("pipeline = []")
    with pytest.raises(TarValidateError, match=text):
        make(**options)
    assert not project.store.exists()


def test_names_of_arguments_are_checked(project):
    project.script("pipeline = []")
    with pytest.raises(TypeError, match="garbage_collection"):
        tar_make(garbage_collection=True)
    with pytest.raises(TypeError, match="unknown callr_arguments shw"):
        tar_make(callr_arguments={"shw": True})


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ('pipeline = [tar_target("x", 1), tar_target("x", 2)]', "duplicate target names: x"),
        (
            'pipeline = [tar_target("a", lambda b: b), tar_target("b", lambda a: a)]',
            "cycle: (a -> b -> a|b -> a -> b)",
        ),
        ('pipeline = [tar_target("report", lambda dta: 1), tar_target("data", 1)]', 'report needs "dta"'),
        (
            'pipeline = [tar_target("y", lambda x: x, pattern=map("x"))]',
            "branches over 'x', which is no target",
        ),
        ("pipeline = [\n", "_targets.py, line 2"),
        ("tar_make()\npipeline = []", "infinite recursion"),
    ],
)
@pytest.mark.parametrize("where", [callr_r, None])
def test_a_wrong_script_is_one_clear_error_and_leaves_the_store_as_it_was(project, script, text, where):
    project.script(script)
    with pytest.raises(TarValidateError, match=text) as caught:
        tar_make(callr_function=where, reporter="silent")
    assert str(caught.value).startswith("Error in tar_make():\n  ")
    assert not project.store.exists()


def test_the_word_of_a_runner_in_a_comment_does_not_count(project):
    project.script("""
    # tar_make()
    text = "tar_make()"
    pipeline = [tar_target("x", 1)]
    if __name__ == "__main__":
        tar_make()
    """)
    make()
    assert tar_objects() == ["x"]


def test_a_value_that_does_not_pickle_is_the_error_of_its_target(project):
    project.script('pipeline = [tar_target("x", lambda: (item for item in []))]')
    with pytest.raises(TarRunError, match="Error storing output") as caught:
        make()
    assert caught.value.target == "x"


def test_output_of_targets_is_shown(project, capfd):
    project.script('pipeline = [tar_target("x", lambda: print("hello"))]')
    tar_make(reporter="terse")
    out, err = capfd.readouterr()
    assert out == "hello\n"
    assert "✔ x completed" in err


def test_a_name_handed_in(project):
    project.script('pipeline = [tar_target("x", lambda: number)]')
    make(envir={"number": 5})
    assert tar_read("x") == 5


def test_a_function_of_ones_own_may_run_the_pipeline(project):
    project.script('pipeline = [tar_target("x", 1)]')
    seen = []

    def here(func, args, *, word):
        seen.append(word)
        return func(**args)

    make(callr_function=here, callr_arguments={"word": "go"})
    assert seen == ["go"]
    assert tar_objects() == ["x"]


def test_in_the_background_as_a_job(project, capsys):
    project.script('pipeline = [tar_target("x", lambda: print("hello"))]')
    with tar_make(as_job=True, reporter="terse") as process:
        note = capsys.readouterr().err
        assert str(process.pid) in note
        assert "_targets/meta/job.log" in note
        process.get_result()
        log = Path("_targets/meta/job.log").read_text()
    assert "hello\n" in log
    assert "x completed" in log
    assert tar_objects() == ["x"]


def test_no_process_is_left_after_an_interruption_and_the_next_run_starts(project):
    os.mkfifo("started")
    project.script("""
    import time
    from pathlib import Path

    def wait():
        Path("started").write_text("x")
        time.sleep(60)

    pipeline = [tar_target("x", 1), tar_target("y", wait)]
    """)
    code = "from targets_py import tar_make\ntar_make(reporter='terse')"
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    Path("started").read_text()
    os.killpg(parent.pid, signal.SIGINT)
    _, err = parent.communicate(timeout=30)
    assert "KeyboardInterrupt" in err
    assert "interrupted pipeline" in err
    assert dict(tar_progress().iter_rows()) == {"x": "completed", "y": "dispatched"}
    project.script('pipeline = [tar_target("x", 1), tar_target("y", 2)]')
    make()
    assert dict(tar_progress().iter_rows()) == {"x": "skipped", "y": "completed"}


def test_a_command_must_not_run_another_pipeline_on_its_store_or_look_into_it(project):
    project.script("""
    def look():
        import targets_py
        return targets_py.tar_read("x")

    def look_elsewhere():
        import targets_py
        return targets_py.tar_objects(store="elsewhere")

    pipeline = [
        tar_target("x", 1),
        tar_target("a", lambda: tar_path_target()),
        tar_target("b", look_elsewhere),
        tar_target("c", look),
    ]
    """)
    with pytest.raises(TarRunError, match="target c must not look into the data store _targets of its own"):
        make()
    assert tar_read("a") == "_targets/objects/a"
    assert tar_read("b") == []


def test_functions_of_the_original_that_are_gone_name_their_successor():
    with pytest.raises(AttributeError, match="crew controller"):
        _ = targets_py.tar_make_future
    with pytest.raises(AttributeError, match="names are strings here"):
        _ = targets_py.tar_read_raw
    with pytest.raises(AttributeError, match="has no attribute 'tar_nonsense'"):
        _ = targets_py.tar_nonsense


def test_an_alias_of_old_warns(project):
    project.script('pipeline = [tar_target("x", 1)]')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make(reporter="summary")
    assert any(issubclass(warning.category, targets_py.TarDeprecateWarning) for warning in caught)
