"""Running the pipeline."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.child import BackgroundProcess, call_runner, callr_r, callr_r_bg
from targets_py.engine.events import RunSummary
from targets_py.errors import TarRunWarning, TarValidateError
from targets_py.places import note, open_pipeline, script_path, setting, store_path
from targets_py.reporter import create_reporter, reporter_name
from targets_py.selection import tar_tidyselect_eval
from targets_py.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from targets_py.places import StrPath
    from targets_py.selection import Selector

__all__ = ("tar_make",)


def tar_make(
    names: Selector = None,
    *,
    shortcut: bool | None = None,
    reporter: str | None = None,
    seconds_meta_append: float | None = None,
    seconds_meta_upload: float | None = None,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
    use_crew: bool | None = None,
    terminate_controller: bool = True,
    as_job: bool | None = None,
) -> BackgroundProcess | None:
    """Run the pipeline: build what is missing or outdated, skip what is up to date.

    Arguments that are None are those of the project, see `tar_config_set()`.

    Args:
        names: Build these targets and all that they need; None: all targets.
        shortcut: Look at the named targets only; what they need is taken from the store as it is.
        reporter: What to show on stderr: balanced, terse, verbose, timestamp or silent.
        seconds_meta_append: Least seconds between two writes of metadata and progress.
        seconds_meta_upload: Least seconds between two uploads of the metadata.
        callr_function: Where to run: `callr_r` (a fresh process), `callr_r_bg` (the same in the background),
            None (this process, for debugging), or any `f(func, args, **callr_arguments)`.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script that defines the pipeline.
        store: The data store.
        use_crew: Whether to run targets on the workers of the script's controller, if there is one.
        terminate_controller: Whether to end these workers at the end. False needs a controller that was made
            outside of the script and handed in: `envir={"pool": controller}` with `callr_function=None`.
        as_job: Run in the background and write the output to `meta/job.log` in the store.

    Returns:
        None; in the background the process, whose `get_result()` waits and raises what failed.

    Raises:
        TarValidateError: The script or an argument is wrong; nothing was run and nothing written.
        TarRunError: A target failed and stopped the pipeline, or another process runs one on this store.

    Example:
        >>> tar_make("report", reporter="silent")
        >>> tar_skipped("report")
        ['report']
    """
    outcome = run_make(
        names,
        shortcut=shortcut,
        reporter=reporter,
        seconds_meta_append=seconds_meta_append,
        seconds_meta_upload=seconds_meta_upload,
        callr_function=callr_function,
        callr_arguments=callr_arguments,
        envir=envir,
        script=script,
        store=store,
        use_crew=use_crew,
        terminate_controller=terminate_controller,
        as_job=as_job,
    )
    if not isinstance(outcome, RunSummary):
        return outcome
    if setting("reporter_make", reporter) != "silent":
        for text in warn_about(outcome):
            warnings.warn(text, TarRunWarning, stacklevel=2)
    return None


def run_make(
    names: Selector,
    *,
    shortcut: bool | None = None,
    reporter: str | None = None,
    seconds_meta_append: float | None = None,
    seconds_meta_upload: float | None = None,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
    use_crew: bool | None = None,
    terminate_controller: bool = True,
    as_job: bool | None = None,
    debug: Sequence[str] = (),
) -> RunSummary | BackgroundProcess:
    """`tar_make()` with its outcome: how the run ended, or the process that it goes on in.

    Args as there, and debug: targets to stop at with the debugger, as `tar_option_set(debug=)` does.
    """
    _seconds("seconds_meta_upload", seconds_meta_upload)  # nothing is uploaded yet
    place, job = store_path(store), setting("as_job", as_job)
    log = Path(place, "meta", "job.log")
    if job:
        callr_function, callr_arguments = callr_r_bg, {**(callr_arguments or {}), "stdout": str(log)}
    args = {
        "names": names,
        "shortcut": setting("shortcut", shortcut),
        "reporter": reporter_name(setting("reporter_make", reporter)),
        "seconds_meta_append": _seconds("seconds_meta_append", seconds_meta_append),
        "envir": envir,
        "script": script_path(script),
        "store": place,
        "use_crew": setting("use_crew", use_crew),
        "terminate_controller": terminate_controller,
        "debug": tuple(debug),
    }
    outcome: RunSummary | BackgroundProcess = call_runner(
        _make, args, callr_function, callr_arguments, "tar_make"
    )
    if job and isinstance(outcome, BackgroundProcess):
        note(f"The pipeline runs as process {outcome.pid}, and writes to {log}.")
    return outcome


def warn_about(summary: RunSummary) -> list[str]:
    """What the user should know about a run that ended: how many targets failed and warned."""
    texts = []
    for count, kind, field in (
        (summary.counts.errored or len(summary.errors), "errors", "error"),
        (summary.counts.warned, "warnings", "warnings"),
    ):
        if count:
            targets = "target" if count == 1 else "targets"
            remedy = f'tar_meta(fields="{field}", complete_only=True)'
            texts.append(f"{count} {targets} produced {kind}: see {remedy}")
    return texts


def _make(
    names: Selector,
    shortcut: bool,
    reporter: str,
    seconds_meta_append: float,
    envir: dict[str, Any] | None,
    script: str,
    store: str,
    use_crew: bool,
    terminate_controller: bool,
    debug: tuple[str, ...],
) -> RunSummary:
    from targets_py.engine.run import run_pipeline

    with _active(), open_pipeline("tar_make", script, store, envir) as pipeline:
        if debug:
            pipeline.options = replace(pipeline.options, debug=debug)
        modes = {name: target.settings.error for name, target in pipeline.targets.items()}
        return run_pipeline(
            pipeline,
            Store(store),
            create_reporter(reporter, modes),
            names=tar_tidyselect_eval(names, pipeline.targets),
            shortcut=shortcut,
            use_crew=use_crew,
            seconds_meta_append=seconds_meta_append,
            terminate_controller=terminate_controller,
        )


@contextmanager
def _active() -> Iterator[None]:
    before = os.environ.get("TAR_ACTIVE")
    os.environ["TAR_ACTIVE"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TAR_ACTIVE"]
        else:
            os.environ["TAR_ACTIVE"] = before


def _seconds(name: str, given: float | None) -> float:
    value = setting(name, given)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise TarValidateError(f"{name} must be a number of seconds of at least 0, not {value!r}")
    return float(value)
