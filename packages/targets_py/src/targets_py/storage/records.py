"""Lines of the metadata file: one record each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from sys import intern

COLUMNS = (
    "name", "type", "data", "command", "depend", "seed", "path", "time", "size", "bytes",
    "format", "repository", "iteration", "parent", "children", "seconds", "warnings", "error", "file_hash",
)  # fmt: skip
HEADER = "|".join(COLUMNS)

# A list of paths, so that it is a list again when it is read: [str] is not str.
Paths = str | list[str]


@dataclass(slots=True)
class Record:
    """What is known of a target or a global since it was last built; None where nothing is.

    Attributes:
        name: Its name.
        type: "stem", "branch", "pattern", "function" or "object".
        data: Hash of the value; "error" for a target that failed with error="null".
        command, depend: Hashes of the command and of what it depends on.
        seed: Its seed.
        path: Tracked paths: a str or a list, as the command returned it.
        time: Newest modification time of the files in ns since the epoch.
        size: Bytes of the files.
        bytes: Bytes of the value (a pattern: sum over its branches).
        format, repository, iteration: Its settings at that time.
        parent: The pattern that a branch belongs to.
        children: Branches of a pattern, or buds of a stem that is branched over.
        seconds: Run time of the command in seconds (a pattern: sum over its branches).
        warnings, error: Texts.
        file_hash: Hash of the stored bytes.
    """

    name: str
    type: str
    data: str | None = None
    command: str | None = None
    depend: str | None = None
    seed: int | None = None
    path: Paths | None = None
    time: int | None = None
    size: int | None = None
    bytes: int | None = None
    format: str | None = None
    repository: str | None = None
    iteration: str | None = None
    parent: str | None = None
    children: list[str] | None = None
    seconds: float | None = None
    warnings: str | None = None
    error: str | None = None
    file_hash: str | None = None


_SPECIAL = re.compile("[%|*\n\r\0\ud800-\udfff\ufffd]")
_ESCAPED = re.compile("%(u[0-9A-F]{4}|[0-9A-F]{2})")


def escape(text: str) -> str:
    """Replace the characters that a field cannot hold: `%` `|` `*`, line ends, NUL, lone surrogates."""
    return _SPECIAL.sub(_escape_one, text)


def unescape(text: str) -> str:
    """Undo `escape()`."""
    return _ESCAPED.sub(_unescape_one, text) if "%" in text else text


def _escape_one(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"%{code:02X}" if code < 256 else f"%u{code:04X}"


def _unescape_one(match: re.Match[str]) -> str:
    return chr(int(match[1].removeprefix("u"), 16))


def encode(record: Record) -> str:
    """The line of a record, without the line end."""
    r = record
    return "|".join(
        (
            escape(r.name),
            r.type,
            r.data or "",
            r.command or "",
            r.depend or "",
            "" if r.seed is None else str(r.seed),
            "" if r.path is None else _encode_paths(r.path),
            "" if r.time is None else str(r.time),
            "" if r.size is None else f"s{r.size}b",
            "" if r.bytes is None else str(r.bytes),
            escape(r.format) if r.format else "",
            escape(r.repository) if r.repository else "",
            r.iteration or "",
            escape(r.parent) if r.parent else "",
            "*".join(map(escape, r.children)) if r.children else "",
            "" if r.seconds is None else repr(round(r.seconds, 3)),
            escape(r.warnings) if r.warnings else "",
            escape(r.error) if r.error else "",
            r.file_hash or "",
        )
    )


def decode(fields: list[str]) -> Record:
    """The record of a line that was split at `|`.

    Args:
        fields: 19 fields, still escaped.

    Returns:
        The record.

    Raises:
        ValueError: A number that is none: the line is damaged.
    """
    (
        name, kind, data, command, depend, seed, path, time, size, bytes_,
        format_, repository, iteration, parent, children, seconds, warnings, error, file_hash,
    ) = fields  # fmt: skip
    return Record(
        unescape(name) if "%" in name else name,
        intern(kind),
        data or None,
        command or None,
        depend or None,
        int(seed) if seed else None,
        _decode_paths(path) if path else None,
        int(time) if time else None,
        int(size[1:-1]) if size else None,
        int(bytes_) if bytes_ else None,
        _shared(format_) if format_ else None,
        _shared(repository) if repository else None,
        intern(iteration) if iteration else None,
        _shared(parent) if parent else None,
        [unescape(child) for child in children.split("*")] if children else None,
        float(seconds) if seconds else None,
        unescape(warnings) if warnings else None,
        unescape(error) if error else None,
        file_hash or None,
    )


def _shared(text: str) -> str:
    """An unescaped text of which thousands of records have the same: it is kept once."""
    return intern(unescape(text) if "%" in text else text)


def _encode_paths(paths: Paths) -> str:
    # The `*` at the end tells a list from a single path.
    return escape(paths) if isinstance(paths, str) else "".join(escape(path) + "*" for path in paths) or "*"


def _decode_paths(text: str) -> Paths:
    if not text.endswith("*"):
        return unescape(text)
    return [unescape(path) for path in text[:-1].split("*")] if text != "*" else []
