"""Where the output of a child process goes."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import TextIO

RELAY_SECONDS = 5.0  # how long output may still arrive after the child's end


class Sinks:
    """Where a child's output goes: descriptors to give to it, and threads that pass on what it writes."""

    def __init__(
        self,
        stdout: str | os.PathLike[str] | None,
        stderr: str | os.PathLike[str] | None,
        *,
        show: bool,
    ) -> None:
        self._own: list[int] = []
        self._relays: list[tuple[int, TextIO]] = []
        self._threads: list[threading.Thread] = []
        try:
            if stdout == "1>&2":
                self.stderr = self._open(stderr, sys.stderr, 2, show=show)
                self.stdout = self.stderr
            else:
                self.stdout = self._open(stdout, sys.stdout, 1, show=show)
                self.stderr = (
                    self.stdout if stderr == "2>&1" else self._open(stderr, sys.stderr, 2, show=show)
                )
        except BaseException:
            self.close()
            raise

    def _open(self, target: str | os.PathLike[str] | None, stream: TextIO, number: int, *, show: bool) -> int:
        if target is not None:
            path = Path(os.fspath(target))
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        elif not show:
            descriptor = os.open(os.devnull, os.O_WRONLY)
        elif _is_real(stream, number):
            stream.flush()
            return number
        else:
            source, descriptor = os.pipe()
            self._relays.append((source, stream))
        self._own.append(descriptor)
        return descriptor

    def start(self) -> None:
        """Begin to pass on output, now that the child has its ends."""
        while self._own:
            os.close(self._own.pop())
        for source, stream in self._relays:
            thread = threading.Thread(target=_relay, args=(source, stream), daemon=True, name="targets-relay")
            thread.start()
            self._threads.append(thread)
        self._relays.clear()

    def close(self) -> None:
        """Wait for the last output of a child that has ended."""
        for thread in self._threads:
            thread.join(RELAY_SECONDS)
        while self._own:
            os.close(self._own.pop())
        while self._relays:
            os.close(self._relays.pop()[0])


def _is_real(stream: TextIO, number: int) -> bool:
    """Whether the child can write to the stream itself: notebooks and test runners replace it."""
    try:
        return stream is (sys.__stdout__ if number == 1 else sys.__stderr__) and stream.fileno() == number
    except (OSError, ValueError):
        return False


def _relay(source: int, stream: TextIO) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    with open(source, "rb", buffering=0) as pipe:
        while data := pipe.read(65536):
            with contextlib.suppress(OSError, ValueError):  # nobody listens: keep the child from blocking
                stream.write(decoder.decode(data))
                stream.flush()
