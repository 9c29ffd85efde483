"""A progress bar on stderr, for who asked for one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("bar",)


@contextmanager
def bar(what: str, total: int, *, visible: bool) -> Iterator[Callable[[int], None]]:
    """Show how much is done.

    Args:
        what: text before the bar.
        total: how much there is to do.
        visible: whether to show anything.

    Yields:
        A function of the amount done so far.
    """
    if not visible or total == 0:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Drawn when something has changed, not by a thread of its own.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
        task = progress.add_task(what, total=total)

        def update(done: int) -> None:
            progress.update(task, completed=done, refresh=True)

        yield update
