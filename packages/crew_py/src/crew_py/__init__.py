"""Auto-scaling pools of workers, a port of R's crew.

controller = crew_py.crew_controller_local(name="main", workers=4, seconds_idle=10)
controller.start()
controller.push(name="task1", command=expensive, data={"x": 1})
controller.wait()
results = controller.collect()              # polars.DataFrame
controller.terminate()
"""

from crew_py._version import __version__
from crew_py.client import CrewClient, crew_class_client, crew_client
from crew_py.controller import CrewController, crew_class_controller, crew_controller
from crew_py.errors import (
    CrewCrashError,
    CrewDeprecateWarning,
    CrewError,
    CrewExpireError,
    CrewLaunchError,
    CrewTypeError,
    CrewValueError,
    CrewWarning,
    crew_deprecate_warning,
    crew_error,
    crew_expire,
    crew_warning,
)
from crew_py.evaluation import crew_eval
from crew_py.group import CrewControllerGroup, crew_class_controller_group, crew_controller_group
from crew_py.launcher import CrewLauncher, crew_class_launcher, crew_launcher
from crew_py.local import CrewLauncherLocal, LocalWorker, crew_class_launcher_local, crew_launcher_local
from crew_py.local_controller import crew_controller_local
from crew_py.monitor import CrewMonitorLocal, crew_class_monitor_local, crew_monitor_local
from crew_py.names import crew_random_name
from crew_py.options import (
    CrewOptionsLocal,
    CrewOptionsMetrics,
    crew_class_options_local,
    crew_class_options_metrics,
    crew_options_local,
    crew_options_metrics,
)
from crew_py.processes import crew_terminate_process, crew_terminate_signal
from crew_py.relay import CrewRelay, crew_class_relay, crew_relay
from crew_py.retry import crew_retry
from crew_py.rng import crew_rng
from crew_py.sequential import (
    CrewControllerSequential,
    ResolvedTask,
    crew_class_controller_sequential,
    crew_controller_sequential,
)
from crew_py.throttle import CrewThrottle, crew_class_throttle, crew_throttle
from crew_py.tls import CrewTls, crew_class_tls, crew_tls
from crew_py.validation import crew_assert, crew_deprecate
from crew_py.worker import crew_worker
from mirai_py import once

__all__ = (
    "CrewClient",
    "CrewController",
    "CrewControllerGroup",
    "CrewControllerSequential",
    "CrewCrashError",
    "CrewDeprecateWarning",
    "CrewError",
    "CrewExpireError",
    "CrewLaunchError",
    "CrewLauncher",
    "CrewLauncherLocal",
    "CrewMonitorLocal",
    "CrewOptionsLocal",
    "CrewOptionsMetrics",
    "CrewRelay",
    "CrewThrottle",
    "CrewTls",
    "CrewTypeError",
    "CrewValueError",
    "CrewWarning",
    "LocalWorker",
    "ResolvedTask",
    "__version__",
    "crew_assert",
    "crew_class_client",
    "crew_class_controller",
    "crew_class_controller_group",
    "crew_class_controller_sequential",
    "crew_class_launcher",
    "crew_class_launcher_local",
    "crew_class_monitor_local",
    "crew_class_options_local",
    "crew_class_options_metrics",
    "crew_class_relay",
    "crew_class_throttle",
    "crew_class_tls",
    "crew_client",
    "crew_controller",
    "crew_controller_group",
    "crew_controller_local",
    "crew_controller_sequential",
    "crew_deprecate",
    "crew_deprecate_warning",
    "crew_error",
    "crew_eval",
    "crew_expire",
    "crew_launcher",
    "crew_launcher_local",
    "crew_monitor_local",
    "crew_options_local",
    "crew_options_metrics",
    "crew_random_name",
    "crew_relay",
    "crew_retry",
    "crew_rng",
    "crew_terminate_process",
    "crew_terminate_signal",
    "crew_throttle",
    "crew_tls",
    "crew_warning",
    "crew_worker",
    "once",
)
