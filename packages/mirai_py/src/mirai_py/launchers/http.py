"""Start daemons through a service that is told their command by HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import nngsock
from mirai_py.errors import MiraiLaunchError, MiraiTypeError, MiraiValueError, MissingExtraError
from mirai_py.launchers.config import RemoteConfig, Target, python_of

TIMEOUT_MS = 5_000
PLACEHOLDER = "%s"
# Of an answer that is an error, so much is told.
TOLD_CHARACTERS = 500

Text = str | Callable[[], str]
Headers = Mapping[str, str] | Callable[[], Mapping[str, str]] | None


@dataclass(frozen=True)
class HttpConfig(RemoteConfig):
    """Ask a service for each daemon. What is callable is called at each launch, so that secrets are fresh."""

    url: Text
    method: str
    headers: Headers = field(repr=False)
    data: str | Callable[..., str]
    data_args: Mapping[str, Any]
    cookie: Text | None = field(repr=False)
    token: Text | None = field(repr=False)
    python: str

    def launch(self, n: int, target: Target) -> list[Any]:
        """Send `n` requests; returns the answers, see `nngsock.ncurl`."""
        try:
            import aiohttp  # noqa: F401 - nngsock would name its own extra
        except ImportError as error:
            raise MissingExtraError("aiohttp", "http") from error
        url = _now(self.url)
        data = self.data(**self.data_args) if callable(self.data) else self.data
        headers = self._headers()
        body = data.replace(PLACEHOLDER, _json_escaped(target.command(self.python)))
        return [self._request(url, headers, body) for _ in range(n)]

    def _headers(self) -> dict[str, str]:
        headers = dict(_now(self.headers) or {})
        if self.cookie is not None:
            headers["Cookie"] = _now(self.cookie)
        if self.token is not None:
            headers["Authorization"] = f"Bearer {_now(self.token)}"
        return headers

    def _request(self, url: str, headers: dict[str, str], body: str) -> Any:
        answer = nngsock.ncurl(
            url, method=self.method, headers=headers, data=body, response=True, timeout=TIMEOUT_MS
        )
        if nngsock.is_error_value(answer.status):
            raise MiraiLaunchError(f"no daemon could be started through {url}: {answer.status}")
        if answer.status >= 400:
            told = str(answer.data)[:TOLD_CHARACTERS]
            raise MiraiLaunchError(f"{url} refused to start a daemon: status {answer.status}, {told}")
        return answer


def _now(value: Any) -> Any:
    return value() if callable(value) else value


def _json_escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def http_config(
    url: Text,
    method: str = "POST",
    headers: Headers = None,
    data: str | Callable[..., str] = '{"command": "%s"}',
    *,
    cookie: Text | None = None,
    token: Text | None = None,
    python: str = "python",
    **data_args: Any,
) -> RemoteConfig:
    """Start daemons through a service that runs a command it is told by HTTP; extra `http`.

    `url`, `headers`, `data`, `cookie` and `token` may be functions, which are called at each launch. That
    is the place for what is secret or soon outdated.

    Args:
        url: of the service.
        method: of HTTP.
        headers: of the request.
        data: the body. `%s` in it is replaced by the daemon's shell command, escaped to stand within a
            string of JSON.
        cookie: value of a header `Cookie`.
        token: value of a header `Authorization: Bearer`.
        python: the interpreter there, in which mirai-nng is installed; may hold flags.
        data_args: arguments for `data`, if that is a function.

    Raises:
        TypeError, ValueError: an argument has the wrong type, or `data` has no place for the command.

    Example:
        >>> config = http_config("https://jobs.example.org/launch", token=lambda: "secret")
        >>> # daemons(2, url=host_url(tls=True), remote=config)
    """
    for name, value in (("url", url), ("data", data)):
        if not isinstance(value, str) and not callable(value):
            raise MiraiTypeError(f"`{name}` must be a str or a function that returns one, not {value!r}")
    if headers is not None and not isinstance(headers, Mapping) and not callable(headers):
        raise MiraiTypeError(f"`headers` must be a mapping or a function that returns one, not {headers!r}")
    if isinstance(data, str):
        if PLACEHOLDER not in data:
            raise MiraiValueError(
                f"`data` must contain {PLACEHOLDER}, as the place of the daemon's command: {data!r}"
            )
        if data_args:
            raise MiraiTypeError(
                f"unknown argument {next(iter(data_args))!r}: `data` is no function that takes it"
            )
    return HttpConfig(url, method, headers, data, data_args, cookie, token, python_of(python))
