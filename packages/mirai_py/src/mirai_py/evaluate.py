"""Run one task: find its code, read its arguments, call it, pack what came of it.

Whatever goes wrong on the way is the result of that task and of nothing else.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import os
import pickle
import socket
import sys
import traceback
import types
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mirai_py import codes, serial
from mirai_py.bodies import Reference
from mirai_py.cleanup import Surroundings
from mirai_py.codes import KEY_SIZE
from mirai_py.errors import describe
from mirai_py.frames import Status, TaskFlag
from mirai_py.interrupt import Interrupt, leave_child
from mirai_py.shm import Lent
from mirai_py.streams import Stream, own_drawing, seed_generators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mirai_py.codes import CodeCache
    from mirai_py.custom import Custom
    from mirai_py.frames import Buffer, Parts

P = ParamSpec("P")
T = TypeVar("T")
_HERE = str(Path(__file__).parent) + os.sep
_LIBRARY = (_HERE, pickle.__file__, ast.__file__)
# True while a task runs in this context: `on_daemon()`, and what must not be done from within a map.
_in_task: ContextVar[str] = ContextVar("mirai_py_task", default="")


def on_daemon() -> bool:
    """Whether this code runs inside a task.

    Example:
        >>> on_daemon()
        False
    """
    return bool(_in_task.get())


def in_map() -> bool:
    """Whether this code runs inside an element of `mirai_map`."""
    return _in_task.get() == "map"


class in_task(own_drawing):  # noqa: N801 - see there
    """Mark this context as one in which a task runs: "task", or "map" for an element of a map."""

    __slots__ = ("_token", "_what")

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        super().__enter__()
        self._token = _in_task.set(self._what)

    def __exit__(self, *_: object) -> None:
        _in_task.reset(self._token)
        super().__exit__()


class Evaluator:
    """Runs tasks, one at a time, in a namespace that outlives them.

    Attributes:
        custom: how objects of some classes travel back.
        shares: the host can read the memory of this process.
        lent: what of it the host may be reading.
    """

    def __init__(
        self,
        cache: CodeCache,
        namespace: dict[str, Any],
        *,
        cleanup: bool = True,
        interrupt: Interrupt | None = None,
        fetch: Callable[[bytes], None] | None = None,
    ) -> None:
        self.cache = cache
        self.namespace = namespace
        self.interrupt = interrupt or Interrupt()
        self.shares = False
        self.lent = Lent()
        self._cleanup = cleanup
        self._fetch = fetch
        self._around: Surroundings | None = None
        self.custom: Custom | None = None

    def run(self, task: int, flags: int, body: Buffer) -> tuple[Status, Parts]:
        """Run a task and pack its outcome."""
        everywhere = flags & TaskFlag.EVERYWHERE != 0
        if everywhere:
            self._around = None  # what it changes lasts
        else:
            self.look_around()
        with in_task("map" if flags & TaskFlag.MAP else "task"):
            try:
                if everywhere:
                    return self._run(task, body, everywhere)
                return self.apart(self._run, task, body, everywhere)
            finally:
                self.clean()

    def apart(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a call; context variables that it sets are forgotten, where a task must leave nothing behind.

        Such is numpy's treatment of floating-point errors.
        """
        if not self._cleanup:
            return call(*args, **kwargs)
        return copy_context().run(call, *args, **kwargs)

    def look_around(self) -> None:
        """Before a task: take what it must not leave changed."""
        if self._cleanup and self._around is None:
            self._around = Surroundings.of(self.namespace)

    def clean(self) -> None:
        """After a task: put that back."""
        if self._around is not None:
            self._around.restore(self.namespace)

    def _run(self, task: int, body: Buffer, everywhere: bool) -> tuple[Status, Parts]:
        interrupt = self.interrupt
        try:
            call, args, kwargs, extras = self._read(body)
            prepared = self._prepare(call, args, kwargs, extras or {}, everywhere=everywhere)
            if extras and (stream := extras.get("stream")):
                seed_generators(Stream(*stream))
            if extras and (carrier := extras.get("otel")):
                prepared = _traced(prepared, carrier)
            try:
                interrupt.begin(task)
                value = prepared(*args, **kwargs)
            finally:
                interrupt.running = None
                if interrupt.forked:
                    leave_child()
            if everywhere:
                self._keep_globals(call)
        except KeyboardInterrupt:
            interrupt.running = None  # it may have come just before that was done
            return Status.INTERRUPT, []
        except BaseException as error:
            return Status.ERROR, [describe(error, user_frames(error))]
        return self.pack(value)

    def pack(self, value: Any) -> tuple[Status, Parts]:
        """Pack a value, or the error that it cannot be sent."""
        try:
            parts = serial.dumps(value, None, self.custom, share=self.shares)
        except BaseException as error:
            told = f"cannot serialise the result of type {type(value).__qualname__}: {error}"
            if inspect.iscoroutine(value):
                value.close()
                told += ". Nothing awaits it: submit a function that calls asyncio.run()"
            failure = TypeError(told)
            return Status.ERROR, [describe(failure, [])]
        if not isinstance(parts[0], Reference):
            return Status.OK, parts
        self.lent.lend(parts[0].holders)
        return Status.SHARED, parts

    def _read(self, body: Buffer) -> tuple[Any, tuple[Any, ...], dict[str, Any], dict[str, Any] | None]:
        """The callable (or compiled source) and its arguments, fetching codes that are not here."""
        view = memoryview(body)
        key = bytes(view[:KEY_SIZE])
        return self.complete(lambda: (self.code(key), *serial.loads(view[KEY_SIZE:])))

    def complete(self, read: Callable[[], T]) -> T:
        """What `read()` gives, once the codes that it misses have been fetched.

        Raises:
            Exception: whatever it raises for another reason.
        """
        while True:
            try:
                return read()
            except codes.MissingCodeError as missing:
                if self._fetch is None:
                    raise
                self._fetch(missing.key)
            except ImportError as error:
                error.add_note(f"while reading the task on {socket.gethostname()}, pid {os.getpid()}")
                raise

    def code(self, key: bytes) -> Any:
        """The callable, or compiled source, of a code; as new where it could tell.

        Raises:
            MissingCodeError: it is not here.
        """
        body = self.cache.body(key)
        kind = body[:1]
        if kind in (codes.REFERENCE, codes.SHARED):
            return self.cache.shared(key, serial.loads)
        if kind == codes.STEADY:
            return codes.renewed(self.cache.shared(key, pickle.loads))
        if kind == codes.SOURCE:
            return self.cache.shared(key, Source)
        return serial.loads(memoryview(body)[1:])

    def _prepare(
        self,
        call: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        extras: Mapping[str, Any],
        *,
        everywhere: bool,
    ) -> Callable[..., Any]:
        names = extras.get("globals") or {}
        if isinstance(call, Source):
            keep = "all" if everywhere else "new" if not self._cleanup else ""
            return lambda **arguments: call.run(self.namespace, names, arguments, keep=keep)
        if everywhere:
            self.namespace.update(names)
        self.show_names(names, (call, *args, *kwargs.values()))
        if not callable(call):
            raise TypeError(f"a task is a function or source text, not {type(call).__name__}")
        return call  # type: ignore[no-any-return]

    def show_names(self, names: Mapping[str, Any], items: Iterable[Any]) -> None:
        """Make the daemon's names, and those of a task, visible to the functions among its parts."""
        for item in items:
            if isinstance(item, types.FunctionType) and sent_by_value(item):
                inject(item.__globals__, self.namespace, names)

    def _keep_globals(self, call: Any) -> None:
        """What a function of `everywhere` assigned with `global` lasts."""
        if isinstance(call, types.FunctionType) and sent_by_value(call):
            stored = _stored_globals(call.__code__)
            self.namespace.update((k, call.__globals__[k]) for k in stored if k in call.__globals__)


