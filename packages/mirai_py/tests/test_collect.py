import pytest

import mirai_py
from mirai_py import collect_mirai, mirai, race_mirai
from mirai_py.handles import Mirai


def test_one_a_list_and_a_dict_are_collected(two):
    assert collect_mirai(mirai(abs, -1, _compute=two)) == 1
    assert collect_mirai([mirai(abs, -i, _compute=two) for i in range(3)]) == [0, 1, 2]
    assert collect_mirai({"a": mirai(abs, -1, _compute=two)}) == {"a": 1}
    assert collect_mirai([]) == []


def test_anything_else_is_a_type_error(two):
    with pytest.raises(TypeError, match="nothing but mirais, no int"):
        collect_mirai([mirai(abs, 1, _compute=two), 5])
    with pytest.raises(TypeError):
        collect_mirai(5)


@pytest.mark.parametrize("options", ["flat", ".flat", ["flat"], {"flat": True}, ["flat", ".stop"]])
def test_options_are_given_by_name_list_or_dict(two, options):
    m = mirai_py.mirai_map([[1], [2]], lambda x: x, _compute=two)
    assert collect_mirai(m, options) == [1, 2]


def test_unknown_options_are_named(two):
    m = mirai_py.mirai_map([1], abs, _compute=two)
    with pytest.raises(ValueError, match="fast"):
        collect_mirai(m, "fast")


def test_stop_raises_for_the_first_failure(two):
    with pytest.raises(mirai_py.MiraiMapError):
        collect_mirai([mirai("1/0", _compute=two)], "stop")


def test_race_gives_the_position_of_the_first_that_is_resolved(two, gate):
    slow = mirai(gate.task, gate.argument, _compute=two)
    quick = mirai(abs, 1, _compute=two)
    assert race_mirai([slow, quick], compute=two) == 1
    gate.wait()
    gate.open()
    slow.call()
    assert race_mirai([slow, quick], compute=two) == 0
    assert race_mirai([], compute=two) is None


def test_race_needs_daemons():
    with pytest.raises(mirai_py.DaemonsNotSetError):
        race_mirai([Mirai()], compute="nobody")
