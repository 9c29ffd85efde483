"""The worker's side of a pipeline: take the main process's place, run one target, send back how it ended."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from targets_py.definition.options import Options, current_options, restore_options
from targets_py.engine import context
from targets_py.engine.travel import Bundle, MemoryFinder, dumps, loads
from targets_py.engine.values import Loader
from targets_py.engine.worker import Job, Site, Work, run_target
from targets_py.hashing.code import Code
from targets_py.script import run_script, script_namespace
from targets_py.storage.store import Store

if TYPE_CHECKING:
    from targets_py.engine.worker import Outcome


@dataclass(slots=True)
class _Post:
    """A worker that stands in for a main process."""

    bundle: Bundle
    finder: MemoryFinder
    site: Site
    works: dict[bytes, Work]


_post: _Post | None = None


def run_on_worker(bundle: Bundle, work: bytes, job: bytes) -> bytes:
    """Run one target on a worker.

    Args:
        bundle: The script and all that belongs to it.
        work: What the target does, a pickled `Work`.
        job: Which branch, with which seed and inputs, a pickled `Job`.

    Returns:
        How it ended, a pickled `Outcome`.
    """
    post = _take_post(bundle)
    todo = post.works.get(work)
    if todo is None:
        todo = post.works[work] = loads(work)
    assignment: Job = loads(job)
    outcome = run_target(todo, assignment, post.site, store_value=todo.target.settings.storage != "main")
    return _pack(outcome, bundle)


def _pack(outcome: Outcome, bundle: Bundle) -> bytes:
    if outcome.exception is not None:
        try:
            loads(dumps(outcome.exception, bundle.modules))
        except Exception:
            outcome.exception = None  # an error that cannot travel: its text and its class do
    return dumps(outcome, bundle.modules)


def _take_post(bundle: Bundle) -> _Post:
    """Stand where the main process stands: folder, search path, environment, options, modules."""
    global _post
    if Path.cwd() != Path(bundle.folder):
        os.chdir(bundle.folder)
    if tuple(sys.path) != bundle.search:
        sys.path[:] = bundle.search
    os.environ.update(bundle.environment)
    if _post is None or _post.bundle.key != bundle.key:
        if _post is not None:
            _leave_post(_post)
            _post = None
        _post = _new_post(bundle)
    if current_options() is not bundle.options:
        restore_options(bundle.options)
    return _post


def _new_post(bundle: Bundle) -> _Post:
    finder = MemoryFinder(bundle.modules)
    finder.forget()
    sys.meta_path.insert(0, finder)
    context.enter_session(bundle.session)
    restore_options(Options())
    try:
        module = run_script(bundle.script, dict(bundle.sources), bundle.given, memory=True)
        namespace = script_namespace(current_options(), module)
    except BaseException:
        sys.meta_path.remove(finder)
        raise
    store = Store(bundle.store)
    known = bundle.sources | {source.file: source.text for source in bundle.modules.values()}
    code = Code(namespace, Path(bundle.folder), imports=bundle.options.imports, sources=known)
    site = Site(store, namespace, code, Loader(store), int(bundle.options.garbage_collection))
    return _Post(bundle, finder, site, {})


def _leave_post(post: _Post) -> None:
    sys.meta_path.remove(post.finder)
    post.finder.forget()
