"""Running a pipeline: prepare, loop, and leave everything in order however the loop ends."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from targets_py.definition.seeds import generator_states, restore_generators
from targets_py.engine.codes import CodeHashes
from targets_py.engine.conductor import Conductor
from targets_py.engine.events import Counts, RunSummary
from targets_py.engine.globals import global_records
from targets_py.engine.graph import Graph, build_graph
from targets_py.engine.inputs import Inputs
from targets_py.engine.judge import Judge
from targets_py.engine.ledger import Ledger
from targets_py.engine.schedule import Schedule
from targets_py.engine.values import Loader
from targets_py.engine.worker import Site
from targets_py.errors import TarRunError, TarValidateError
from targets_py.storage.lock import StoreLock
from targets_py.storage.metadata import Depends, Metadata, Progress
from targets_py.storage.process import write_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from targets_py.engine.events import Reporter
    from targets_py.script import Pipeline
    from targets_py.storage.store import Store

_BYTES_PER_RECORD = 200  # roughly, to say how much there is to read


def run_pipeline(
    pipeline: Pipeline,
    store: Store,
    reporter: Reporter,
    *,
    names: Sequence[str] | None = None,
    shortcut: bool = False,
    use_crew: bool = True,
    seconds_meta_append: float = 0.0,
    terminate_controller: bool = True,
) -> RunSummary:
    """Build what is outdated and write down how it went.

    Args:
        pipeline: What the script says.
        store: The data store; made if missing, but not before the pipeline is known to be valid.
        reporter: Told of everything that happens; its `end` is called in every case once the run has begun.
        names: Targets to build, with all that they need; None: all.
        shortcut: Look at the named targets only; what they need is taken from the store.
        use_crew: Run targets on the controller's workers, if the options name a controller.
        seconds_meta_append: Least seconds between two writes of metadata and progress.
        terminate_controller: End the controller's workers afterwards.

    Returns:
        How it ended.

    Raises:
        TarValidateError: The pipeline is wrong; nothing was written.
        TarRunError: Somebody else runs on this store, or a target stopped the pipeline.
        KeyboardInterrupt: The user stopped it; what was built is recorded.
    """
    start = time.perf_counter()
    graph = build_graph(pipeline, names, shortcut=shortcut)
    if not graph:
        summary = RunSummary(time.perf_counter() - start, Counts())
        reporter.end(summary)
        return summary
    reporter.preparing("hashing the code of targets", len(graph))
    codes = CodeHashes(graph.values(), pipeline.code)
    if shortcut:
        _check_bootstrap(graph, Metadata.load(store))
    controller = pipeline.options.controller if use_crew else None
    if controller is not None:
        from targets_py.engine.crew import refuse_unpicklable, run_on_crew

        refuse_unpicklable(graph, pipeline)
    with StoreLock(store), _generators_restored():
        store.create()
        reporter.preparing("reading the metadata", _records_estimate(store))
        metadata, depends = Metadata.load(store), Depends.load(store)
        with _opened(store, metadata, depends, reporter, seconds_meta_append, start) as ledger:
            for record in global_records(pipeline, codes.references.values()):
                former = metadata.records.get(record.name)
                if former is None or (former.type, former.data) != (record.type, record.data):
                    metadata.record(record)
            reporter.preparing("listing the stored objects", len(metadata.records))
            store.scan()
            write_process(store)
            conductor = _conductor(pipeline, graph, codes, store, metadata, ledger)
            if controller is None:
                run_here(conductor)
            else:
                run_on_crew(conductor, controller, pipeline, terminate=terminate_controller)
    assert ledger.summary is not None
    return ledger.summary


def run_here(conductor: Conductor) -> None:
    """Run everything in this process.

    Raises:
        TarRunError: A target failed, and its error mode stops the pipeline.
    """
    while conductor.ready:
        task = conductor.advance()
        if task is not None:
            conductor.run_here(task)


def _conductor(
    pipeline: Pipeline, graph: Graph, codes: CodeHashes, store: Store, metadata: Metadata, ledger: Ledger
) -> Conductor:
    options = pipeline.options
    schedule = Schedule(graph)
    check = partial(store.check, trust=options.trust_timestamps)
    judge = Judge(codes, metadata.records, schedule.expansions, options.seed, check)
    loader = Loader(store, _persistent(graph))
    site = Site(store, pipeline.namespace, pipeline.code, loader, int(options.garbage_collection))
    ledger.counts.total = sum(not node.is_pattern for node in graph.values())
    inputs = Inputs(judge, metadata.records, schedule.expansions, loader)
    return Conductor(schedule, judge, ledger, inputs, site, options)


def _persistent(graph: Graph) -> set[str]:
    """The targets whose values stay in memory."""
    kept = set()
    for name, node in graph.items():
        memory = node.target.settings.memory
        if memory == "persistent" or (memory == "auto" and node.branched and not node.is_pattern):
            kept.add(name)
    return kept


def _check_bootstrap(graph: Graph, metadata: Metadata) -> None:
    for node in graph.values():
        for name in node.upstreams:
            record = metadata.records.get(name)
            if name not in graph and (
                record is None or record.data is None or record.type in {"function", "object"}
            ):
                raise TarValidateError(
                    f"cannot bootstrap target {name}, which {node.name} needs: it has no stored value. "
                    "Build it first, or do not use shortcut=True"
                )


def _records_estimate(store: Store) -> int:
    try:
        return store.meta_file.stat().st_size // _BYTES_PER_RECORD
    except OSError:
        return 0


@contextmanager
def _generators_restored() -> Iterator[None]:
    states = generator_states()
    try:
        yield
    finally:
        restore_generators(states)


@contextmanager
def _opened(
    store: Store, metadata: Metadata, depends: Depends, reporter: Reporter, seconds: float, start: float
) -> Iterator[Ledger]:
    """Open the files that a run appends to; in every case close them, clean up and report the end."""
    failed = None
    interrupted = False
    metadata.open(seconds)
    depends.open(seconds)
    ledger = Ledger(metadata, depends, Progress(store, seconds), reporter)
    try:
        yield ledger
    except TarRunError as error:
        failed = error.target
        raise
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        try:
            ledger.close()
            store.remove_scratch()
        finally:
            seconds_run = time.perf_counter() - start
            ledger.summary = RunSummary(seconds_run, ledger.counts, ledger.errors, failed, interrupted)
            reporter.end(ledger.summary)
