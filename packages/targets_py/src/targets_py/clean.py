"""Forgetting and deleting what was built."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.child import call_runner, callr_r
from targets_py.engine.codes import CodeHashes
from targets_py.engine.globals import global_records
from targets_py.engine.graph import build_graph
from targets_py.errors import TarRunError, TarValidateError
from targets_py.meta import GLOBALS
from targets_py.paths import tar_path_script_support
from targets_py.places import (
    existing_store,
    note,
    open_pipeline,
    reading_store,
    script_path,
    store_path,
)
from targets_py.selection import tar_tidyselect_eval
from targets_py.storage.lock import StoreLock, owner_lives, read_owner
from targets_py.storage.metadata import Depends, Metadata
from targets_py.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from targets_py.places import StrPath
    from targets_py.script import Pipeline
    from targets_py.selection import Selector
    from targets_py.storage.records import Record

__all__ = (
    "tar_delete",
    "tar_destroy",
    "tar_invalidate",
    "tar_prune",
    "tar_prune_list",
    "tar_unblock_process",
    "tar_unscript",
)

PARTS = ("all", "cloud", "local", "meta", "process", "progress", "objects", "scratch", "workspaces", "user")


def tar_invalidate(names: Selector, store: StrPath | None = None) -> None:
    """Forget targets and their branches, so that they run again; their values and the progress stay.

    Args:
        names: Which targets, functions and other globals.
        store: The data store; None: that of the project.

    Raises:
        TarValidateError: An unknown name, or no store.
        TarRunError: A pipeline is running on this store.

    Example:
        >>> tar_invalidate("report")
        >>> tar_outdated()
        ['report', 'bad']
    """
    place = existing_store(store)
    with StoreLock(place):
        metadata, depends = Metadata.load(place), Depends.load(place)
        gone = _with_branches(tar_tidyselect_eval(names, metadata.records) or [], metadata.records)
        metadata.remove(gone)
        depends.remove(gone)


def tar_delete(
    names: Selector,
    cloud: bool = True,
    batch_size: int = 1000,
    verbose: bool = True,
    store: StrPath | None = None,
) -> None:
    """Delete the stored values of targets and their branches; what is recorded of them stays.

    Files that targets of format "file" track are never touched.

    Args:
        names: Which targets.
        cloud: Whether to delete values in the cloud too.
        batch_size: How many of these in one request, 1 to 1000.
        verbose: Whether to say how many values were deleted.
        store: The data store; None: that of the project.

    Raises:
        TarValidateError: An unknown name, or no store.
        TarRunError: A pipeline is running on this store.

    Example:
        >>> tar_delete("data", verbose=False)
        >>> tar_exist_objects("data")
        [False]
    """
    del cloud  # repositories in the cloud are not there yet
    _check_batch_size(batch_size)
    place = existing_store(store)
    with StoreLock(place):
        records = _targets(Metadata.load(place).records)
        chosen = tar_tidyselect_eval(names, records) or []
        deleted = [name for name in _with_branches(chosen, records) if place.delete(name)]
    if verbose:
        note(f"deleted {len(deleted)} objects")


def tar_destroy(
    destroy: str = "all",
    batch_size: int = 1000,
    verbose: bool = True,
    ask: bool | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> None:
    """Delete the data store or a part of it.

    Args:
        destroy: "all", "cloud", "local" (the whole folder), "meta", "process", "progress", "objects",
            "scratch", "workspaces" or "user".
        batch_size: How many values in the cloud to delete in one request, 1 to 1000.
        verbose: Whether to say what is done in the cloud.
        ask: Whether to ask first; None: environment variable TAR_ASK, else only on a terminal.
        script: The script, which says where in the cloud values are; None: that of the project.
        store: The data store; None: that of the project. If there is none, nothing happens.

    Raises:
        TarValidateError: Unknown part.
        TarRunError: A pipeline is running on this store.

    Example:
        >>> tar_destroy(ask=False)
        >>> tar_objects()
        []
    """
    del verbose, script  # repositories in the cloud are not there yet
    if destroy not in PARTS:
        raise TarValidateError(f"cannot destroy {destroy!r}: choose one of {', '.join(PARTS)}")
    _check_batch_size(batch_size)
    place = reading_store(store)
    if not place.exists() or destroy == "cloud" or not confirmed(f"Delete {destroy} of {place.path}?", ask):
        return
    lock = StoreLock(place)
    lock.acquire()
    whole = destroy in {"all", "local"}
    try:
        if whole:
            _empty(place)
        else:
            _remove_part(destroy, place)
    finally:
        lock.release(remove=whole)
    if whole:
        for folder in (place.meta, place.path):
            with contextlib.suppress(OSError):  # somebody makes a new store at this moment
                folder.rmdir()


def tar_prune(
    cloud: bool = True,
    batch_size: int = 1000,
    verbose: bool = True,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> None:
    """Forget and delete what does not belong to the present script: targets, branches and globals of old.

    Files that targets of format "file" track are never touched.

    Args:
        cloud: Whether to delete values in the cloud too.
        batch_size: How many of these in one request, 1 to 1000.
        verbose: Whether to say how many values were deleted.
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script; None: that of the project.
        store: The data store; None: that of the project.

    Raises:
        TarValidateError: The script is wrong.
        TarRunError: A pipeline is running on this store.

    Example:
        >>> tar_prune(verbose=False)
        >>> tar_read("report")
        60
    """
    del cloud  # repositories in the cloud are not there yet
    _check_batch_size(batch_size)
    args = {"script": script_path(script), "store": store_path(store), "envir": envir, "verbose": verbose}
    call_runner(_prune, args, callr_function, callr_arguments, "tar_prune")


def tar_prune_list(
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> list[str]:
    """Names of the targets and branches that `tar_prune()` would forget or delete.

    Args:
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script; None: that of the project.
        store: The data store; None: that of the project.

    Returns:
        The names, sorted; functions, other globals and targets of format "file" are left out.

    Example:
        >>> tar_prune_list()
        []
    """
    args = {"script": script_path(script), "store": store_path(store), "envir": envir}
    names: list[str] = call_runner(_prune_list, args, callr_function, callr_arguments, "tar_prune_list")
    return names


def tar_unblock_process(store: StrPath | None = None) -> None:
    """Remove what a dead process has left that keeps others from running a pipeline.

    Seldom needed: a lock ends with its process, except on file systems that have no locks.

    Args:
        store: The data store; None: that of the project.

    Raises:
        TarRunError: A living process holds the store; the message names its pid.

    Example:
        >>> tar_unblock_process()
        >>> tar_pid() is None
        True
    """
    place = reading_store(store)
    if not place.meta.is_dir():
        return
    owner = read_owner(place)
    if owner and owner_lives(owner) and owner.get("host") == socket.gethostname():
        raise TarRunError(f"process {owner['pid']} is running a pipeline on {place.path}: it must end first")
    place.owner_file.unlink(missing_ok=True)
    with StoreLock(place):
        place.process_file.unlink(missing_ok=True)


def tar_unscript(script: StrPath | None = None) -> None:
    """Remove the folder of files that notebooks have written for the script.

    Args:
        script: The script; None: that of the project.

    Example:
        >>> tar_unscript()
    """
    folder = tar_path_script_support() if script is None else f"{Path(script).with_suffix('')}_py"
    shutil.rmtree(folder, ignore_errors=True)


def confirmed(question: str, ask: bool | None) -> bool:
    """Whether the user says yes, or need not be asked.

    Args:
        question: What to ask.
        ask: Whether to ask; None: environment variable TAR_ASK, else only on a terminal.
    """
    if ask is None:
        wish = os.environ.get("TAR_ASK", "").lower()
        ask = wish == "true" or (wish != "false" and sys.stdin is not None and sys.stdin.isatty())
    if not ask:
        return True
    try:
        return input(f"{question} (yes/no) ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _prune(script: str, store: str, envir: dict[str, Any] | None, *, verbose: bool) -> None:
    with open_pipeline("tar_prune", script, store, envir) as pipeline:
        place = Store(store)
        if not place.exists():
            return
        with StoreLock(place):
            metadata, depends = Metadata.load(place), Depends.load(place)
            kept = _kept(pipeline, metadata.records)
            targets = _targets(metadata.records)
            metadata.prune(kept)
            depends.prune(kept)
            objects = [name for name in place.scan() if name not in kept or name not in targets]
            deleted = [name for name in objects if place.delete(name)]
            place.remove_scratch()
    if verbose:
        note(f"deleted {len(deleted)} objects")


def _prune_list(script: str, store: str, envir: dict[str, Any] | None) -> list[str]:
    with open_pipeline("tar_prune_list", script, store, envir) as pipeline:
        place = Store(store)
        records = Metadata.load(place).records
        kept = _kept(pipeline, records)
        targets = {name for name, record in _targets(records).items() if record.format != "file"}
        return sorted((targets | place.scan().keys()) - kept)


def _kept(pipeline: Pipeline, records: Mapping[str, Record]) -> set[str]:
    kept = set(pipeline.targets)
    for name in pipeline.targets:
        record = records.get(name)
        if record is not None and record.type == "pattern":
            kept.update(record.children or ())
    codes = CodeHashes(build_graph(pipeline).values(), pipeline.code)
    return kept | {record.name for record in global_records(pipeline, codes.references.values())}


def _targets(records: Mapping[str, Record]) -> dict[str, Record]:
    return {name: record for name, record in records.items() if record.type not in GLOBALS}


def _with_branches(names: Iterable[str], records: Mapping[str, Record]) -> list[str]:
    chosen = dict.fromkeys(names)
    branches = [name for name, record in records.items() if record.parent in chosen]
    return list(chosen | dict.fromkeys(branches))


def _check_batch_size(batch_size: int) -> None:
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= 1000:
        raise TarValidateError(f"batch_size must be a whole number from 1 to 1000, not {batch_size!r}")


def _empty(place: Store) -> None:
    """Remove all but the lock, which others look for until the end."""
    for path in place.path.iterdir():
        if path != place.meta:
            _remove(path)
    for path in place.meta.iterdir():
        if path not in {place.lock_file, place.owner_file}:
            _remove(path)


def _remove_part(part: str, place: Store) -> None:
    paths = {
        "meta": (place.meta_file, place.depends_file, place.crew_file),
        "process": (place.process_file,),
        "progress": (place.progress_file,),
        "objects": (place.objects,),
        "scratch": (place.scratch,),
        "workspaces": (place.workspaces,),
        "user": (place.user,),
    }
    for path in paths[part]:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
