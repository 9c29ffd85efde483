import gc
import weakref

import pytest

from nngsock import message


def test_parts_are_written_one_after_another():
    parts = [b"ab", bytearray(b"c"), b"", memoryview(b"xdex")[1:3]]
    assert message.take_bytes(message.build(parts)) == b"abcde"


def test_a_part_that_is_not_contiguous_is_written_in_its_order():
    assert message.take_bytes(message.build([memoryview(b"a-b-c-")[::2]])) == b"abc"


def test_a_part_of_wider_items_is_written_as_its_bytes():
    assert message.take_bytes(message.build([memoryview(b"abcdefgh").cast("i")])) == b"abcdefgh"


def test_no_parts_make_an_empty_message():
    assert message.take_bytes(message.build([])) == b""
    assert message.take_view(message.build([])) == b""


def test_what_is_no_bytes_like_is_refused():
    with pytest.raises(TypeError, match="bytes-like"):
        message.build(["text"])


@pytest.mark.parametrize("size", [1, message.COPIED_SIZE, message.COPIED_SIZE + 1, 1 << 20])
def test_a_view_is_read_only_and_has_the_content(size):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    view = message.take_view(message.from_bytes(content, size))
    assert view.readonly
    assert view == content


def test_a_message_is_freed_with_the_last_view_on_it(monkeypatch):
    freed = []
    free = message.free

    def note_and_free(pointer):
        freed.append(pointer)
        free(pointer)

    monkeypatch.setattr(message, "free", note_and_free)
    size = 4 * message.COPIED_SIZE
    view = message.take_view(message.from_bytes(b"x" * size, size))
    part = view[10:20]
    del view
    gc.collect()
    assert freed == []
    assert part == b"x" * 10
    del part
    gc.collect()
    assert len(freed) == 1


def test_views_can_be_kept_by_other_objects():
    size = 4 * message.COPIED_SIZE
    view = message.take_view(message.from_bytes(b"y" * size, size))
    reference = weakref.ref(view)
    kept = memoryview(view)
    del view
    gc.collect()
    assert reference() is None
    assert bytes(kept[-3:]) == b"yyy"
