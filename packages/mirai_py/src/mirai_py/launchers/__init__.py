"""How daemons are started elsewhere: by any command, by SSH, by a batch system, through an HTTP service."""

from mirai_py.launchers.cluster import cluster_config
from mirai_py.launchers.command import remote_config
from mirai_py.launchers.config import LaunchCmd, RemoteConfig, Target
from mirai_py.launchers.http import http_config
from mirai_py.launchers.ssh import ssh_config
from mirai_py.launchers.workbench import workbench_config

__all__ = (
    "LaunchCmd",
    "RemoteConfig",
    "Target",
    "cluster_config",
    "http_config",
    "remote_config",
    "ssh_config",
    "workbench_config",
)
