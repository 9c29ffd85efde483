from pathlib import Path

import pytest

from targets_py import TarValidateError, asserts, tar_target

X, Y = tar_target("x", 1), tar_target("y", 1)


def one(a, b=2):
    return a, b


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("store/meta").mkdir(parents=True)


CASES = [
    ("file", ("file",), ("store",), "store is no file"),
    ("flag", (["a", "b"], ["a", "b", "c"]), (["a", "d"], ["a"]), "must be of a"),
    ("function", (one,), (5,), "5 is no function"),
    (
        "function_arguments",
        (one, ["a", "b"]),
        (one, ["a"]),
        r"must have the parameters \['a'\], not \['a', 'b'\]",
    ),
    ("in", (1, [1, 2]), (3, [1, 2]), "3 must be of 1, 2"),
    ("not_in", (3, [1, 2]), (1, [1, 2]), "1 must not be of 1, 2"),
    ("name", ("x1",), ("_x",), "'_x' must be an identifier"),
    ("name", ("klass",), ("class",), "no keyword"),
    ("names", (["a", "b"],), (["a", "1"],), "'1' must be"),
    ("not_dir", ("file",), ("store",), "store must not be a folder"),
    ("not_dirs", (["file"],), (["file", "store"],), "store must not be"),
    ("package", ("json.decoder",), ("no_such_package.at_all",), r"no_such_package\.at_all is not installed"),
    ("path", (["file", "store"],), ("nothing",), "nothing does not exist"),
    ("store", ("store",), ("file",), "data store file not found"),
    ("target", (X,), (1,), "1 is no target"),
    ("target_list", ([X, Y],), ([X, 1],), "1 is no target"),
    ("target_list", ([],), (X,), "is no list of targets"),
    ("unique", ([1, 2],), ([1, 2, 1, 1],), "duplicates: 1$"),
    ("unique_targets", ([X, Y],), ([X, X],), "duplicates: x$"),
]


@pytest.mark.parametrize(("name", "good", "bad", "text"), CASES)
def test_what_is_accepted_and_what_is_refused(name, good, bad, text):
    check = getattr(asserts, f"tar_assert_{name}")
    assert check(*good) is None
    with pytest.raises(TarValidateError, match=text):
        check(*bad)
    with pytest.raises(TarValidateError, match=r"^my words$"):
        check(*bad, msg="my words")


def test_every_check_is_tested():
    assert {f"tar_assert_{name}" for name, *_ in CASES} == set(asserts.__all__)
