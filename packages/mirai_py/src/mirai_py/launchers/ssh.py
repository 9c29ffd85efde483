"""Start daemons on other machines by SSH, and let them dial back directly or through its tunnel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mirai_py.arguments import flag, is_number
from mirai_py.errors import MiraiTypeError, MiraiValueError
from mirai_py.launchers.command import PLACEHOLDER, CommandConfig
from mirai_py.launchers.config import RemoteConfig, Target, python_of, words_of
from mirai_py.launchers.process import Course

if TYPE_CHECKING:
    from collections.abc import Sequence

TUNNEL_HOST = "127.0.0.1"


@dataclass(frozen=True)
class SshConfig(CommandConfig):
    """Start each daemon with ssh.

    Attributes:
        tunnel: whether daemons reach the host through the connection of ssh.
    """

    tunnel: bool = False

    def leading(self, target: Target) -> list[str]:
        """The tunnel from the other machine's loopback to this one's, by the same port."""
        if not self.tunnel:
            return []
        url = urlsplit(target.url)
        if url.hostname != TUNNEL_HOST or url.port is None:
            raise MiraiValueError(
                f"`tunnel=True` needs a `url` whose host is {TUNNEL_HOST}, for example "
                f"local_url(tcp=True), not {target.url}"
            )
        return ["-R", f"{url.port}:{TUNNEL_HOST}:{url.port}"]


def ssh_config(
    remotes: str | Sequence[str],
    tunnel: bool = False,
    timeout: float = 10,
    command: str = "ssh",
    python: str = "python",
) -> RemoteConfig:
    """Start daemons on other machines by SSH. The keys for it must be in place.

    Args:
        remotes: where, as "ssh://user@host:22"; user and port may be left out. Several make a launch each;
            one serves any number of daemons.
        tunnel: whether daemons reach this host through the SSH connection instead of dialing it: no port
            needs to be open. The `url` of the host must then be at 127.0.0.1.
        timeout: seconds that a connection may take.
        command: the program, with options if need be: "ssh -i key".
        python: the interpreter there, in which mirai-nng is installed; may hold flags.

    Raises:
        TypeError, ValueError: an argument has the wrong type, or a URL is not one of SSH.

    Example:
        >>> config = ssh_config(["ssh://me@10.75.32.90:222", "ssh://node2"], tunnel=True)
        >>> # daemons(2, url=local_url(tcp=True), remote=config)
    """
    urls = [remotes] if isinstance(remotes, str) else remotes
    if not isinstance(urls, list | tuple):
        raise MiraiTypeError(f"`remotes` must be a URL or a list of them, not {remotes!r}")
    if not urls:
        raise MiraiValueError('`remotes` is empty: give at least one, as "ssh://user@host"')
    if not is_number(timeout) or not 0 < timeout < float("inf"):
        raise MiraiValueError(f"`timeout` must be a number of seconds above 0, not {timeout!r}")
    seconds = max(1, round(timeout))
    args = []
    for url in urls:
        host, port = _destination(url)
        args.append((f"-o ConnectTimeout={seconds} -fTp {port}", host, PLACEHOLDER))
    return SshConfig(
        tuple(words_of(command, "command")),
        tuple(args),
        python_of(python),
        quote=True,
        course=Course.DETACHES,
        tunnel=flag("tunnel", tunnel),
    )


def _destination(url: str) -> tuple[str, int]:
    """What ssh calls the place, and the port."""
    if not isinstance(url, str):
        raise MiraiTypeError(f"`remotes` must be str, not {url!r}")
    message = f'`remotes` must be URLs like "ssh://user@host:22", not {url!r}'
    try:
        parts = urlsplit(url)
        host, user, port = parts.hostname, parts.username, parts.port or 22
    except ValueError:
        raise MiraiValueError(message) from None
    if parts.scheme != "ssh" or not host or parts.path.strip("/") or parts.password is not None:
        raise MiraiValueError(message)
    destination = host if user is None else f"{unquote(user)}@{host}"
    if destination.startswith("-") or len(destination.split()) != 1:
        raise MiraiValueError(message)
    return destination, port
