"""Functions called in a fresh Python process: what hangs around in a session cannot change a pipeline."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py import metrics
from targets_py.child.background import BackgroundProcess, forget_ended
from targets_py.child.interpreter import Child
from targets_py.child.sinks import Sinks
from targets_py.engine.traces import user_traceback
from targets_py.errors import TarError, TarRunError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    CallrFunction = Callable[..., Any]

HINT = "`targets errors -v` for where it happened"


def callr_r(
    func: Callable[..., Any],
    args: Mapping[str, Any] | None = None,
    *,
    show: bool = True,
    stdout: str | os.PathLike[str] | None = None,
    stderr: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    python: str | None = None,
    spinner: bool = False,
) -> Any:
    """Call a function in a fresh Python process and wait for its result.

    Args:
        func: What to call; it travels as a cloudpickle.
        args: Its arguments by name.
        show: Whether output is shown, as it comes.
        stdout: Where output goes: None for this process's, a path, or "1>&2" to join it to stderr.
        stderr: Where messages go: None for this process's, a path, or "2>&1" to join them to stdout.
        env: Environment variables to add.
        cwd: Working directory; None: this one.
        python: The interpreter; None: this one.
        spinner: Whether a terminal shows that something is going on.

    Returns:
        What the function returned.

    Raises:
        TarRunError: The child process ended without a result.
        Exception: What the function raised.

    Example:
        >>> callr_r(lambda x: x + 1, {"x": 1})
        2
    """
    with tempfile.TemporaryDirectory(prefix="targets-child-", ignore_cleanup_errors=True) as folder:
        sinks = Sinks(stdout, stderr, show=show)
        variables = {**metrics.child_environment(), **(env or {})}
        child = Child(func, args or {}, folder, sinks, env=variables, cwd=cwd, python=python)
        try:
            shown = _spinner() if spinner else contextlib.nullcontext()
            with metrics.child_followed(child.process.pid), shown:
                interrupted = child.wait_forwarding_interrupts()
            return child.result(interrupted=interrupted)
        finally:
            child.close()


def callr_r_bg(
    func: Callable[..., Any],
    args: Mapping[str, Any] | None = None,
    *,
    stdout: str | os.PathLike[str] | None = None,
    stderr: str | os.PathLike[str] | None = "2>&1",
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    python: str | None = None,
    supervise: bool = True,
) -> BackgroundProcess:
    """Call a function in a fresh Python process and return at once.

    Args:
        func: What to call; it travels as a cloudpickle.
        args: Its arguments by name.
        stdout: Where output goes: None to keep it for `read_output()`, or a path.
        stderr: Where messages go: "2>&1" to join them to stdout, None to drop them, or a path.
        env: Environment variables to add.
        cwd: Working directory; None: this one.
        python: The interpreter; None: this one.
        supervise: Whether the child ends when this process ends.

    Example:
        >>> callr_r_bg(lambda x: x + 1, {"x": 1}).get_result()
        2
    """
    forget_ended()
    folder = tempfile.mkdtemp(prefix="targets-child-")
    output = Path(folder, "output") if stdout is None else Path(stdout)
    try:
        sinks = Sinks(output, stderr, show=False)
        child = Child(func, args or {}, folder, sinks, env=env, cwd=cwd, python=python, supervise=supervise)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return BackgroundProcess(child, output)


def tar_callr_args_default(
    callr_function: CallrFunction | None, reporter: str | None = None
) -> dict[str, Any]:
    """Default `callr_arguments` of `tar_make()` and others.

    Args:
        callr_function: `callr_r`, `callr_r_bg`, or None.
        reporter: Not used; there because R has it.

    Returns:
        The arguments that function accepts, with their defaults; {} for None and functions of your own.

    Example:
        >>> tar_callr_args_default(callr_r_bg)["supervise"]
        True
    """
    import inspect

    del reporter
    if callr_function not in {callr_r, callr_r_bg}:
        return {}
    parameters = inspect.signature(callr_function).parameters
    return {name: parameters[name].default for name in _ARGUMENTS[callr_function]}


_ARGUMENTS: dict[CallrFunction, tuple[str, ...]] = {
    callr_r: ("show", "stdout", "stderr", "env", "cwd", "python", "spinner"),
    callr_r_bg: ("stdout", "stderr", "env", "cwd", "python", "supervise"),
}


def call_runner(
    function: Callable[..., Any],
    args: Mapping[str, Any],
    callr_function: CallrFunction | None,
    callr_arguments: Mapping[str, Any] | None,
    caller: str,
) -> Any:
    """Call the inner part of a runner such as `tar_make()` where the user wants it to run.

    Args:
        function: The inner part; it must be importable.
        args: Its arguments by name.
        callr_function: `callr_r`, `callr_r_bg`, None for this process, or `f(func, args, **callr_arguments)`.
        callr_arguments: More arguments of that function.
        caller: Name of the runner, for messages.

    Raises:
        TypeError: An argument in `callr_arguments` is unknown.
        TarError: What went wrong in the inner part, whichever exception it was.
    """
    extra = dict(callr_arguments or {})
    guarded = partial(_guarded, caller, function)
    if callr_function is None:
        return guarded(**args)
    known = _ARGUMENTS.get(callr_function)
    unknown = sorted(extra.keys() - set(known or extra))
    if known and unknown:
        name = callr_function.__name__
        raise TypeError(f"unknown callr_arguments {', '.join(unknown)}: {name} takes {', '.join(known)}")
    return callr_function(guarded, dict(args), **extra)


def _guarded(caller: str, function: Callable[..., Any], /, **args: Any) -> Any:
    try:
        return function(**args)
    except TarError as error:
        hint = isinstance(error, TarRunError)  # what is wrong with the script stands in the message itself
        error.args = (_message(caller, str(error), hint=hint),)
        raise error.with_traceback(None) from None
    except (Exception, SystemExit) as error:  # user code must not end the session that called it
        text = str(error) or type(error).__name__
        raise TarRunError(
            _message(caller, text, hint=True),
            traceback=user_traceback(error),
            original=error,
            condition_class=tuple(kind.__name__ for kind in type(error).__mro__),
        ) from None


def _message(caller: str, text: str, *, hint: bool) -> str:
    return f"Error in {caller}():\n  {text}" + (f"\n  See {HINT}" if hint else "")


@contextlib.contextmanager
def _spinner() -> Iterator[None]:
    from rich.console import Console

    with Console(stderr=True).status("waiting for the child process"):
        yield
