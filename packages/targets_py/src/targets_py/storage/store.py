"""The data store: a folder with metadata, objects and scratch space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from targets_py.storage.records import Paths, Record


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What was stored.

    Attributes:
        path: Tracked paths for format "file", else None.
        time: Newest modification time in ns since the epoch.
        size: Bytes of the files.
        file_hash: Hash of their contents.
    """

    path: Paths | None
    time: int
    size: int
    file_hash: str


class Store:
    """A data store; making the object touches nothing on disk.

    Args:
        path: The folder.

    Attributes:
        path: Its absolute path.
        meta, objects, scratch, workspaces, user: Its folders.
        meta_file, progress_file, process_file, crew_file, depends_file: Files in meta/.
    """

    def __init__(self, path: str | Path) -> None:
        raise NotImplementedError

    def exists(self) -> bool:
        """Whether the folder is there."""
        raise NotImplementedError

    def create(self) -> None:
        """Make the folders that are missing; a new store gets a .gitignore that keeps only the metadata."""
        raise NotImplementedError

    def object_path(self, name: str) -> Path:
        """Where the value of a target lies."""
        raise NotImplementedError

    def scratch_path(self, name: str) -> Path:
        """A new name in scratch/, free of clashes with other processes."""
        raise NotImplementedError

    def remove_scratch(self) -> None:
        """Delete scratch/ and all in it."""
        raise NotImplementedError

    def scan(self) -> dict[str, tuple[int, int]]:
        """List objects/ anew in one pass: name -> (bytes, modification time in ns); `check()` uses it."""
        raise NotImplementedError

    def write(self, name: str, format: str, value: Any, options: Mapping[str, Any] | None = None) -> FileInfo:  # noqa: A002
        """Store a converted value: written under a scratch name, then renamed, so that no torn object is seen.

        Args:
            name: Target or branch.
            format: Name of the format, not "auto". For "file" nothing is written, the paths are looked at.
            value: What `get_format(format).convert()` returned.
            options: Settings of the format.

        Raises:
            TarRunError: It cannot be stored.
        """
        raise NotImplementedError

    def look(self, name: str, format: str, value: Any = None) -> FileInfo:  # noqa: A002
        """What lies there now, for storage="none" and for files that another process wrote.

        Raises:
            TarRunError: Nothing is there.
        """
        raise NotImplementedError

    def read(self, record: Record) -> Any:
        """The value of a target by its record.

        Raises:
            TarRunError: It is not stored, or cannot be read.
        """
        raise NotImplementedError

    def read_object(self, name: str, format: str, path: Paths | None = None) -> Any:  # noqa: A002
        """The value of a target by its name and format (its paths for format "file")."""
        raise NotImplementedError

    def check(self, record: Record, trust: bool | None = None) -> Record | None:
        """Whether the files of a record are still the same.

        Args:
            record: Of a stem or branch.
            trust: Option trust_timestamps: whether equal time and size are enough. None: they are in objects/ and
                on file systems with fine timestamps.

        Returns:
            None if they changed or are gone; the record itself; or, where only the time changed, a copy with the
            new time.
        """
        raise NotImplementedError

    def delete(self, name: str) -> bool:
        """Delete the stored value of a target; returns whether there was one."""
        raise NotImplementedError
