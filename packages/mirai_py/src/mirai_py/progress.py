"""A bar on stderr that moves when something is completed."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@contextmanager
def progress_bar(total: int, wanted: bool | str | Mapping[str, Any]) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of completions; with rich a bar, without it plain text.

    Args:
        total: how many completions there will be.
        wanted: False for none, True, the bar's name, or a mapping with its "name".
    """
    if not wanted:
        yield _nothing
        return
    name = (
        wanted if isinstance(wanted, str) else str(dict(wanted).get("name", "")) if wanted is not True else ""
    )
    try:
        import rich.progress
    except ImportError:
        yield from _plain(total, name)
        return
    from rich.console import Console

    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total)
        yield lambda number: bar.advance(task, number)


def _plain(total: int, name: str) -> Iterator[Callable[[int], None]]:
    done = 0
    head = f"{name} " if name else ""

    def show() -> None:
        sys.stderr.write(f"\r{head}[ {done} / {total} ... ]")
        sys.stderr.flush()

    def advance(number: int) -> None:
        nonlocal done
        done += number
        show()

    show()
    try:
        yield advance
    finally:
        sys.stderr.write("\n")


def _nothing(_: int) -> None:
    return None
