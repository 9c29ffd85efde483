"""The two formats that both sides share: a line of the log, and the cell that holds the phase.

The sampler loads this file and `sampler.py` alone, so it imports little: no dataclasses and no typing,
which would cost every sampler megabytes.
"""

from __future__ import annotations

import struct
import zlib
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterable

MARKER = "__AUTOMETRIC__"
DEFAULT_PHASE = "__DEFAULT__"

GOOD = 0
NO_BASELINE = 10000
NO_PROCESS = 10002
NO_ACCESS = 10003
SYSTEM_ERROR = 10004

EXTRA_COLUMNS = ("threads", "files", "read", "written", "gpu", "gpu_memory")
GPU_COLUMNS = ("gpu", "gpu_memory")

CELL_BYTES = 4096
LABEL_BYTES = 255
_HEAD = struct.Struct("<IH")
LABEL_END = _HEAD.size + LABEL_BYTES
_FORBIDDEN = {ord("|"): "/", ord("\n"): " ", ord("\r"): " "}

Sample = namedtuple("Sample", "status time core cpu resident virtual extras")  # noqa: PYI024 - see above


def failed(status: int, time: float, extras: Iterable[str]) -> Sample:
    """The sample of a process that could not be measured: its figures are zeros."""
    return Sample(status, time, 0.0, 0.0, 0, 0, dict.fromkeys(extras, 0))


def record_line(version: str, pid: int, name: str, phase: str, sample: Sample) -> str:
    """One line of the log: the original's fields, then the extra columns as `key=value`."""
    head = (
        f"{MARKER}|{version}|{pid}|{name}|{sample.status}|{sample.time:.3f}|{sample.core:.3f}|{sample.cpu:.3f}"
        f"|{sample.resident}|{sample.virtual}|{phase}|"
    )
    extras = "".join(f"{key}={_shown(value)}|" for key, value in sample.extras.items())
    return f"{head}{extras}{MARKER}\n"


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def clean_label(text: str) -> str:
    """A text with what would break a line of the log replaced."""
    return text.translate(_FORBIDDEN).replace(MARKER, "_")


def cut_label(text: str) -> str:
    """The longest beginning of a label that fits the cell, whole characters only."""
    data = text.encode()
    return text if len(data) <= LABEL_BYTES else data[:LABEL_BYTES].decode(errors="ignore")


def pack_label(text: str) -> bytes:
    """The bytes of a cell that says `text`.

    They go into the mapping in one copy and start with a checksum, so that a reader in another process,
    which may look while the copy is under way, can tell a whole label from a torn one. A sequence number
    would do for one writer; a cell can have two (`log_environment`).
    """
    label = cut_label(text).encode()
    body = len(label).to_bytes(2, "little") + label
    return zlib.crc32(body).to_bytes(4, "little") + body


def unpack_label(cell: bytes) -> str | None:
    """The label in a cell, or None while there is none or one is being written."""
    checksum, length = _HEAD.unpack_from(cell)
    body = cell[4 : 6 + length]
    if zlib.crc32(body) != checksum:
        return None
    return body[2:].decode(errors="replace")


def label_reader(cell: mmap.mmap) -> Callable[[], str]:
    """A function that tells the label in a cell, or the last one it saw while another is being written."""
    last = DEFAULT_PHASE

    def read() -> str:
        nonlocal last
        for _ in range(10):
            label = unpack_label(cell[:LABEL_END])
            if label is not None:
                last = label
                break
        return last

    return read
