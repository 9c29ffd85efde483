import pytest

from targets_py import TarRunError, TarValidateError, tar_make_interactive


def test_values_are_assigned_and_nothing_is_written(project, capsys):
    variables = {"factor": 3}
    for _ in range(2):  # what was assigned is no obstacle
        tar_make_interactive(
            """
            def scale(value):
                return value * factor

            [
                tar_target("x", [1, 2]),
                tar_target("y", lambda x: scale(x), pattern=map("x")),
            ]
            """,
            envir=variables,
        )
    assert variables == {"factor": 3, "x": [1, 2], "y": [3, 6]}
    assert list(project.folder.iterdir()) == []
    assert tuple(capsys.readouterr()) == ("", "")


def test_a_list_called_pipeline_comes_first():
    variables = {}
    tar_make_interactive('pipeline = [tar_target("x", 1)]\n5', envir=variables)
    assert variables == {"x": 1}


def test_nothing_and_mistakes():
    tar_make_interactive("", envir={})
    with pytest.raises(TarValidateError, match=r"tar_make_interactive\(\), line 2: "):
        tar_make_interactive("x = 1\nx +", envir={})
    with pytest.raises(TarRunError, match=r"Error in tar_make_interactive\(\):\n  division by zero"):
        tar_make_interactive('tar_target("x", lambda: 1 / 0)', envir={})
    with pytest.raises(TarValidateError, match="give envir="):
        tar_make_interactive("[]")
