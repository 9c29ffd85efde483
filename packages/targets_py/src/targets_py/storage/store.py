"""The data store: a folder with metadata, objects and scratch space."""

# ruff: noqa: PTH103, PTH105, PTH108, PTH110, PTH116, PTH123
# The os functions are several times as fast as pathlib, and this runs for each target.

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarFileError, TarRunError
from targets_py.hashing.digest import hash_file, hash_paths, stat_paths
from targets_py.storage.clock import settled_stat
from targets_py.storage.filesystems import trusts_timestamps
from targets_py.storage.formats import File, get_format

if TYPE_CHECKING:
    from collections.abc import Mapping

    from targets_py.storage.records import Paths, Record

GITIGNORE = "*\n!.gitignore\n!meta\nmeta/*\n!meta/meta\n"


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
        meta_file, progress_file, process_file, crew_file, depends_file, lock_file, owner_file: In meta/.
    """

    def __init__(self, path: str | os.PathLike[str] = "_targets") -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - a link to the store stays the store's name
        self.meta = self.path / "meta"
        self.objects = self.path / "objects"
        self.scratch = self.path / "scratch"
        self.workspaces = self.path / "workspaces"
        self.user = self.path / "user"
        self.meta_file = self.meta / "meta"
        self.progress_file = self.meta / "progress"
        self.process_file = self.meta / "process"
        self.crew_file = self.meta / "crew"
        self.depends_file = self.meta / "depends"
        self.lock_file = self.meta / "lock"
        self.owner_file = self.meta / "lock.owner"
        self._objects = str(self.objects)
        self._scratch = str(self.scratch)
        self._counter = itertools.count()
        self._listing: dict[str, tuple[int, int]] | None = None

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def exists(self) -> bool:
        """Whether the folder is there."""
        return self.path.is_dir()

    def create(self) -> None:
        """Make the folders that are missing; a new store gets a .gitignore that keeps only the metadata.

        Raises:
            TarFileError: They cannot be made.
        """
        try:
            for folder in (self.meta, self.objects, self.scratch):
                folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self.user.mkdir()
                with open(self.path / ".gitignore", "x", encoding="utf-8") as file:
                    file.write(GITIGNORE)
        except OSError as error:
            raise TarFileError(f"cannot make the data store {self.path}: {error.strerror}") from error

    def object_path(self, name: str) -> Path:
        """Where the value of a target lies."""
        return self.objects / name

    def scratch_path(self, name: str) -> Path:
        """A name in scratch/ that nobody else uses."""
        return Path(self._scratch_name(name))

    def remove_scratch(self) -> None:
        """Delete scratch/ and all in it."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def scan(self) -> dict[str, tuple[int, int]]:
        """List objects/ anew in one pass; `check()` compares with this list, which `write()` keeps current.

        Returns:
            Name -> (bytes, modification time in ns).
        """
        listing = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(self._objects) as entries:
            for entry in entries:
                status = entry.stat()
                listing[entry.name] = (status.st_size, status.st_mtime_ns)
        self._listing = listing
        return listing

    def write(
        self,
        name: str,
        format: str,  # noqa: A002 - the original's name
        value: Any,
        options: Mapping[str, Any] | None = None,
    ) -> FileInfo:
        """Store a converted value: written under a scratch name, then renamed; no torn object is ever seen.

        Args:
            name: Target or branch.
            format: Name of the format, not "auto". For "file" nothing is written: the paths are looked at.
            value: What `get_format(format).convert()` returned.
            options: Settings of the format: compression, compression_level.

        Returns:
            What was stored.

        Raises:
            TarRunError: It cannot be stored; an older object is untouched.
        """
        form = get_format(format)
        if isinstance(form, File):
            return self._look_at_files(name, value)
        scratch = self._scratch_name(name)
        try:
            try:
                known = form.write(scratch, value, options or {})
            except FileNotFoundError:  # a worker on another machine, or the first object
                os.makedirs(self._scratch, exist_ok=True)
                os.makedirs(self._objects, exist_ok=True)
                known = form.write(scratch, value, options or {})
            status = os.stat(scratch)
            file_hash = known or hash_file(scratch)
            os.replace(scratch, f"{self._objects}/{name}")
        except Exception as error:
            with contextlib.suppress(OSError):
                os.unlink(scratch)
            raise TarRunError(
                f"Error storing output: {error or type(error).__name__}", target=name, original=error
            ) from error
        if self._listing is not None:
            self._listing[name] = (status.st_size, status.st_mtime_ns)
        return FileInfo(None, status.st_mtime_ns, status.st_size, file_hash)

    def look(self, name: str, format: str, value: Any = None) -> FileInfo:  # noqa: A002 - the original's name
        """What lies there now: for storage="none", and for what another process wrote.

        Args:
            name: Target or branch.
            format: Name of the format, not "auto".
            value: The paths for format "file".

        Returns:
            What is stored.

        Raises:
            TarRunError: Nothing is there, or it cannot be read.
        """
        if isinstance(get_format(format), File):
            return self._look_at_files(name, value)
        path = f"{self._objects}/{name}"
        try:
            status = os.stat(path)
            info = FileInfo(None, status.st_mtime_ns, status.st_size, hash_file(path))
        except OSError as error:
            raise TarRunError(f"no output is stored at {path}: {error.strerror}", target=name) from error
        if self._listing is not None:
            self._listing[name] = (info.size, info.time)
        return info

    def read(self, record: Record) -> Any:
        """The value of a stem or branch by its record.

        Raises:
            TarRunError: It is not stored, or cannot be read.
        """
        return self.read_object(record.name, record.format or "pickle", record.path)

    def read_object(self, name: str, format: str, path: Paths | None = None) -> Any:  # noqa: A002 - the original's name
        """The value of a stem or branch by its name and format.

        Args:
            name: Target or branch.
            format: Name of the format; "null" (an error that counts as None) is None.
            path: The paths for format "file".

        Returns:
            The value.

        Raises:
            TarRunError: It is not stored, or cannot be read.
        """
        if format == "null":
            return None
        form = get_format(format)
        if isinstance(form, File):
            return path
        file = f"{self._objects}/{name}"
        try:
            return form.read(file)
        except FileNotFoundError as error:
            if os.path.exists(file):  # a value that reads a file of its own
                raise TarRunError(f"could not read {file}: {error}", target=name, original=error) from error
            raise TarRunError(
                f"the value of {name} is not stored: {file} does not exist", target=name
            ) from None
        except Exception as error:
            message = f"could not read {file}: {error or type(error).__name__}"
            raise TarRunError(message, target=name, original=error) from error

    def check(self, record: Record, trust: bool | None = None) -> Record | None:
        """Whether the files of a record are still the same.

        Args:
            record: Of a stem or branch.
            trust: Option trust_timestamps: whether equal time and size are enough. None: they are in objects/
                and on file systems with fine timestamps.

        Returns:
            None if they changed or are gone; the record itself; or, where only the time changed, a copy with
            the new time.
        """
        if record.format == "null":
            return record
        if record.path is not None:
            return self._check_files(record, trust)
        if self._listing is None:
            self.scan()
        found = (self._listing or {}).get(record.name)
        if found is None or found[0] != record.size:
            return None
        if trust is not False and found[1] == record.time:
            return record
        with contextlib.suppress(OSError):
            if hash_file(f"{self._objects}/{record.name}") == record.file_hash:
                return record if found[1] == record.time else replace(record, time=found[1])
        return None

    def delete(self, name: str) -> bool:
        """Delete the stored value of a target; returns whether there was one.

        Raises:
            TarFileError: It cannot be deleted.
        """
        if self._listing is not None:
            self._listing.pop(name, None)
        try:
            os.unlink(f"{self._objects}/{name}")
        except FileNotFoundError:
            return False
        except OSError as error:
            raise TarFileError(f"cannot delete the stored value of {name}: {error.strerror}") from error
        return True

    def _scratch_name(self, name: str) -> str:
        return f"{self._scratch}/{name}.{os.getpid()}.{next(self._counter)}"

    def _look_at_files(self, name: str, value: Paths) -> FileInfo:
        paths = [value] if isinstance(value, str) else value
        try:
            status = settled_stat(paths)
            return FileInfo(value, status.time, status.size, hash_paths(paths))
        except (OSError, ValueError) as error:
            missing = getattr(error, "filename", None)
            message = (
                f"file {missing!r} does not exist" if isinstance(error, FileNotFoundError) else str(error)
            )
            raise TarRunError(f"the command returned a path, but {message}", target=name) from error

    def _check_files(self, record: Record, trust: bool | None) -> Record | None:
        path = record.path
        paths = [path] if isinstance(path, str) else path or []
        with contextlib.suppress(OSError, ValueError):
            status = stat_paths(paths)
            if status.size != record.size:
                return None
            same_time = status.time == record.time
            if same_time and (trust or (trust is None and all(map(trusts_timestamps, paths)))):
                return record
            if hash_paths(paths) == record.file_hash:
                return record if same_time else replace(record, time=status.time)
        return None
