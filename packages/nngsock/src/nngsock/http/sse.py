"""Server-sent events: text that a browser's EventSource reads from a stream."""

from __future__ import annotations

import re

__all__ = ("format_sse",)

_LINE_END = re.compile(r"\r\n|\r|\n")


def format_sse(data: str, event: str | None = None, id: str | None = None, retry: int | None = None) -> str:  # noqa: A002 - the field's name
    r"""Write one server-sent event.

    Send it over a connection of `handler_stream` whose header Content-Type is text/event-stream.

    Args:
        data: The text; each of its lines becomes a line of data.
        event: The event's type.
        id: The event's id, which a client that comes back gives as Last-Event-ID.
        retry: Milliseconds after which a client that has lost the connection comes back.

    Returns:
        The event, with the empty line that ends it.

    Raises:
        ValueError: `event` or `id` has a line end, or `id` a NUL.

    Example:
        >>> nngsock.format_sse("two\nlines", event="news", id="7")
        'event: news\nid: 7\ndata: two\ndata: lines\n\n'
    """
    if not isinstance(data, str):
        raise TypeError(f"`data` must be a str, not {data!r}")
    fields = []
    if event is not None:
        fields.append(f"event: {_one_line('event', event)}\n")
    if id is not None:
        fields.append(f"id: {_one_line('id', id)}\n")
    if retry is not None:
        if isinstance(retry, bool) or not isinstance(retry, int | float):
            raise TypeError(f"`retry` must be a number of milliseconds, not {retry!r}")
        fields.append(f"retry: {int(retry)}\n")
    lines = _LINE_END.split(data)
    if len(lines) > 1 and not lines[-1]:
        lines.pop()  # a line end at the end begins no further line
    fields += [f"data: {line}\n" for line in lines]
    return "".join(fields) + "\n"


def _one_line(name: str, value: str) -> str:
    value = str(value)
    if "\0" in value or _LINE_END.search(value):
        raise ValueError(f"`{name}` must be one line without NUL, not {value!r}")
    return value
