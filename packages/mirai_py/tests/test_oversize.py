import functools
import warnings

import pytest

from mirai_py import mirai, once

LARGE = 11_000_000


@pytest.fixture
def quiet():
    """Nothing may warn inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_a_function_that_drags_much_along_is_told_once_with_what_it_is(one):
    def closing_over(table, small):
        return lambda: len(table) + small

    with pytest.warns(UserWarning, match=r"takes 11.0 MB to send; most of it is 'table' \(11.0 MB\)"):
        first = mirai(closing_over(bytes(LARGE), 1), _compute=one)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = mirai(closing_over(bytes(LARGE), 2), _compute=one)
    assert (first.collect(), second.collect()) == (LARGE + 1, LARGE + 2)


def test_globals_defaults_and_attributes_are_looked_at(one):
    script = {"__name__": "__main__", "data": bytes(LARGE)}
    exec("def f(): return len(data)\ndef g(x=data): return len(x)", script)
    with pytest.warns(UserWarning, match="most of it is 'data'"):
        assert mirai(script["f"], _compute=one).collect() == LARGE
    with pytest.warns(UserWarning, match="most of it is 'a default value'"):
        assert mirai(script["g"], _compute=one).collect() == LARGE
    with pytest.warns(UserWarning, match="takes 11.0 MB to send"):
        assert mirai(functools.partial(len, bytes(LARGE)), _compute=one).collect() == LARGE


def test_arguments_and_once_are_as_large_as_they_like(one, quiet):
    assert mirai(len, bytes(LARGE), _compute=one).collect() == LARGE
    assert mirai(len, once(bytes(LARGE)), _compute=one).collect() == LARGE
