"""Spans of OpenTelemetry: what was set up, what was asked for, what was evaluated where.

Nothing here is imported or called unless the host has set a tracer provider when it calls `daemons()`. The
context travels in the task; a daemon reports its own spans, to what is configured there (`everywhere` can do
that, or `opentelemetry-instrument` as part of `python=`).
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from opentelemetry import propagate, trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from mirai_py._version import __version__
from mirai_py.errors import MiraiError, MiraiInterrupt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirai_py.handles import Mirai

ERROR = "miraiError"
INTERRUPT = "miraiInterrupt"


def _tracer() -> trace.Tracer:
    return trace.get_tracer("mirai_py", __version__)


def address_of(url: str) -> dict[str, str | int]:
    """The attributes that tell where a host listens.

    Example:
        >>> address_of("tls+tcp://10.0.0.1:5555")
        {'server.address': '10.0.0.1', 'server.port': 5555, 'network.transport': 'tcp'}
        >>> address_of("abstract://a1b2")
        {'server.address': 'a1b2', 'network.transport': 'unix'}
    """
    scheme, _, rest = url.partition("://")
    if scheme in ("abstract", "ipc", "unix"):
        return {"server.address": rest, "network.transport": "pipe" if sys.platform == "win32" else "unix"}
    parts = urlsplit(f"//{rest}")
    port = {} if parts.port is None else {"server.port": parts.port}
    return {"server.address": parts.hostname or "", **port, "network.transport": "tcp"}


def _moment(name: str, attributes: dict[str, Any], link: Span | None = None) -> Span:
    """A span that is over at once."""
    span = _tracer().start_span(name, attributes=attributes, links=_links(link))
    span.end()
    return span


def _links(span: Span | None) -> list[Link]:
    return [] if span is None else [Link(span.get_span_context())]


def _mark(span: Span, value: Any) -> None:
    """Failures are named, never told: messages may hold what is nobody's business."""
    if isinstance(value, MiraiError):
        span.set_status(Status(StatusCode.ERROR, ERROR))
    elif isinstance(value, MiraiInterrupt):
        span.set_status(Status(StatusCode.ERROR, INTERRUPT))


class Tracing:
    """The spans of a compute profile at the host."""

    def __init__(self, url: str, compute: str, *, dispatcher: bool) -> None:
        self._url = url
        self._attributes = {**address_of(url), "mirai.dispatcher": dispatcher, "mirai.compute": compute}
        self._set = _moment(f"daemons set {url}", self._attributes)

    def reset(self) -> None:
        """The profile is reset."""
        _moment(f"daemons reset {self._url}", self._attributes, self._set)

    def call(self) -> Call:
        """A call is being submitted."""
        return Call(_tracer().start_span("mirai", kind=SpanKind.CLIENT, links=_links(self._set)))

    @contextmanager
    def mapping(self, mirais: Sequence[Mirai]) -> Iterator[None]:
        """The calls of a map are submitted inside, and added to `mirais`: their spans are its children."""
        span = _tracer().start_span("mirai_map", links=_links(self._set))
        left = 1

        def ended(_: Mirai | None = None) -> None:
            nonlocal left
            left -= 1
            if not left:
                span.end()

        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        finally:
            left = len(mirais) or 1
            for mirai in mirais:
                mirai.add_done_callback(ended)
            if not mirais:
                ended()


class Call:
    """The span of one mirai: from its submission until it is resolved.

    Attributes:
        carrier: the context that travels in the task.
    """

    def __init__(self, span: Span) -> None:
        self._span = span
        self._followed = False
        self.carrier: dict[str, str] = {}
        propagate.inject(self.carrier, trace.set_span_in_context(span))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._followed:  # it could not be sent, or there was no room
            self._span.end()

    def follow(self, mirai: Mirai | None) -> None:
        """End as this mirai does."""
        if mirai is None:
            return
        self._followed = True
        if mirai.id is not None:
            self._span.set_attribute("mirai.id", mirai.id)
        mirai.add_done_callback(self._ended)

    def _ended(self, mirai: Mirai) -> None:
        _mark(self._span, mirai.data)
        self._span.end()


_connection: Span | None = None


@contextmanager
def connected(url: str) -> Iterator[None]:
    """This process is a daemon, and connected inside: what it evaluates is linked to that."""
    global _connection
    _connection = _moment(f"daemon connect {url}", address_of(url))
    try:
        yield
    finally:
        _moment(f"daemon disconnect {url}", address_of(url), _connection)


class Evaluation:
    """The span of a task where it is evaluated.

    Args:
        carrier: the context that came with it.
    """

    def __init__(self, carrier: dict[str, str]) -> None:
        self._span = _tracer().start_span(
            "daemon eval",
            context=propagate.extract(carrier),
            kind=SpanKind.SERVER,
            links=_links(_connection),
        )
        self._current = trace.use_span(
            self._span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        )

    def __enter__(self) -> Self:
        self._current.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            name = INTERRUPT if issubclass(kind, KeyboardInterrupt) else ERROR
            self._span.set_status(Status(StatusCode.ERROR, name))
        self._current.__exit__(None, None, None)
