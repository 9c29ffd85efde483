"""The usual controller: workers as processes on this machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from crew_py.client import CrewClient
from crew_py.controller import CrewController
from crew_py.local import CrewLauncherLocal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crew_py.options import CrewOptionsLocal, CrewOptionsMetrics
    from crew_py.tls import CrewTls

__all__ = ("crew_controller_local",)


def crew_controller_local(
    name: str | None = None,
    workers: int = 1,
    host: str = "127.0.0.1",
    port: int | None = None,
    tls: CrewTls | None = None,
    serialization: Any = None,
    profile: str | None = None,
    seconds_interval: float = 0.25,
    seconds_timeout: float = 60,
    seconds_launch: float = 30,
    seconds_idle: float = 300,
    seconds_wall: float = math.inf,
    tasks_max: float = math.inf,
    tasks_timers: int = 0,
    reset_globals: bool = True,
    reset_packages: bool = False,
    reset_options: bool = False,
    garbage_collection: bool = False,
    python_arguments: Sequence[str] = ("-u",),
    crashes_max: float = 5,
    backup: CrewController | None = None,
    options_metrics: CrewOptionsMetrics | None = None,
    options_local: CrewOptionsLocal | None = None,
    launch_failures_max: float = 10,
) -> CrewController:
    """Make a controller whose workers are processes on this machine. Nothing is opened yet.

    Args:
        name: of the controller; None for a random one.
        workers: most workers to run at a time.
        host: address that workers dial.
        port: TCP port; None or 0 for any free one.
        tls: from `crew_tls`; None for none on a loopback `host`, else automatic.
        serialization: from `mirai_py.serial_config`, or None.
        profile: name of the compute profile; None for a random one.
        seconds_interval: seconds between two looks at the demand for workers.
        seconds_timeout: seconds that starting may take.
        seconds_launch: seconds after which a worker that has not connected counts as failed.
        seconds_idle: a worker leaves after so many seconds without a task.
        seconds_wall: a worker leaves after so many seconds, when its task is done.
        tasks_max: a worker leaves after so many tasks.
        tasks_timers: the idle and wall clocks start after so many tasks.
        reset_globals: whether workers undo after each task what it assigned in `__main__`.
        reset_packages: whether they restore `sys.path`.
        reset_options: whether they restore `os.environ`, the working directory and the warning filters.
        garbage_collection: whether they collect garbage after each task.
        python_arguments: flags for the interpreter of a worker.
        crashes_max: a task may crash so often in a row; the next crash is an exception.
        backup: a controller that gets the tasks which have crashed `crashes_max` times, or None.
        options_metrics: from `crew_options_metrics`.
        options_local: from `crew_options_local`.
        launch_failures_max: launches in a row without any connection after which scaling raises.

    Returns:
        A controller.

    Raises:
        CrewError: an argument is wrong.

    Example:
        >>> with crew_controller_local(name="main", workers=2) as controller:
        ...     task = controller.push(name="task", command=pow, data={"base": 2, "exp": 5})
        ...     controller.wait()
        ...     controller.collect()["result"].to_list()
        True
        [32]
    """
    client = CrewClient(host, port, tls, serialization, profile, seconds_interval, seconds_timeout)
    launcher = CrewLauncherLocal(
        name=name,
        workers=workers,
        seconds_interval=seconds_interval,
        seconds_timeout=seconds_timeout,
        seconds_launch=seconds_launch,
        seconds_idle=seconds_idle,
        seconds_wall=seconds_wall,
        tasks_max=tasks_max,
        tasks_timers=tasks_timers,
        tls=client.tls,
        python_arguments=python_arguments,
        options_metrics=options_metrics,
        options_local=options_local,
        launch_failures_max=launch_failures_max,
    )
    return CrewController(
        client,
        launcher,
        reset_globals,
        reset_packages,
        reset_options,
        garbage_collection,
        crashes_max,
        backup,
    )
