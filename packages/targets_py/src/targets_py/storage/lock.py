"""One writer per data store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class StoreLock:
    """The right to write a data store, held by at most one process and there by one user at a time.

    It ends with the process, however that dies, also if a forked child lives on. A context manager.

    Args:
        store: The folder of the data store; made if missing.
    """

    def __init__(self, store: Path) -> None:
        raise NotImplementedError

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            TarRunError: Somebody holds it; the message names pid, host and start time.
        """
        raise NotImplementedError

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; does nothing if it is not held.

        Args:
            remove: Delete the lock file too, because the store itself goes.
        """
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