def is_traced() -> bool:
    """Whether OpenTelemetry was given something to do in this process by now; else spans cost nothing."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    return trace is not None and not isinstance(
        trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider
    )


def _traced(call: Callable[..., Any], carrier: dict[str, str]) -> Callable[..., Any]:
    """The same with a span around it, if OpenTelemetry is installed here."""
    try:
        from mirai_py.spans import Evaluation
    except ImportError:
        return call

    def traced(*args: Any, **kwargs: Any) -> Any:
        with Evaluation(carrier):
            return call(*args, **kwargs)

    return traced


def sent_by_value(function: types.FunctionType) -> bool:
    """Whether a function's globals are its own, not those of a module."""
    module = sys.modules.get(function.__module__ or "")
    return module is None or function.__globals__ is not module.__dict__


def inject(table: dict[str, Any], namespace: Mapping[str, Any], names: Mapping[str, Any]) -> None:
    """Make the daemon's names visible to a function sent by value, and the task's own before them."""
    for name, value in namespace.items():
        if not name.startswith("__"):
            table.setdefault(name, value)
    table.update(names)


def _stored_globals(code: types.CodeType) -> set[str]:
    import dis

    found = {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_GLOBAL"}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _stored_globals(constant)
    return found


class Source:
    """Source text, compiled: a body, and the last expression whose value is the result."""

    def __init__(self, text: bytes) -> None:
        source = text.decode("utf-8", "surrogatepass")
        self._name = name = f"<mirai {abs(hash(source)):x}>"
        # So that tracebacks and debuggers show the lines.
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        tree = ast.parse(source, name)
        last = tree.body[-1] if tree.body else None
        value = None
        if isinstance(last, ast.Expr):
            tree.body.pop()
            value = compile(ast.Expression(last.value), name, "eval")
        self._body = compile(tree, name, "exec")
        self._last = value

    def __del__(self) -> None:
        linecache.cache.pop(getattr(self, "_name", ""), None)

    def run(
        self, namespace: dict[str, Any], names: Mapping[str, Any], arguments: Mapping[str, Any], *, keep: str
    ) -> Any:
        """Run it on the namespace, overlaid by `names`, overlaid by `arguments`.

        Args:
            namespace: the daemon's names.
            names: visible in this task only.
            arguments: likewise, and nearer.
            keep: what lasts in the namespace: "new", what it assigns; "all", the overlaid names too; or "".
        """
        scope = {"__builtins__": builtins, **namespace, **names, **arguments}
        before = namespace if keep == "all" else dict(scope)
        exec(self._body, scope)  # noqa: S102 - running source text is what the user asked for
        value = None if self._last is None else eval(self._last, scope)  # noqa: S307
        if keep:
            namespace.update({k: v for k, v in scope.items() if k not in before or before[k] is not v})
            namespace.pop("__builtins__", None)
        return value


def user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of a traceback that are not of this package."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f for f in frames if not f.filename.startswith(_LIBRARY)]
