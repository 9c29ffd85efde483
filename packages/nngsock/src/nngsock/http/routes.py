"""Routes: which handler a request is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nngsock.http.handlers import ANY, Handler, WebSocket

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ("Routes", "below")


def below(path: str, prefix: str) -> str | None:
    """What of a path stands below another one, "" for the same; None if it does not."""
    path = path.removesuffix("/")
    if path == prefix:
        return ""
    return path[len(prefix) :] if path.startswith(prefix + "/") else None


class Routes:
    """The handlers of a server: the longest path first, an exact one before a prefix.

    Args:
        handlers: In any order.

    Raises:
        ValueError: Something is no handler, or two are for the same.
    """

    def __init__(self, handlers: Iterable[object]) -> None:
        sockets: dict[str, Handler] = {}
        others: dict[tuple[str, str, bool], Handler] = {}
        for handler in handlers:
            if not isinstance(handler, Handler):
                raise ValueError(  # noqa: TRY004 - as the original
                    f"`handlers` must be handlers, made by handler() and its like, not {handler!r}"
                )
            if isinstance(handler, WebSocket):
                clash = sockets.setdefault(handler.path, handler)
            else:
                clash = others.setdefault((handler.path, handler.method, handler.prefix), handler)
            if clash is not handler:
                raise ValueError(f"two of `handlers` are for {handler.method} {handler.path or '/'}")
        self._sockets = sockets
        self._others: Sequence[Handler] = sorted(others.values(), key=_rank)

    def find_socket(self, path: str) -> Handler | None:
        """The handler for WebSockets at a path."""
        return self._sockets.get(path.removesuffix("/"))

    def find(self, path: str, method: str) -> tuple[Handler | None, set[str]]:
        """The handler for a request, and for want of one the methods that the path has handlers for."""
        allowed: set[str] = set()
        for handler in self._others:
            rest = below(path, handler.path)
            if rest is None or (rest and not handler.prefix):
                continue
            if handler.method in (ANY, method) or (method, handler.method) == ("HEAD", "GET"):
                return handler, allowed
            allowed.add(handler.method)
        if "GET" in allowed:
            allowed.add("HEAD")
        return None, allowed


def _rank(handler: Handler) -> tuple[int, bool, bool, bool]:
    return -len(handler.path), handler.prefix, handler.method == ANY, handler.method != "HEAD"
