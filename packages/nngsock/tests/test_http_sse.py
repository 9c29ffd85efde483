"""Server-sent events as text. How they arrive is tested with the connections that carry them."""

import pytest

import nngsock

EVENTS = {
    "Hello": ({}, "data: Hello\n\n"),
    "": ({}, "data: \n\n"),
    "a\nb": ({}, "data: a\ndata: b\n\n"),
    "a\r\nb\rc": ({}, "data: a\ndata: b\ndata: c\n\n"),
    "ends\n": ({}, "data: ends\n\n"),
    "ends\n\n": ({}, "data: ends\ndata: \n\n"),
    "all": ({"event": "e", "id": "2", "retry": 500.0}, "event: e\nid: 2\nretry: 500\ndata: all\n\n"),
    "one": ({"id": 1}, "id: 1\ndata: one\n\n"),
}


@pytest.mark.parametrize("data", EVENTS)
def test_an_event_is_its_fields_in_order_and_an_empty_line(data):
    fields, text = EVENTS[data]
    assert nngsock.format_sse(data, **fields) == text


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
def test_a_field_cannot_smuggle_in_another(field, value):
    with pytest.raises(ValueError, match=f"`{field}` must be one line"):
        nngsock.format_sse("x", **{field: value})


def test_what_is_no_text_or_number_is_refused():
    with pytest.raises(TypeError, match="`data` must be a str"):
        nngsock.format_sse(b"x")
    with pytest.raises(TypeError, match="`retry` must be a number"):
        nngsock.format_sse("x", retry="soon")
