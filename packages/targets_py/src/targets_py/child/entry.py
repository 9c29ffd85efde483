"""The child's side: run the function that comes on stdin, leave its outcome in a file."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from targets_py.child.interpreter import LEAVE_SECONDS
from targets_py.engine.traces import user_traceback
from targets_py.errors import TarRunError

DUPLICATE_SECONDS = 1.0  # a Ctrl-C that reaches both processes is also forwarded: one interruption, not two


def main(result_path: str) -> NoReturn:
    """Run the function that comes on stdin and leave its outcome in a file."""
    last_interrupt = float("-inf")
    lifeline = -1

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001 - the form of a signal handler
        nonlocal last_interrupt
        now = time.monotonic()
        if now - last_interrupt < DUPLICATE_SECONDS:
            return
        last_interrupt = now
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    code = 0
    outcome: tuple[bool, bytes, bytes | None]
    try:
        supervise, func, args = pickle.load(sys.stdin.buffer)
        lifeline = _keep_lifeline(supervise=supervise)
        outcome = True, _dumps(func(**args)), None
    except BaseException as error:
        code = 130 if isinstance(error, KeyboardInterrupt) else 1
        outcome = _failure(error)
    scratch = Path(result_path + ".scratch")
    scratch.write_bytes(pickle.dumps(outcome))
    scratch.replace(result_path)
    if os.name == "posix" and lifeline >= 0 and select.select([lifeline], [], [], 0)[0]:
        shutil.rmtree(Path(result_path).parent, ignore_errors=True)  # the parent is gone: nobody will read it
    sys.exit(code)


def _keep_lifeline(*, supervise: bool) -> int:
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # user code that reads stdin gets the end at once
    os.close(nothing)
    if supervise:
        threading.Thread(target=_watch_parent, args=(lifeline,), daemon=True, name="targets-lifeline").start()
    return lifeline


def _watch_parent(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns when the parent is gone
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(LEAVE_SECONDS)
    os._exit(130)


def _failure(error: BaseException) -> tuple[bool, bytes, bytes | None]:
    original = getattr(error, "original", None)
    if isinstance(error, TarRunError):
        error.original = None
    kept = None
    with contextlib.suppress(Exception):
        kept = _dumps(original) if original is not None else None
    try:
        data = _dumps(error)
        pickle.loads(data)
    except Exception:
        text = str(error) or type(error).__name__
        names = tuple(kind.__name__ for kind in type(error).__mro__)
        data = _dumps(TarRunError(text, traceback=user_traceback(error), condition_class=names))
    return False, data, kept


def _dumps(value: Any) -> bytes:
    import cloudpickle

    data: bytes = cloudpickle.dumps(value, protocol=5)
    return data
