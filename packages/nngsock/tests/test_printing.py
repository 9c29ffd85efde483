import json

import pytest

from nngsock.printing import FORMATS

STRANGE = b'a"b\\\n\xc3\xa9\xff\0'


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("text", b'a"b\\\n\xc3\xa9\\xff\0\n'),
        ("raw", STRANGE),
        ("ascii", b'a"b\\.....\n'),
        ("quoted", rb'"a\"b\\\n\xc3\xa9\xff\x00"' + b"\n"),
        ("hex", rb'"\x61\x22\x62\x5c\x0a\xc3\xa9\xff\x00"' + b"\n"),
        ("msgpack", b"\xc4\x09" + STRANGE),
    ],
)
def test_bytes_are_shown(name, shown):
    assert FORMATS[name](STRANGE) == shown


@pytest.mark.parametrize(
    ("size", "head"), [(255, b"\xc4\xff"), (256, b"\xc5\x01\0"), (65536, b"\xc6\0\x01\0\0")]
)
def test_msgpack_says_how_long_it_is(size, head):
    assert FORMATS["msgpack"](bytes(size)) == head + bytes(size)


@pytest.mark.parametrize(
    ("message", "value"),
    [
        (b'{"a": [1, null]}', {"a": [1, None]}),
        (b"plain", "plain"),
        ("text", "text"),
        ([1, {"x": None}], [1, {"x": None}]),
        ({1j}, "{1j}"),
        (STRANGE, 'a"b\\\né\\xff\0'),
    ],
)
def test_json_is_one_line_that_can_be_read(message, value):
    shown = FORMATS["json"](message)
    assert shown.count(b"\n") == 1
    assert shown.endswith(b"\n")
    assert json.loads(shown) == value


def test_a_text_that_ends_its_line_gets_no_second_newline():
    assert FORMATS["text"](b"line\n") == b"line\n"
    assert FORMATS["text"](b"line") == b"line\n"


def test_objects_are_shown_as_python_writes_them():
    assert FORMATS["text"]({"a": 1}) == b"{'a': 1}\n"
