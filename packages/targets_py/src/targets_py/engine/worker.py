"""Running one target: load what it needs, run its command, store its value. The same here and on workers."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from targets_py.definition.seeds import tar_seed_set
from targets_py.engine.branching import bud_names, split
from targets_py.engine.context import Definition, running
from targets_py.engine.debug import stop_before
from targets_py.engine.traces import user_traceback
from targets_py.engine.values import Lazy, Loader, Reference
from targets_py.errors import TarCancel, TarRunError
from targets_py.hashing.value import UnhashableValueError
from targets_py.storage.formats import get_format, resolve_auto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from targets_py.definition.targets import Target
    from targets_py.engine.events import Kind
    from targets_py.hashing.code import Code, Parameter
    from targets_py.storage.store import FileInfo, Store

Status = Literal["completed", "errored", "canceled"]
TEXT_LIMIT = 2048  # characters of an error, of a warning, of all warnings together
WARNINGS_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Work:
    """What all branches of a target have in common.

    Attributes:
        target: The target.
        parameters: Parameters of its command.
        buds: Whether the slices of its value are to be named, because a pattern branches over it.
    """

    target: Target
    parameters: tuple[Parameter, ...]
    buds: bool


@dataclass(frozen=True, slots=True)
class Job:
    """One target or branch to run.

    Attributes:
        name: Its name.
        kind: "stem" or "branch".
        index: Number of a branch, -1 for a stem.
        seed: Its seed.
        inputs: Parameter (source: name) -> where the value is.
        sources: Parameter (source: name) -> name of the upstream target, for messages.
    """

    name: str
    kind: Kind
    index: int
    seed: int | None
    inputs: dict[str, Reference | Lazy]
    sources: dict[str, str]


@dataclass(slots=True)
class Outcome:
    """How a target ended.

    Attributes:
        status: "completed", "errored" or "canceled".
        seconds: Run time of the command in seconds.
        warnings: Texts of its warnings, joined, or None.
        format: The format it was stored in ("auto" is decided by then).
        data: Hash of the value.
        info: What was stored; None if nothing was (yet).
        children: Names of its buds, if a pattern branches over it.
        value: The value, if it is to be stored by who gets this.
        error: Text of the error.
        traceback: Text of the error's traceback, the user's frames only.
        classes: Names of the error's class and its bases.
        exception: The error itself; it does not travel.
    """

    status: Status
    seconds: float = 0.0
    warnings: str | None = None
    format: str = ""
    data: str | None = None
    info: FileInfo | None = None
    children: list[str] | None = None
    value: Any = None
    error: str = ""
    traceback: str = ""
    classes: tuple[str, ...] = ()
    exception: BaseException | None = None


@dataclass(slots=True)
class Site:
    """Where targets run: this process, or a worker.

    Attributes:
        store: The data store.
        namespace: Globals of source commands.
        code: Hashes of the project's code.
        loader: Loads upstream values.
        garbage_collection: Collect garbage before every n-th target here; 0: never.
        ran: How many targets have run here.
    """

    store: Store
    namespace: dict[str, Any]
    code: Code
    loader: Loader
    garbage_collection: int = 0
    ran: int = 0


def run_target(work: Work, job: Job, site: Site, *, store_value: bool = True, debug: bool = False) -> Outcome:
    """Run a target.

    Args:
        work: What it does.
        job: Which branch, with which seed and inputs.
        site: Where it runs.
        store_value: Whether to store the value; otherwise it is returned for `store_outcome()`.
        debug: Whether to stop before the command.

    Returns:
        How it ended; errors of the command are part of that.
    """
    target = work.target
    heard = _Warnings()
    outcome = Outcome("completed", format=target.settings.format)
    definition = Definition(job.name, target.name, job.index if job.index >= 0 else None, target, job.seed)
    folder = os.getcwd()  # noqa: PTH109 - each target pays for it
    with heard.captured(), running(definition, site.namespace) as state:
        try:
            values = {name: _load(site, job, name, reference) for name, reference in job.inputs.items()}
            if debug:
                assert target.command is not None
                stop_before(job.name, target.command, values, site.namespace)
            start = time.perf_counter()
            try:
                outcome.value = _run_command(work, job, site, values)
            finally:
                outcome.seconds = time.perf_counter() - start
                _check_folder(folder)
            if not state.canceled:
                _convert(work, outcome)
                if store_value:
                    store_outcome(work, job, site, outcome)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            _fail(outcome, error)
            state.canceled = state.canceled or isinstance(error, TarCancel)
    if state.canceled:
        outcome = Outcome("canceled", outcome.seconds)
    outcome.warnings = heard.text()
    return outcome


def store_outcome(work: Work, job: Job, site: Site, outcome: Outcome) -> None:
    """Store the value of a target and hash it; an error is left in the outcome."""
    try:
        _store(work, job, site, outcome)
    except Exception as error:
        _fail(outcome, error)
    outcome.value = None


def _load(site: Site, job: Job, parameter: str, reference: Reference | Lazy) -> Any:
    if isinstance(reference, Lazy):
        return reference
    try:
        return site.loader.load(reference)
    except Exception as error:
        raise TarRunError(
            f"could not load dependency {job.sources[parameter]} of target {job.name}. {error}"
        ) from error


def _run_command(work: Work, job: Job, site: Site, values: dict[str, Any]) -> Any:
    target = work.target
    settings = target.settings
    assert target.command is not None
    site.ran += 1
    every = site.garbage_collection
    if settings.garbage_collection or (every and site.ran % every == 0):
        gc.collect()
    with _search_path(settings.library):
        modules = import_packages(settings.packages)
        tar_seed_set(job.seed)
        namespace = {**site.namespace, **modules} if modules else site.namespace
        return target.command.run(target.name, values, work.parameters, namespace)


def import_packages(names: tuple[str, ...]) -> dict[str, Any]:
    """Import modules.

    Returns:
        First part of each name -> module, as an import statement binds it.

    Raises:
        TarRunError: One cannot be imported.
    """
    modules = {}
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise TarRunError(f"could not import package {name}: {error}") from error
        top = name.partition(".")[0]
        modules[top] = sys.modules[top]
    return modules


@contextmanager
def _search_path(library: tuple[str, ...] | None) -> Iterator[None]:
    if not library:
        yield
        return
    before = list(sys.path)
    sys.path[:0] = library
    try:
        yield
    finally:
        sys.path[:] = before


def _check_folder(folder: str) -> None:
    now = os.getcwd()  # noqa: PTH109 - each target pays for it
    if now != folder:
        os.chdir(folder)
        raise TarRunError(f"changed the working directory from {folder} to {now}")


def _convert(work: Work, outcome: Outcome) -> None:
    settings = work.target.settings
    if settings.format == "auto":
        outcome.format = resolve_auto(outcome.value)
    if settings.storage != "none":
        outcome.value = get_format(outcome.format).convert(outcome.value)


def _store(work: Work, job: Job, site: Site, outcome: Outcome) -> None:
    settings = work.target.settings
    form = get_format(outcome.format)
    # Downstream targets see what is read from the store, which differs from the value in some formats.
    reread = form.lossy or settings.storage == "none"
    if work.buds and not reread:
        outcome.children = _buds(job, site, outcome.value, settings.iteration)
    if settings.storage == "none":
        outcome.info = site.store.look(job.name, outcome.format, outcome.value)
        outcome.data = outcome.info.file_hash
    else:
        hashed = None if form.lossy or outcome.format == "file" else _hash(site.code, outcome.value)
        options = settings.resources.of(outcome.format)
        outcome.info = site.store.write(job.name, outcome.format, outcome.value, options)
        outcome.data = hashed or outcome.info.file_hash
    if work.buds and reread:
        value = site.store.read_object(job.name, outcome.format, outcome.info.path)
        outcome.children = _buds(job, site, value, settings.iteration)


def _buds(job: Job, site: Site, value: Any, iteration: str) -> list[str]:
    return bud_names(job.name, split(value, iteration, job.name), iteration, site.code)


def _hash(code: Code, value: Any) -> str | None:
    try:
        return code.value_hash(value)
    except UnhashableValueError:
        return None


def _fail(outcome: Outcome, error: BaseException) -> None:
    outcome.status = "errored"
    outcome.value = None
    outcome.data = None
    outcome.info = None
    outcome.error = error_text(error)
    outcome.traceback = user_traceback(error)
    outcome.classes = tuple(kind.__name__ for kind in type(error).__mro__ if kind is not object)
    outcome.exception = error


def error_text(error: BaseException) -> str:
    """The text of an error, or its class if it has none."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return (text or type(error).__name__)[:TEXT_LIMIT]


class _Warnings:
    """Keeps the warnings of a command while they are shown as ever."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def text(self) -> str | None:
        """What was kept, as the metadata has it."""
        return ". ".join(self._texts)[:TEXT_LIMIT] if self._texts else None

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Listen until the body ends."""
        with warnings.catch_warnings():
            # Equal warnings of one place count each time.
            warnings.filters = [
                ("always", *rule[1:]) if rule[0] in _ONCE else rule for rule in warnings.filters
            ]
            warnings.simplefilter("always", append=True)
            shown = warnings.showwarning

            def show(message: Warning | str, *rest: Any, **named: Any) -> None:
                self._keep(message)
                shown(message, *rest, **named)

            warnings.showwarning = show
            yield

    def _keep(self, message: Warning | str) -> None:
        if len(self._texts) < WARNINGS_LIMIT:
            self._texts.append(without_colors(str(message))[:TEXT_LIMIT])


_ONCE = frozenset({"default", "module", "once"})


def without_colors(text: str) -> str:
    """Text without the codes that color terminals."""
    if "\x1b" not in text:
        return text
    import re

    return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", text)
