"""The life of a worker process: dial, serve tasks, say why it left."""

from __future__ import annotations

import os
import platform
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

import mirai_py
import nngsock
from crew_py import metrics
from crew_py._version import __version__

if TYPE_CHECKING:
    from crew_py.options import CrewOptionsMetrics

__all__ = ("crew_worker",)

REASONS: Final = (
    "connection terminated",
    "idle time limit reached",
    "wall time limit reached",
    "task limit reached",
)
# Refused, cryptographic error, peer could not be authenticated: a host that is not quite up yet.
RETRIED: Final = (6, 26, 27)
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
TOKEN: Final = "MIRAI_PY_TOKEN"  # noqa: S105 - the variable's name


def crew_worker(
    settings: dict[str, Any],
    controller: str,
    options_metrics: CrewOptionsMetrics | None = None,
    seconds_launch: float = 30,
) -> None:
    """Serve a controller until it, or a limit, ends this worker. What `launcher.call()` runs.

    Args:
        settings: keyword arguments of `mirai_py.daemon`, from `launcher.settings()`.
        controller: name of the controller, in the environment as CREW_CONTROLLER meanwhile.
        options_metrics: from `crew_options_metrics`.
        seconds_launch: how long to go on dialing while the controller refuses, in seconds.

    Raises:
        SystemExit: with code 1, if it never connected.

    Example:
        >>> crew_worker(settings={"url": "tcp://127.0.0.1:5700"}, controller="main")  # doctest: +SKIP
    """
    _say(_greeting(controller), sys.stdout)
    before = os.environ.get("CREW_CONTROLLER")
    os.environ["CREW_CONTROLLER"] = controller
    try:
        if options_metrics is not None:
            metrics.start(options_metrics)
        code = _serve(settings, seconds_launch)
    except nngsock.NngError as error:
        _say(f"the worker could not connect to {settings.get('url')}: {error}", sys.stderr)
        raise SystemExit(1) from None
    finally:
        metrics.stop()
        if before is None:
            os.environ.pop("CREW_CONTROLLER", None)
        else:
            os.environ["CREW_CONTROLLER"] = before
    reason = REASONS[code] if 0 <= code < len(REASONS) else "unknown"
    _say(f"the worker left with code {code}: {reason}", sys.stdout)


def _serve(settings: dict[str, Any], seconds_launch: float) -> int:
    """Run the daemon; while the controller refuses, dial again with growing pauses."""
    token = os.environ.get(TOKEN)
    deadline = time.monotonic() + seconds_launch
    pause = FIRST_PAUSE
    while True:
        try:
            return mirai_py.daemon(**settings)
        except nngsock.NngError as error:
            if error.code not in RETRIED or time.monotonic() + pause > deadline:
                raise
        # daemon() has taken the token out of the environment.
        if token is not None:
            os.environ[TOKEN] = token
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _say(text: str, stream: TextIO) -> None:
    """Write to the worker's log; a full disk is no reason not to serve."""
    with suppress(OSError, ValueError):
        print(text, file=stream, flush=True)


def _greeting(controller: str) -> str:
    versions = f"crew_py {__version__}, mirai_py {mirai_py.__version__}, nngsock {nngsock.__version__}"
    return (
        f"worker of controller {controller!r}: pid {os.getpid()} on {platform.node()}, "
        f"Python {platform.python_version()}, {platform.platform()}, {versions}"
    )
