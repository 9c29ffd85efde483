"""Run one task on a worker: whatever it does ends as a record, and leaves the worker as it was.

On the way of a task this is the last stop: `push` sends `crew_eval` with the command, mirai_py calls it in
the worker's main thread, and the record travels back.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import sys
import time
import traceback
import warnings
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from crew_py import metrics
from crew_py.errors import CrewError
from crew_py.monad import FIELDS, Command, Monad, describe_command, printable, shorten
from crew_py.rng import seeded
from crew_py.source import run_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

__all__ = ("crew_eval",)

WARNINGS_KEPT: Final = 50
# Frames that a traceback may start with and no user wants to read.
MACHINERY: Final = ("crew_py.", "mirai_py.", "importlib.", "contextlib")


def crew_eval(
    command: Command,
    name: str,
    data: Mapping[str, Any] | None = None,
    globals: Mapping[str, Any] | None = None,  # noqa: A002 - the original's name
    seed: int | None = None,
    algorithm: str | None = None,
    packages: Sequence[str] = (),
    library: str | Sequence[str] | None = None,
    reset_globals: bool = True,
    reset_packages: bool = False,
    reset_options: bool = False,
    garbage_collection: bool = False,
) -> Monad:
    """Run a command and describe how it went.

    Args:
        command: a callable, called as `command(**data)`, or source text, whose value is that of its last
            expression and which sees `data` as names.
        name: name of the task.
        data: arguments.
        globals: names for this task in `__main__`, and in the namespace of functions sent by value.
        seed: seeds `random`, numpy's legacy generator (if numpy is imported by then) and `crew_rng()` for
            this task; None: the worker's own stream goes on.
        algorithm: numpy bit generator of `crew_rng()`: "MT19937" (default), "PCG64", "Philox", "SFC64".
        packages: modules to import first and bind in `__main__`.
        library: folders to put before `sys.path` while they are imported.
        reset_globals: whether to undo afterwards what was assigned in `__main__`.
        reset_packages: whether to restore `sys.path`.
        reset_options: whether to restore `os.environ`, the working directory and the warning filters.
        garbage_collection: whether to collect garbage afterwards.

    Returns:
        The twelve fields of a row of results. `status` is "success" or "error"; None as a result is an
        ordinary value.

    Example:
        >>> crew_eval(pow, "task", {"base": 2, "exp": 5})["result"]
        32
    """
    arguments = dict(data or {})
    warned = _Warned()
    result, error, trace = None, None, None
    started = time.perf_counter()
    try:
        with ExitStack() as stack:
            stack.enter_context(metrics.phase(name))
            if reset_options:
                stack.enter_context(_options_kept())
            if reset_packages:
                stack.enter_context(_path_kept())
            if reset_globals:
                stack.enter_context(_main_kept())
            stack.enter_context(warned.catching(persist_filters=not reset_options))
            names = {**_import(packages, library), **(globals or {})}
            _main().update(names)
            if seed is not None or algorithm is not None:
                stack.enter_context(seeded(seed, algorithm))
            for function in (command, *arguments.values()) if names else ():
                stack.enter_context(_visible(names, function))
            if isinstance(command, str):
                result = _run_text(command, arguments, keep=not reset_globals)
            else:
                result = command(**arguments)
    except KeyboardInterrupt:  # how mirai_py cancels
        raise
    except BaseException as exception:
        result = None
        error = shorten(printable(exception) or type(exception).__name__)
        trace = shorten(_trace(exception), keep_end=True)
        _say(f"Error: {error}")
    seconds = time.perf_counter() - started
    if garbage_collection:
        gc.collect()
    values = (
        name,
        describe_command(command, arguments),
        result,
        "success" if error is None else "error",
        error,
        0 if error is None else -1,
        trace,
        warned.text(),
        seconds,
        seed,
        algorithm,
        os.environ.get("CREW_CONTROLLER"),
    )
    return dict(zip(FIELDS, values, strict=True))


@dataclass(slots=True)
class _Warned:
    """The warnings of a task: noted, said on stderr, never raised."""

    messages: list[str] = field(default_factory=list)

    @contextmanager
    def catching(self, *, persist_filters: bool) -> Iterator[None]:
        outer = warnings.filters
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            ours = warnings.filters[0]
            warnings.showwarning = self._note
            try:
                yield
            finally:
                if persist_filters:
                    outer[:] = [item for item in warnings.filters if item is not ours]  # type: ignore[index]

    def _note(self, message: Warning | str, *_: Any, **__: Any) -> None:
        text = printable(message)
        if len(self.messages) < WARNINGS_KEPT:
            self.messages.append(text)
        _say(f"Warning: {text}")

    def text(self) -> str | None:
        return shorten(". ".join(self.messages)) if self.messages else None


def _main() -> dict[str, Any]:
    return vars(sys.modules["__main__"])


def _run_text(source: str, arguments: dict[str, Any], *, keep: bool) -> Any:
    """Run source in a copy of `__main__` overlaid by the arguments, which are never copied back.

    A copy, because a function that is the task's value still needs its names when it is pickled.
    """
    main = _main()
    before = {**main, **arguments}
    namespace = dict(before)
    try:
        return run_source(source, namespace)
    finally:
        if keep:
            for name, value in namespace.items():
                if name not in arguments and before.get(name, before) is not value:
                    main[name] = value
            for name in before.keys() - namespace.keys() - arguments.keys():
                main.pop(name, None)


def _import(packages: Sequence[str], library: str | Sequence[str] | None) -> dict[str, Any]:
    """Import modules; returns what an import statement would bind."""
    folders = [] if library is None else [library] if isinstance(library, str) else list(library)
    bound = {}
    before = list(sys.path)
    sys.path[:0] = folders
    try:
        for package in packages:
            try:
                importlib.import_module(package)
            except ImportError as error:
                raise CrewError(f"cannot import the package {package!r} on the worker: {error}") from error
            top = package.partition(".")[0]
            bound[top] = sys.modules[top]
    finally:
        if folders:
            sys.path[:] = before
    return bound


def _namespace(function: object) -> dict[str, Any] | None:
    """The globals of a function that travels by value; None for an importable one and for other things."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    namespace = getattr(function, "__globals__", None)
    if not isinstance(namespace, dict) or namespace is _main():
        return None
    module = sys.modules.get(namespace.get("__name__", ""))
    importable = module is not None and vars(module) is namespace
    return None if importable and "<" not in getattr(function, "__qualname__", "") else namespace


