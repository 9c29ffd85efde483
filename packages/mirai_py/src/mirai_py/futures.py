"""Mirais as futures of `concurrent.futures`."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

from mirai_py.callbacks import callbacks
from mirai_py.errors import CANCELED, raised
from nngsock import ErrorValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirai_py.handles import Mirai

    Stop = Callable[["Mirai"], bool]
    Wake = Callable[[], object]


class MiraiFuture(concurrent.futures.Future[Any]):
    """A future that stays pending until its mirai is resolved, so that it can be cancelled all the time."""

    def __init__(self) -> None:
        super().__init__()
        self._mirai: Mirai | None = None

    def follow(self, mirai: Mirai) -> None:
        """End as this mirai does; a future that is cancelled by now stops it."""
        self._mirai = mirai
        if self.cancelled():
            mirai.cancel()
        mirai._on_wake(lambda: callbacks.put(self._settle))

    def cancel(self) -> bool:
        """Stop the task, running or not; False if it is resolved."""
        if self._mirai is None:
            return super().cancel()
        self._mirai.cancel()
        return _is_stopped(self._mirai) and self._become_cancelled()

    def _become_cancelled(self) -> bool:
        return super().cancel()

    def _settle(self) -> None:
        """Take over the outcome of the mirai."""
        assert self._mirai is not None
        if _is_stopped(self._mirai):
            self._become_cancelled()
        if not self.set_running_or_notify_cancel():
            return
        try:
            value = raised(self._mirai.data)
        except BaseException as error:
            self.set_exception(error)
        else:
            self.set_result(value)


def _is_stopped(mirai: Mirai) -> bool:
    return isinstance(mirai.data, ErrorValue) and mirai.data == CANCELED
