"""Reading `_targets.py`."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pytest

from targets_py import TarValidateError, TarValidateWarning, tar_option_get
from targets_py.script import open_script


def read(project, text, header="from targets_py import *\n", **options):
    project.script(text, header)
    with open_script("_targets.py", **options) as pipeline:
        return pipeline


def test_any_nesting_of_targets(project):
    pipeline = read(
        project,
        """
        a, b, c, d = (tar_target(name, 1) for name in "abcd")
        pipeline = [a, None, (b, {"k": [c], "l": None}), [[d]]]
        """,
    )

    assert list(pipeline.targets) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", 'must define a list called "pipeline"'),
        (
            "pipeline = [tar_target('a', 1), {'k': ['text']}]",
            r"pipeline\[1\]\['k'\]\[0\] must be a target, not str",
        ),
        ("pipeline = 5", "pipeline must be a target, not int 5"),
        (
            "pipeline = [tar_target('a', 1), [tar_target('a', 2)]]",
            r"duplicate target names: a \(pipeline\[0\] and",
        ),
        ("pipeline = [tar_target('a')]", "target a has no command"),
        ("pipeline = [\n1 +]", r"_targets.py, line 3: .*"),
        ("\nx = 1 / 0", r"_targets.py, line 3: ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError('k')\nf()", r"_targets.py, line 3: KeyError: 'k'"),
        ("pipeline = [tar_target('1a', 1)]", r"_targets.py, line 2: '1a' cannot be the name of a target"),
        ("tar_option_set(error='no')", r"_targets.py, line 2: option error must be one of"),
        ("raise SystemExit(3)", r"_targets.py, line 2: the script exits with 3"),
        ("import no_such_module", r"line 2: ModuleNotFoundError"),
        ("tar_make()", r"line 2: infinite recursion: the script must not call tar_make"),
        ("def f():\n    targets_py.tar_outdated()", "line 3: infinite recursion"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(project, text, message):
    with pytest.raises(TarValidateError, match=message):
        read(project, text)
    assert not project.store.exists()


def test_a_package_that_an_extra_brings_is_named_with_it(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "crew_py", None)
    with pytest.raises(TarValidateError, match=r"line 2: ModuleNotFoundError: .*targets-py\[crew\]"):
        read(project, "from crew_py import crew_controller_local")


def test_runners_under_a_main_guard_or_in_text_are_fine(project):
    pipeline = read(
        project,
        """
        # tar_make()
        text = "tar_make()"
        pipeline = []
        if __name__ == "__main__":
            tar_make()
        """,
    )

    assert pipeline.targets == {}


def test_a_missing_script(project):
    with (
        pytest.raises(TarValidateError, match=r"could not find file .*_targets.py.*tar_script"),
        open_script("_targets.py"),
    ):
        pass


def test_the_source_is_decoded_by_its_coding_line(project):
    text = (
        "# -*- coding: latin-1 -*-\nfrom targets_py import *\npipeline = [tar_target('a', 'ä' and \"'ä'\")]\n"
    )
    (project.folder / "_targets.py").write_bytes(text.encode("latin-1"))

    with open_script("_targets.py") as pipeline:
        assert pipeline.targets["a"].command.value == "'ä'"


def test_undecodable_source(project):
    (project.folder / "_targets.py").write_bytes(b"x = '\xff\xfe'\n")

    with pytest.raises(TarValidateError, match="cannot read"), open_script("_targets.py"):
        pass


def test_the_process_is_left_as_it_was(project):
    (project.folder / "helper_of_script.py").write_text("value = 1\n")
    search = list(sys.path)

    pipeline = read(project, "import helper_of_script\ntar_option_set(seed=9)\npipeline = []")

    assert pipeline.options.seed == 9
    assert tar_option_get("seed") == 0
    assert sys.path == search
    assert "_targets" not in sys.modules
    assert "helper_of_script" not in sys.modules


def test_the_process_is_left_as_it_was_after_an_error(project):
    search = list(sys.path)

    with pytest.raises(TarValidateError):
        read(project, "tar_option_set(seed=9)\n1 / 0")

    assert (tar_option_get("seed"), sys.path, "_targets" in sys.modules) == (0, search, False)


def test_names_are_given_to_the_script(project):
    pipeline = read(project, "pipeline = [tar_target('a', given)]", envir={"given": 5})

    assert pipeline.targets["a"].command.value == 5
    assert pipeline.given == {"given": 5}


def test_modules_of_the_project_are_read_once(project):
    package = project.folder / "tools"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text("x = 1\n")

    pipeline = read(project, "import json, tools.deep\npipeline = []")

    assert sorted(pipeline.modules) == ["tools", "tools.deep"]
    assert pipeline.modules["tools.deep"].text == "x = 1\n"
    assert pipeline.modules["tools"].package


def test_names_that_may_be_mixed_up_give_warnings(project, monkeypatch):
    with pytest.warns(TarValidateWarning, match="targets a and A differ in case only"):
        read(project, "pipeline = [tar_target('a', 1), tar_target('A', 1)]")
    script = "x = 1\npipeline = [tar_target('x', 2)]"
    with pytest.warns(TarValidateWarning, match="x is both a target and a global"):
        read(project, script)
    monkeypatch.setenv("TAR_WARN", "false")
    read(project, script)


def test_names_that_mean_the_same_give_none(project):
    read(
        project,
        """
        def clean():
            return 1

        @tar_target
        def decorated():
            return 1

        pipeline = [tar_target("clean", clean), decorated, tar_target("sample", 1)]
        """,
    )


def test_sourced_files_are_code_of_the_script(project, capfd):
    folder = project.folder / "functions"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.py").write_text("order.append('b')\n")
    (folder / "a.py").write_text("def helper():\n    return 1\n\n\norder.append('a')\n")
    (folder / "sub" / "c.py").write_text("import os\norder.append(os.path.basename(os.getcwd()))\n")
    (folder / "note.txt").write_text("no code")
    script = """
        order = []
        tar_source()
        tar_source(["functions/sub/c.py", "missing", "functions/note.txt"], change_directory=True)
        pipeline = [tar_target("x", lambda: helper())]
    """
    pipeline = read(project, script)

    assert pipeline.namespace["order"] == ["a", "b", project.folder.name, "sub"]
    assert Path.cwd() == project.folder
    notes = capfd.readouterr().err.splitlines()
    assert [("missing" in notes[0]), ("note.txt" in notes[1]), len(notes)] == [True, True, 2]

    project.make()
    (folder / "a.py").write_text("# moved\n\ndef helper():\n    return 1\norder.append('a')\n")
    assert project.make().ran == []
    (folder / "a.py").write_text("def helper():\n    return 2\norder.append('a')\n")
    assert project.make().ran == ["x"]
    capfd.readouterr()


def test_tracebacks_show_the_lines_of_the_script(project):
    project.script("def fail():\n    raise ValueError('here')  # the line\npipeline = []")
    with open_script("_targets.py") as pipeline:
        try:
            pipeline.namespace["fail"]()
        except ValueError:
            assert "# the line" in traceback.format_exc()


def test_two_scripts_with_functions_of_one_name_do_not_meet(project):
    project.make("def f():\n    return 1\npipeline = [tar_target('x', lambda: f())]")
    project.make("def f():\n    return 2\npipeline = [tar_target('x', lambda: f())]")

    assert project.value("x") == 2
