"""Functions and classes that travel by value."""

import pickle
from pathlib import Path

from mirai_py.byvalue import dumps, importable


def test_a_function_keeps_the_name_of_its_file_and_its_value():
    factor = 3
    copy = pickle.loads(dumps(lambda x: x * factor))
    assert copy(2) == 6
    assert copy.__code__.co_filename == __file__


def test_importable_is_what_module_and_name_lead_to():
    assert importable(Path)
    assert importable(dumps)
    assert not importable(lambda: None)
