"""Evaluation in this process, at once: the engine of `daemons(sync=True)`, for debugging."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from mirai_py.codes import current_cache
from mirai_py.dispatch.peers import Counts
from mirai_py.dispatch.room import Room
from mirai_py.errors import TIMED_OUT
from mirai_py.evaluate import Evaluator
from mirai_py.frames import Parts, TaskFlag
from mirai_py.handles import Mirai
from mirai_py.streams import kept_generators
from nngsock import ErrorValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirai_py.codes import Code
    from mirai_py.streams import Streams


class Inline:
    """Runs each task where it is submitted; breakpoints work. Same surface as the dispatcher's."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self._on_resolved: Callable[[int], None] | None = None
        self.room = Room()  # nothing ever waits
        self._names: dict[str, Any] = {}
        self._evaluator = Evaluator(current_cache, self._names)
        self._completed = 0
        # Tasks may submit tasks; other threads wait, for names and directory belong to the process.
        self._one_at_a_time = threading.RLock()

    def submit(
        self,
        codes: tuple[Code, ...],
        body: Parts,
        *,
        timeout: float | None = None,
        flags: int = TaskFlag.NONE,
    ) -> Mirai:
        """Run a task; it is resolved on return. One that took longer than its timeout gives error 5."""
        mirai = Mirai()
        for code in codes:
            current_cache.add(code.key, code.body)
        begun = monotonic()
        with self._one_at_a_time, kept_generators():
            status, parts = self._evaluator.run(mirai._key, flags, b"".join([codes[0].key, *body]))
            self._completed += 1
        if timeout is not None and monotonic() - begun > timeout:
            mirai._resolve_value(ErrorValue(TIMED_OUT, {"timeout": round(timeout * 1000)}))
        else:
            mirai._store(status, b"".join(parts))
        if self._on_resolved is not None:
            self._on_resolved(1)
        return mirai

    def watch_resolved(self, on_resolved: Callable[[int], None]) -> None:
        """Have this called with the number of mirais that were resolved."""
        self._on_resolved = on_resolved

    def await_room(self) -> None:
        """There always is."""

    def everywhere(
        self,
        codes: tuple[Code, ...],
        body: Parts,
        at_least: int,
        replay: Callable[[Mirai], object] | None = None,
    ) -> list[Mirai]:
        """Run a task whose names last."""
        del replay  # no daemon ever connects
        return [self.submit(codes, body, flags=TaskFlag.EVERYWHERE) for _ in range(max(1, at_least))]

    def info(self) -> Counts:
        """Nothing ever waits here."""
        return Counts(0, 0, 0, 0, self._completed)

    def dismiss(self, number: int) -> int:
        """There are no daemons to order out."""
        del number
        return 0

    def close(self) -> None:
        """Forget the names that `everywhere` installed."""
        self._names.clear()
