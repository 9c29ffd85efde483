"""The phase: a label that stands on every line of the log, in memory that the sampler reads."""

from __future__ import annotations

import atexit
import contextlib
import mmap
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from autometric_py.check import check_label
from autometric_py.record import CELL_BYTES, DEFAULT_PHASE, label_reader, pack_label

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARIABLE = "AUTOMETRIC_PHASE"


class Cell:
    """Shared memory that holds one label: in a memfd on Linux, elsewhere in a temporary file.

    Attributes:
        descriptor: The open file behind the mapping.
        temporary: The file to remove at the end, if there is one.
    """

    def __init__(self, descriptor: int, temporary: Path | None = None) -> None:
        self.descriptor = descriptor
        self.temporary = temporary
        self._mapping = mmap.mmap(descriptor, CELL_BYTES)
        self.read = label_reader(self._mapping)

    def __repr__(self) -> str:
        return f"<Cell {self.path} {self.read()!r}>"

    @classmethod
    def new(cls) -> Cell:
        """A cell of this process's own, without a label."""
        if sys.platform == "linux":
            descriptor, temporary = _not_standard(os.memfd_create("autometric-phase")), None
        else:
            import tempfile

            descriptor, name = tempfile.mkstemp(prefix="autometric-phase-")
            temporary = Path(name)
        os.ftruncate(descriptor, CELL_BYTES)
        return cls(descriptor, temporary)

    @classmethod
    def of_parent(cls) -> Cell | None:
        """The cell that the parent shares through the environment, if this is a child it meant."""
        owner, _, path = os.environ.get(_VARIABLE, "").partition(":")
        if owner != str(os.getppid()):  # inherited through another process: not meant for this one
            return None
        try:
            return cls(os.open(path, os.O_RDWR))
        except (OSError, ValueError):
            return None

    @property
    def path(self) -> str:
        """Where another process of this user can open it."""
        return str(self.temporary) if self.temporary else f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def write(self, label: str) -> None:
        """Replace the label."""
        data = pack_label(label)
        self._mapping[: len(data)] = data

    def close(self) -> None:
        """Give the memory back."""
        self._mapping.close()
        os.close(self.descriptor)
        if self.temporary:
            self.temporary.unlink(missing_ok=True)


def _not_standard(descriptor: int) -> int:
    """The same file under a number above those of the standard streams, which may have been closed."""
    if descriptor > 2:
        return descriptor
    import fcntl

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)


class _Phase:
    """This process's label: its cell, made when first needed."""

    def __init__(self) -> None:
        self._cell: Cell | None = None
        self._lock = threading.Lock()
        self._first = DEFAULT_PHASE

    def cell(self) -> Cell:
        if self._cell is None:
            with self._lock:
                self._cell = self._cell or self._make()
        return self._cell

    def _make(self) -> Cell:
        shared = Cell.of_parent()
        if shared is not None:
            return shared
        cell = Cell.new()
        cell.write(self._first)
        if cell.temporary:
            atexit.register(cell.close)
        return cell

    def after_fork(self) -> None:
        """A forked child keeps the label but writes it elsewhere."""
        self._lock = threading.Lock()
        cell, self._cell = self._cell, None
        if cell is not None:
            self._first = cell.read()
            cell.temporary = None
            cell.close()


_phase = _Phase()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_phase.after_fork)


def phase_cell() -> Cell:
    """The cell that holds this process's label."""
    return _phase.cell()


def log_phase_set(phase: str) -> None:
    """Set the label that stands on every line of the log from the next sample on.

    It belongs to the process, may be set before or without `log_start`, and takes about a microsecond.

    Args:
        phase: The label; only its first 255 UTF-8 bytes count.

    Raises:
        AutometricTypeError: `phase` is not a string.
        AutometricValueError: it holds `|`, a line break or the marker of a record.

    Example:
        >>> log_phase_set("load data")
        >>> log_phase_get()
        'load data'
        >>> log_phase_reset()
    """
    check_label("phase", phase)
    _phase.cell().write(phase)


def log_phase_get() -> str:
    """Tell the current label.

    Returns:
        The label, cut to what fits; `"__DEFAULT__"` when none was set.

    Example:
        >>> log_phase_get()
        '__DEFAULT__'
    """
    return _phase.cell().read()


def log_phase_reset() -> None:
    """Go back to the default label, `"__DEFAULT__"`.

    Example:
        >>> log_phase_reset()
    """
    _phase.cell().write(DEFAULT_PHASE)


@contextlib.contextmanager
def log_phase(phase: str) -> Iterator[None]:
    """Set a label for the time of a block (or of a decorated function), then restore the previous one.

    Args:
        phase: The label, as in `log_phase_set`.

    Yields:
        Nothing.

    Raises:
        AutometricTypeError: `phase` is not a string.
        AutometricValueError: it holds `|`, a line break or the marker of a record.

    Example:
        >>> with log_phase("fit"):
        ...     log_phase_get()
        'fit'
    """
    previous = log_phase_get()
    log_phase_set(phase)
    try:
        yield
    finally:
        log_phase_set(previous)


def log_environment() -> dict[str, str]:
    """Give the environment variables under which a child process shares this process's label.

    Start the child with them directly (not through a shell), and what it sets with `log_phase_set` stands
    on the lines of this process's sampler. Processes that the child starts have labels of their own.

    Returns:
        Variables to add to the child's environment.

    Example:
        >>> import os, subprocess, sys
        >>> code = "import autometric_py; autometric_py.log_phase_set('from the child')"
        >>> _ = subprocess.run([sys.executable, "-c", code], env=os.environ | log_environment(), check=True)
        >>> log_phase_get()
        'from the child'
        >>> log_phase_reset()
    """
    return {_VARIABLE: f"{os.getpid()}:{_phase.cell().path}"}
