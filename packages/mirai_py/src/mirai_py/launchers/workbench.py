"""Start daemons as jobs of Posit Workbench, from within one of its sessions."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import nngsock
from mirai_py.errors import MiraiLaunchError, MiraiValueError
from mirai_py.launchers.http import PLACEHOLDER, TIMEOUT_MS, http_config

if TYPE_CHECKING:
    from mirai_py.launchers.config import RemoteConfig

ADDRESS = "RS_SERVER_ADDRESS"
COOKIE = "RS_SESSION_RPC_COOKIE"
# Where only one of the two is asked for.
MEMORY_MB = 512
CPUS = 1


def workbench_config(
    job_name: str = "mirai_daemon",
    cluster: str | None = None,
    resource_profile: str | None = None,
    cpus: float | None = None,
    memory: float | None = None,
    *,
    python: str = "python",
) -> RemoteConfig:
    """Start daemons as jobs of the Posit Workbench that this session belongs to; extra `http`.

    What it offers is asked for at each launch.

    Args:
        job_name: name of the jobs.
        cluster: name of the cluster; None is the first.
        resource_profile: name of a profile of resources on it; None is the first.
        cpus: number of CPUs, instead of a profile.
        memory: in MB, instead of a profile.
        python: the interpreter there, in which mirai-nng is installed; may hold flags.

    Raises:
        ValueError: at the launch, if there is no cluster or profile of this name.
        MiraiLaunchError: at the launch, if this is no session of Posit Workbench.

    Example:
        >>> config = workbench_config(cluster="Kubernetes", cpus=4, memory=8192)
        >>> # daemons(2, url=host_url(), remote=config)
    """
    return http_config(
        lambda: f"{_variable(ADDRESS).rstrip('/')}/api/launch_job",
        headers=_headers,
        data=_request,
        python=python,
        job_name=job_name,
        cluster=cluster,
        resource_profile=resource_profile,
        cpus=cpus,
        memory=memory,
    )


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise MiraiLaunchError(f"this is no session of Posit Workbench: {name} is not set")
    return value


def _headers() -> dict[str, str]:
    cookie = _variable(COOKIE)
    return {"Cookie": cookie, "X-RS-Session-Server-RPC-Cookie": cookie}


def _request(
    job_name: str, cluster: str | None, resource_profile: str | None, cpus: float | None, memory: float | None
) -> str:
    """The body of the request, with the place for the daemon's command."""
    chosen = _named("cluster", cluster, _clusters())
    job: dict[str, Any] = {
        "cluster": chosen["name"],
        "container": {"image": chosen.get("defaultImage")},
        "name": job_name,
        "exe": "/bin/sh",
        "args": ["-c", PLACEHOLDER],
    }
    if resource_profile is None and (cpus is not None or memory is not None):
        job["resources"] = {
            "cpus": CPUS if cpus is None else cpus,
            "memory": MEMORY_MB if memory is None else memory,
        }
    else:
        profiles = chosen["resourceProfiles"]
        job["resourceProfile"] = _named("resource profile", resource_profile, profiles)["name"]
    return json.dumps({"method": "launch_job", "kwparams": {"job": job}})


def _clusters() -> list[dict[str, Any]]:
    url = f"{_variable(ADDRESS).rstrip('/')}/api/get_compute_envs"
    answer = nngsock.ncurl(url, headers=_headers(), timeout=TIMEOUT_MS)
    if answer.status != 200:
        raise MiraiLaunchError(f"Posit Workbench does not tell its clusters at {url}: {answer.status}")
    found: list[dict[str, Any]] = json.loads(answer.data)["result"]["clusters"]
    return found


def _named(what: str, name: str | None, offered: list[dict[str, Any]]) -> dict[str, Any]:
    """The one of this name, or the first."""
    found = next((one for one in offered if name in (None, one["name"])), None)
    if found is None:
        names = ", ".join(one["name"] for one in offered)
        raise MiraiValueError(f"{what} {name!r} not found. Available: {names}")
    return found
