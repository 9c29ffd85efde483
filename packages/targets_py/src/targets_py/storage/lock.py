"""One writer per data store."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import struct
import sys
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from targets_py.errors import TarFileError, TarRunError
from targets_py.storage.process import process_start, read_process

if TYPE_CHECKING:
    from types import TracebackType

    from targets_py.storage.store import Store

try:
    import fcntl
except ImportError:  # Windows: the owner file serves there
    _HAS_LOCKS = False
else:
    _HAS_LOCKS = True

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_SECONDS_DOUBT = 5.0  # start times are computed from the clock, which may be set meanwhile
# The system's locks do not exclude threads, and closing any descriptor of the file drops them: so this
# process keeps a list of real paths, and never opens the lock file of a store that stands in it.
_held: set[str] = set()
_guard = threading.Lock()


def _forget() -> None:
    """In a forked child, which holds nothing."""
    global _guard
    _held.clear()
    _guard = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class StoreLock:
    """The right to write a data store, held by one process, and there by one user, at a time.

    It ends with the process, however that dies, also if a forked child lives on. A context manager.

    Args:
        store: The data store; its folder is made if missing.

    Example:
        >>> with StoreLock(Store("_targets")) as lock:
        ...     print(lock)
        <StoreLock .../_targets: held>
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key: str | None = None
        self._descriptor = -1

    def __repr__(self) -> str:
        return f"<StoreLock {self._store.path}: {'held' if self._key else 'not held'}>"

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            TarRunError: Somebody holds it; the message names pid, host and start time.
            TarFileError: The store cannot be written.
        """
        path = self._store.lock_file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TarFileError(f"cannot make the data store {self._store.path}: {error.strerror}") from error
        key = os.path.realpath(path)
        with _guard:
            if key in _held:
                raise self._busy(os.getpid())
            self._descriptor = self._lock()
            _held.add(key)
            self._key = key

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; does nothing if it is not held.

        Args:
            remove: Delete the lock file too, because the store itself goes.
        """
        if self._key is None:
            return
        with _guard:
            if self._key in _held:  # not in a forked child
                _held.remove(self._key)
                if remove:
                    self._store.lock_file.unlink(missing_ok=True)
                if self._descriptor < 0:
                    self._store.owner_file.unlink(missing_ok=True)
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._key, self._descriptor = None, -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _lock(self) -> int:
        """Descriptor of the locked file; -1 if an owner file stands for it."""
        if not _HAS_LOCKS:
            return self._own()
        path = self._store.lock_file
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:  # tar_destroy() removed the folder just now
                path.parent.mkdir(parents=True, exist_ok=True)
                continue
            except OSError as error:
                raise TarFileError(f"cannot write {path}: {error.strerror}") from error
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), path.stat()):
                        return descriptor
                os.close(descriptor)  # tar_destroy() removed it just now: try the file that is there next
            except OSError as error:
                holder = _holder(descriptor)
                os.close(descriptor)
                if error.errno in _NO_LOCKS:
                    return self._own()
                raise self._busy(holder) from None

    def _own(self) -> int:
        """Where the file system has no locks: a file that only one process can make."""
        path = self._store.owner_file
        started = process_start(os.getpid())
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "created": started and started.isoformat()}
        while True:
            try:
                with path.open("x", encoding="utf-8") as file:
                    json.dump(owner, file)
            except FileExistsError:
                other = read_owner(self._store)
                if owner_lives(other):
                    raise self._busy(other.get("pid"), other) from None
                _remove_stale(self._store, other)
            except OSError as error:
                raise TarFileError(f"cannot write {path}: {error.strerror}") from error
            else:
                return -1

    def _busy(self, pid: int | None, owner: dict[str, Any] | None = None) -> TarRunError:
        about = owner or {}
        if not about:
            recorded = read_process(self._store)
            if pid is None or recorded.get("pid") == str(pid):
                about = dict(recorded)
        started = about.get("created") or (process_start(pid) if pid else None)
        who = f"process {about.get('pid', pid or 'unknown')} on {about.get('host', socket.gethostname())}"
        since = f", started {started}," if started else ""
        remedy = "; if that one is gone, tar_unblock_process() removes its lock" if owner is not None else ""
        what = f"is writing the data store {self._store.path}"
        return TarRunError(f"{who}{since} {what}: wait until it ends, or stop it{remedy}")


def read_owner(store: Store) -> dict[str, Any]:
    """What the owner file says: pid, host, created; empty if there is none or it is damaged."""
    try:
        content = json.loads(store.owner_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def owner_lives(owner: dict[str, Any]) -> bool:
    """Whether the process of an owner file may still run: only one of this host is known to be gone."""
    if not isinstance(owner.get("pid"), int) or owner.get("host") != socket.gethostname():
        return True
    started = process_start(owner["pid"])
    if started is None or not owner.get("created"):
        return started is not None
    return abs((started - datetime.fromisoformat(owner["created"])).total_seconds()) < _SECONDS_DOUBT


def _remove_stale(store: Store, stale: dict[str, Any]) -> None:
    """Remove a stale owner file, but not the new one of a process that was faster."""
    aside = store.owner_file.with_name(f"lock.stale.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        store.owner_file.rename(aside)
        taken = json.loads(aside.read_text(encoding="utf-8") or "{}")
        if taken == stale:
            aside.unlink()
        else:
            aside.rename(store.owner_file)


def _holder(descriptor: int) -> int | None:
    """Process id of who holds the lock of a file, if the system tells."""
    linux = sys.platform.startswith("linux")
    layout = "@hhqqi" if linux else "@qqihh"
    question = (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0) if linux else (0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
    with contextlib.suppress(OSError, struct.error):
        size = struct.calcsize(layout)
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(layout, *question) + bytes(8))
        pid = struct.unpack(layout, answer[:size])[4 if linux else 2]
        return pid if pid > 0 else None
    return None
