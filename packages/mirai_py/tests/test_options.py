import inspect

import pytest

import mirai_py
from mirai_py.options import OPTIONS, check_options


def test_options_are_those_of_daemon():
    names = set(inspect.signature(mirai_py.daemon).parameters) - {"url", "dispatcher"}
    assert set(OPTIONS) == names


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"asyncdial": 1}, TypeError),
        ({"cleanup": None}, TypeError),
        ({"autoexit": 2}, TypeError),
        ({"output": 5}, TypeError),
        ({"walltime": -1}, ValueError),
        ({"maxtasks": float("nan")}, ValueError),
        ({"timerstart": 0.5}, ValueError),
        ({"tlscert": 5}, TypeError),
    ],
)
def test_bad_options_are_named(options, error):
    with pytest.raises(error, match=f"`{next(iter(options))}`"):
        check_options(options)
    with pytest.raises(error):
        mirai_py.daemon("inproc://nowhere", **options)
