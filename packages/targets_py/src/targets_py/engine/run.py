"""The run loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from targets_py.engine.events import Reporter, RunSummary
    from targets_py.script import Pipeline
    from targets_py.storage.store import Store


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
    """Build what is outdated, record it, and say how it went."""
    raise NotImplementedError
