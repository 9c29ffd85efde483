import pickle

import pytest

from mirai_py import pages
from mirai_py.pages import PAGE_BYTES, PAGE_ITEMS


def packed(items):
    return list(pages.packed(items, lambda _, item: [pickle.dumps(item, 5)]))


def unpacked(found):
    items = [item for page in found for item in pages.items_of(page.body)]
    return [pickle.loads(item) if isinstance(item, memoryview) else item for item in items]


@pytest.mark.parametrize(
    "items",
    [
        [],
        [1],
        list(range(PAGE_ITEMS * 2 + 1)),
        [None, True, 1.5, "text", b"bytes", 2**100],
        [(1, "a"), (2, "b")],
        [[1], {"a": 2}, (3, [4])],
        [1, [2], 3],
        ["x" * PAGE_BYTES, "y" * PAGE_BYTES, "z"],
        [("x" * PAGE_BYTES,), 1],
    ],
)
def test_items_come_back_as_they_were(items):
    found = packed(iter(items))
    assert sum(page.count for page in found) == len(items)
    assert unpacked(found) == items


def test_numbers_cost_a_few_bytes_each():
    assert sum(len(page.body) for page in packed(range(10_000))) < 10_000 * 4


def test_large_items_have_pages_of_their_own():
    assert [page.count for page in packed(["x" * PAGE_BYTES] * 3)] == [1, 1, 1]
    assert [page.count for page in packed([["x" * PAGE_BYTES]] * 3)] == [1, 1, 1]


def test_items_share_nothing_that_can_change():
    same = [1]
    first, second = unpacked(packed([same, same]))
    assert first is not second


def test_the_input_is_taken_from_page_by_page():
    taken = []
    stream = pages.packed((taken.append(i) for i in range(PAGE_ITEMS * 10)), None)
    next(stream)
    assert len(taken) == PAGE_ITEMS


def test_what_packs_an_item_is_told_its_position():
    seen = []

    def dump(position, item):
        seen.append((position, item))
        return [b"x"]

    items = [0] * PAGE_ITEMS + [[1], [2]]
    assert len(list(pages.packed(items, dump))) == 2
    assert seen == [(PAGE_ITEMS, [1]), (PAGE_ITEMS + 1, [2])]


@pytest.mark.parametrize(
    ("item", "plain"),
    [(1, True), ("a", True), ((1, None), True), ((1, [2]), False), ([1], False), (int, False)],
)
def test_plain_is_what_cannot_change(item, plain):
    assert pages.is_plain(item) is plain
    assert pages.are_plain([1, item]) is plain


def test_a_subclass_of_a_plain_type_is_not_plain():
    class Odd(int):
        pass

    assert not pages.is_plain(Odd(1))
    assert not pages.are_plain([1, Odd(1)])
