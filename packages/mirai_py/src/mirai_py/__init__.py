"""Asynchronous evaluation on background daemons, a port of R's mirai.

with mirai_py.daemons(4):
    m = mirai_py.mirai(expensive, data, k=3, _timeout=60_000)
    squares = mirai_py.mirai_map(range(10), lambda x: x**2).collect(progress=True)
    value = m.collect()  # or: await m, or m.result()
"""

from mirai_py._version import __version__
from mirai_py.addresses import host_url, local_url
from mirai_py.cluster import (
    BrokenClusterError,
    MiraiCluster,
    MiraiNode,
    make_cluster,
    register_joblib,
    stop_cluster,
)
from mirai_py.codes import Once
from mirai_py.collect import collect_mirai, race_mirai
from mirai_py.custom import register_serial
from mirai_py.errors import (
    DaemonsNotSetError,
    MiraiConnectionError,
    MiraiError,
    MiraiException,
    MiraiInterrupt,
    MiraiInterruptedError,
    MiraiLaunchError,
    MiraiMapError,
    MiraiSerializationError,
    MiraiTimeoutError,
    MiraiTypeError,
    MiraiValueError,
    MissingExtraError,
    is_error_value,
    is_mirai_error,
    is_mirai_interrupt,
)
from mirai_py.evaluate import on_daemon
from mirai_py.handles import Mirai
from mirai_py.imap import mirai_imap
from mirai_py.inspection import info, nextcode, nextget, nextstream, status
from mirai_py.launch import LocalDaemon
from mirai_py.launchers import (
    LaunchCmd,
    RemoteConfig,
    cluster_config,
    http_config,
    remote_config,
    ssh_config,
    workbench_config,
)
from mirai_py.local import launch_local, launch_process, stop_daemons
from mirai_py.map import MiraiMap
from mirai_py.mapping import mirai_map
from mirai_py.remote import launch_remote
from mirai_py.setting import Daemons, daemons, daemons_set, local_daemons, require_daemons, with_daemons
from mirai_py.sharing import once, share
from mirai_py.streams import task_rng, task_seed
from mirai_py.submit import everywhere, mirai, try_mirai
from mirai_py.waiting import as_completed, call_mirai, is_mirai, is_mirai_map, stop_mirai, unresolved
from mirai_py.worker import daemon
from nngsock import UNRESOLVED, ErrorValue, SerialConfig, serial_config

__all__ = (
    "UNRESOLVED",
    "BrokenClusterError",
    "Daemons",
    "DaemonsNotSetError",
    "ErrorValue",
    "LaunchCmd",
    "LocalDaemon",
    "Mirai",
    "MiraiCluster",
    "MiraiConnectionError",
    "MiraiError",
    "MiraiException",
    "MiraiInterrupt",
    "MiraiInterruptedError",
    "MiraiLaunchError",
    "MiraiMap",
    "MiraiMapError",
    "MiraiNode",
    "MiraiSerializationError",
    "MiraiTimeoutError",
    "MiraiTypeError",
    "MiraiValueError",
    "MissingExtraError",
    "Once",
    "RemoteConfig",
    "SerialConfig",
    "__version__",
    "as_completed",
    "call_mirai",
    "cluster_config",
    "collect_mirai",
    "daemon",
    "daemons",
    "daemons_set",
    "everywhere",
    "host_url",
    "http_config",
    "info",
    "is_error_value",
    "is_mirai",
    "is_mirai_error",
    "is_mirai_interrupt",
    "is_mirai_map",
    "launch_local",
    "launch_process",
    "launch_remote",
    "local_daemons",
    "local_url",
    "make_cluster",
    "mirai",
    "mirai_imap",
    "mirai_map",
    "nextcode",
    "nextget",
    "nextstream",
    "on_daemon",
    "once",
    "race_mirai",
    "register_joblib",
    "register_serial",
    "remote_config",
    "require_daemons",
    "serial_config",
    "share",
    "ssh_config",
    "status",
    "stop_cluster",
    "stop_daemons",
    "stop_mirai",
    "task_rng",
    "task_seed",
    "try_mirai",
    "unresolved",
    "with_daemons",
    "workbench_config",
)
