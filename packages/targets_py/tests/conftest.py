"""Fixtures of this layer: a project in a folder of its own, with a script, a store and runs."""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from targets_py.definition.options import Options, current_options, restore_options
from targets_py.engine.inspect import inspect_pipeline
from targets_py.engine.run import run_pipeline
from targets_py.script import open_script
from targets_py.storage.metadata import Metadata, read_progress
from targets_py.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from targets_py.engine.events import RunSummary
    from targets_py.engine.inspect import Inspection
    from targets_py.storage.records import Record

HEADER = "from targets_py import *\n"


class Recorder:
    """A reporter that keeps what it is told: (word, name)."""

    def __init__(self, hook: Callable[[str, str], None] | None = None) -> None:
        self.events: list[tuple[str, str]] = []
        self.messages: dict[str, str] = {}
        self.summary: RunSummary | None = None
        self._hook = hook

    def _add(self, word: str, name: str) -> None:
        self.events.append((word, name))
        if self._hook:
            self._hook(word, name)

    def preparing(self, text, n):
        pass

    def dispatched(self, event):
        self._add("dispatched", event.name)

    def declared(self, event, branches):
        self._add("declared", event.name)

    def completed(self, event):
        self._add("completed", event.name)

    def skipped(self, event):
        self._add("skipped", event.name)

    def errored(self, event, message):
        self.messages[event.name] = message
        self._add("errored", event.name)

    def canceled(self, event):
        self._add("canceled", event.name)

    def retried(self, event, message):
        self.messages[event.name] = message
        self._add("retried", event.name)

    def workspace(self, event):
        self._add("workspace", event.name)

    def warning(self, event, message):
        self.messages[event.name] = message
        self._add("warning", event.name)

    def end(self, summary):
        assert self.summary is None, "end was reported twice"
        self.summary = summary


@dataclass
class Made:
    """What a run did.

    Attributes:
        progress: Name -> last word of the progress file, patterns and branches included.
        reporter: What was reported.
        error: What the run raised.
    """

    progress: dict[str, str]
    reporter: Recorder
    error: BaseException | None = None

    @property
    def ran(self) -> list[str]:
        """Stems and branches whose command ran, in order."""
        return [name for word, name in self.reporter.events if word == "dispatched"]

    @property
    def skipped(self) -> list[str]:
        return [name for word, name in self.reporter.events if word == "skipped"]

    def ran_of(self, pattern: str) -> int:
        """How many branches of a pattern ran."""
        return sum(name.startswith(f"{pattern}_") for name in self.ran)


@dataclass
class Project:
    """A folder with a script and a store."""

    folder: Path
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(self.folder / "_targets")

    def script(self, text: str, header: str = HEADER) -> None:
        (self.folder / "_targets.py").write_text(header + textwrap.dedent(text), encoding="utf-8")

    def make(self, text: str | None = None, *names: str, fails: bool = False, **options: Any) -> Made:
        """Run the pipeline in this process; with `fails` what it raises is in the result."""
        if text is not None:
            self.script(text)
        reporter = options.pop("reporter", None) or Recorder()
        envir = options.pop("envir", None)
        error = None
        with open_script("_targets.py", envir) as pipeline:
            try:
                run_pipeline(pipeline, self.store, reporter, names=names or None, **options)
            except BaseException as raised:
                if not fails:
                    raise
                error = raised
        assert (error is not None) == fails, "the run was expected to fail"
        progress = {name: row.progress for name, row in read_progress(self.store).items()}
        return Made(progress, reporter, error)

    def inspect(self, text: str | None = None, *names: str, **options: Any) -> Inspection:
        if text is not None:
            self.script(text)
        with open_script("_targets.py") as pipeline:
            return inspect_pipeline(pipeline, self.store, names=names or None, **options)

    def outdated(self, text: str | None = None, *names: str, **options: Any) -> list[str]:
        findings = self.inspect(text, *names, **options).findings
        return [name for name, finding in findings.items() if finding.outdated]

    @property
    def records(self) -> dict[str, Record]:
        return Metadata.load(self.store).records

    def value(self, name: str) -> Any:
        return self.store.read(self.records[name])

    def values(self, pattern: str) -> list[Any]:
        """Values of a pattern's branches, in order."""
        return [self.value(child) for child in self.records[pattern].children or ()]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Iterator[Project]:
    """A project in the working directory; options are as new, and as before afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TAR_")]:
        monkeypatch.delenv(name)
    before = current_options()
    restore_options(Options())
    yield Project(tmp_path)
    restore_options(before)
