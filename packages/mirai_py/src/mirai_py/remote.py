"""Start daemons on other machines."""

from __future__ import annotations

from typing import Any

from mirai_py.arguments import whole_number
from mirai_py.cluster import MiraiCluster, MiraiNode
from mirai_py.errors import MiraiTypeError
from mirai_py.launchers import RemoteConfig, remote_config
from mirai_py.options import check_daemon_args
from mirai_py.profiles import require_profile


def launch_remote(
    n: int | MiraiCluster | MiraiNode = 1,
    remote: RemoteConfig | None = None,
    *,
    compute: str | None = None,
    **daemon_args: Any,
) -> list[Any]:
    """Start daemons elsewhere, or get the commands that do, without waiting for them to connect.

    Args:
        n: how many; a `remote` with several places starts one at each. Or a cluster (all its nodes), or one
            of its nodes.
        remote: how, from `ssh_config`, `cluster_config`, `http_config` or `remote_config`; None starts
            nothing: the commands are to be run by hand.
        compute: the profile; None is the current one.
        daemon_args: options of `daemon()`; they replace those of `daemons()`.

    Returns:
        A `LaunchCmd`: the daemons' commands, which print ready to be pasted. They carry the profile's token.
        From `http_config`, the answers of the service.

    Raises:
        DaemonsNotSetError: the profile is not set.
        MiraiLaunchError: a daemon could not be started.
        ValueError: `n` does not suit `remote`, or its tunnel not the profile's URL.

    Example:
        >>> with daemons(url="tcp://127.0.0.1:0"):
        ...     (command,) = launch_remote(maxtasks=10)
        >>> command.startswith("env MIRAI_PY_TOKEN="), command.endswith(" maxtasks=10)'")
        (True, True)
    """
    number, profile_name = n, compute
    if isinstance(n, MiraiCluster):
        number, profile_name = len(n), n.id
    elif isinstance(n, MiraiNode):
        number, profile_name = 1, n.cluster
    profile = require_profile(profile_name, "daemons must be set to use launchers: ")
    check_daemon_args(daemon_args)
    way = remote_config() if remote is None else remote
    if not isinstance(way, RemoteConfig):
        raise MiraiTypeError(f"`remote` must come from remote_config() or its like, not {way!r}")
    return way.launch(whole_number("n", number), profile.target(daemon_args))
