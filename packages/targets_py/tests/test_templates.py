import sys
from pathlib import Path

import pytest

from targets_py import TarValidateError, tar_edit, tar_helper, tar_make, tar_read, tar_script, use_targets


def make():
    tar_make(callr_function=None, reporter="silent")


def test_the_example_runs(project):
    tar_script()
    make()
    assert tar_read("summary") == {"n": 8, "mean": 3.875}


def test_text_is_dedented(project):
    tar_script("""
        x = 1
        pipeline = [tar_target("y", x)]
    """)
    assert Path("_targets.py").read_text() == (
        'from targets_py import *\n\nx = 1\npipeline = [tar_target("y", x)]\n'
    )
    tar_script("pipeline = []", library_targets=False, script="sub/s.py")
    assert Path("sub/s.py").read_text() == "pipeline = []\n"


def test_the_body_of_a_function(project):
    def script():
        # A comment stays.
        def double(value):
            return value * 2

        return [
            tar_target("x", lambda: double(2)),  # noqa: F821 - so does this one
        ]

    def short(): return []  # fmt: skip

    tar_script(script)
    text = Path("_targets.py").read_text()
    assert text.startswith(
        "from targets_py import *\n\n# A comment stays.\ndef double(value):\n    return value * 2\n"
    )
    assert "\npipeline = [\n" in text
    make()
    assert tar_read("x") == 4
    tar_script(short)
    assert Path("_targets.py").read_text() == "from targets_py import *\n\npipeline = []\n"


def test_a_function_without_source(project):
    with pytest.raises(TarValidateError, match=r"the source of .* cannot be found"):
        tar_script(len)


@pytest.mark.parametrize(("answer", "text"), [("no", "old"), ("yes", "pipeline = []\n")])
def test_an_existing_script_is_replaced_only_if_wanted(project, monkeypatch, answer, text):
    Path("_targets.py").write_text("old")
    monkeypatch.setattr("builtins.input", lambda question: answer)
    tar_script("pipeline = []", library_targets=False, ask=True)
    assert Path("_targets.py").read_text() == text


def test_helpers(project):
    tar_helper("functions/deep/f.py", "  def f(): return 1")
    assert Path("functions/deep/f.py").read_text() == "def f(): return 1\n"


def test_the_template_runs_and_is_not_overwritten(project, capsys):
    Path("functions").mkdir()
    Path("functions/f.py").write_text("def f():\n    return 1\n")
    use_targets()
    make()
    assert tar_read("total") == 31
    Path("_targets.py").write_text("mine")
    use_targets()
    assert Path("_targets.py").read_text() == "mine"
    assert "Did not overwrite _targets.py" in capsys.readouterr().err
    use_targets(overwrite=True)
    assert "tar_option_set" in Path("_targets.py").read_text()


def test_editing(project, monkeypatch, capsys):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    tar_edit()
    assert capsys.readouterr().out == "_targets.py\n"
    editor = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('edited')"
    monkeypatch.setenv("EDITOR", f'{sys.executable} -c "{editor}"')
    use_targets("s.py", open=True)
    assert Path("s.py").read_text() == "edited"
