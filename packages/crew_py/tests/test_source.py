import traceback

import pytest

from crew_py.source import run_source


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("x + 1", 3),
        ("y = x\ny * 10", 20),
        ("y = x", None),
        ("", None),
        ("[x * i for i in range(2)]", [0, 2]),
        ("def f():\n    return x\n[f() for _ in range(2)]", [2, 2]),
        ("import math; math.floor(x / 2)", 1),
    ],
)
def test_the_value_is_that_of_the_last_expression(source, value):
    assert run_source(source, {"x": 2}) == value


def test_a_traceback_shows_the_line():
    with pytest.raises(ZeroDivisionError) as caught:
        run_source("x = 0\n1 / x", {})
    assert "1 / x" in "".join(traceback.format_exception(caught.value))


def test_source_that_is_not_python_is_a_syntax_error():
    with pytest.raises(SyntaxError):
        run_source("x +", {})
