import sys

import pytest

import mirai_py
from mirai_py import progress


def test_without_rich_it_is_plain_text_on_stderr(two, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    found = mirai_py.mirai_map(range(3), abs, _compute=two).collect(progress="squares")
    assert found == [0, 1, 2]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.split("\r")[1] == "squares [ 0 / 3 ... ]"
    assert err.endswith("squares [ 3 / 3 ... ]\n")


def test_with_rich_it_is_a_bar_on_stderr(two, capsys):
    pytest.importorskip("rich")
    mirai_py.mirai_map(range(3), abs, _compute=two).collect(progress={"name": "squares"})
    out, err = capsys.readouterr()
    assert out == ""
    assert "squares" in err
    assert "3/3" in err


def test_nothing_is_shown_unless_it_is_wanted(capsys):
    with progress.progress_bar(3, wanted=False) as advance:
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_a_map_of_nothing_has_a_bar_too(two, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    assert mirai_py.mirai_map([], abs, _compute=two).collect(progress=True) == []
    assert "[ 0 / 0 ... ]" in capsys.readouterr().err
