import os
import pickle
import subprocess
import sys
import types

import pytest

from targets_py.hashing.digest import hash_file
from targets_py.storage import pickling

SCRIPT = """
class Model:
    def __init__(self, n): self.n = n
    def double(self): return scale(self.n)
    class Part: pass

def scale(x): return FACTOR * x

FACTOR = 2
"""


@pytest.fixture
def script(monkeypatch):
    """Loads the script as a run does; returns its module."""

    def load(source=SCRIPT):
        module = types.ModuleType("_targets")
        monkeypatch.setitem(sys.modules, "_targets", module)
        exec(compile(source, "_targets.py", "exec"), vars(module))
        return module

    yield load
    pickling._load_copy.cache_clear()


def through(value, path):
    assert pickling.dump(path, value) == hash_file(path)
    return pickling.load(path)


@pytest.mark.parametrize("value", [1, "a", [1, 2], {"a": None}, [[1], {2}], (1, [2]), os.PathLike, 2**100])
def test_values_come_back(value, tmp_path):
    again = through(value, tmp_path / "x")

    assert again == value
    assert type(again) is type(value)


def test_functions_come_back(tmp_path):
    n = 3

    assert through(lambda x: x + n, tmp_path / "x")(1) == 4


def test_large_values_are_written_in_one_pass(tmp_path):
    value = [bytes(3_000_000), b"x" * 5_000_000]

    assert through(value, tmp_path / "x") == value


def test_what_cannot_be_pickled_raises(tmp_path):
    with pytest.raises(TypeError):
        pickling.dump(tmp_path / "x", (i for i in "a"))


def test_the_next_run_gets_its_own_class_back(script, tmp_path):
    pickling.dump(tmp_path / "x", [script().Model(1)])
    module = script(SCRIPT.replace("FACTOR = 2", "FACTOR = 10"))
    (again,) = pickling.load(tmp_path / "x")

    assert isinstance(again, module.Model)
    assert again.double() == 10


def test_without_a_script_the_copy_serves(script, tmp_path, monkeypatch):
    module = script()
    pickling.dump(tmp_path / "x", module.Model(1))
    pickling.dump(tmp_path / "y", [module.Model(2), module.scale, module.Model.Part])
    monkeypatch.delitem(sys.modules, "_targets")
    x = pickling.load(tmp_path / "x")
    y, scale, part = pickling.load(tmp_path / "y")

    assert (x.double(), y.double(), scale(5)) == (2, 4, 10)
    assert type(x) is type(y)
    assert type(x).Part is part or part.__name__ == "Part"


def test_another_process_reads_it_without_the_project(script, tmp_path):
    pickling.dump(tmp_path / "x", script().Model(4))
    code = "import sys; from targets_py.storage import pickling; print(pickling.load(sys.argv[1]).double())"
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x")],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    assert run.stdout == "8\n"


def test_a_class_that_the_script_lost_comes_from_the_copy(script, tmp_path):
    pickling.dump(tmp_path / "x", script().Model(1))
    script("other = 1")

    assert pickling.load(tmp_path / "x").double() == 2


def test_pickling_by_value_is_not_left_switched_on(script, tmp_path):
    import cloudpickle

    module = script()
    pickling.dump(tmp_path / "x", module.Model(1))

    assert "_targets" not in cloudpickle.list_registry_pickle_by_value()


def test_equal_values_make_equal_files_whichever_way_they_are_written(tmp_path):
    pickling.dump(tmp_path / "x", [1, 2])

    assert pickle.loads((tmp_path / "x").read_bytes()) == [1, 2]
    assert (tmp_path / "x").read_bytes()[1] == 5  # protocol