@contextmanager
def _visible(names: dict[str, Any], function: object) -> Iterator[None]:
    """Let a function see names for a while."""
    namespace = _namespace(function)
    if namespace is None:
        yield
        return
    with _bindings_kept(namespace, names):
        namespace.update(names)
        yield


@contextmanager
def _bindings_kept(namespace: dict[str, Any], names: Mapping[str, Any]) -> Iterator[None]:
    before = {name: namespace[name] for name in names if name in namespace}
    try:
        yield
    finally:
        for name in names:
            if name in before:
                namespace[name] = before[name]
            else:
                namespace.pop(name, None)


@contextmanager
def _main_kept() -> Iterator[None]:
    main = _main()
    before = dict(main)
    try:
        yield
    finally:
        for name in main.keys() - before.keys():
            main.pop(name, None)
        for name, value in before.items():
            if main.get(name, before) is not value:
                main[name] = value


@contextmanager
def _path_kept() -> Iterator[None]:
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _options_kept() -> Iterator[None]:
    environment = dict(os.environ)
    folder = _folder()
    try:
        yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        for name, value in environment.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        if folder is not None and folder != _folder():
            with suppress(OSError):  # the folder is gone: nothing to go back to
                os.chdir(folder)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - text is all that is needed, 20 times faster
    except OSError:
        return None


def _trace(exception: BaseException) -> str:
    """The traceback of the user's own frames."""
    frames: TracebackType | None = exception.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith(MACHINERY):
        frames = frames.tb_next
    try:
        return printable("".join(traceback.format_exception(type(exception), exception, frames)))
    except Exception:
        return type(exception).__name__


def _say(text: str) -> None:
    with suppress(Exception):  # a task may have closed or replaced stderr
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the worker's log
