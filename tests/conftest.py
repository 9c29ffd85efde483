"""What the cross-layer tests share."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@dataclass
class Report:
    """The lines of a verbose run."""

    lines: list[str] = field(default_factory=list)

    @property
    def completed(self) -> list[str]:
        """Stems and branches that were built, in order."""
        words = (line.split() for line in self.lines)
        return [w[2] for w in words if w[:1] == ["completed"] and w[1] in ("target", "branch")]

    @property
    def built(self) -> set[str]:
        """The same, branches under the name of their pattern."""
        return {re.sub("_[0-9a-f]{16}$", "", name) for name in self.completed}

    @property
    def skipped_all(self) -> bool:
        """Whether it says that there was nothing to do."""
        return any("skipped pipeline" in line for line in self.lines)


@dataclass
class Project:
    """A copy of an example in a folder of its own, driven through the command line."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `targets ARGUMENTS` in a process group of its own; its stderr is a pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", "targets_py", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `targets ARGUMENTS` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "targets_py", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def make(self) -> Report:
        """Make the pipeline."""
        run = self.run("make", "--reporter", "verbose")
        assert run.returncode == 0, run.stderr
        return Report(run.stderr.splitlines())

    def main_process(self) -> int:
        """The pid of the process that runs the pipeline, as it noted it in the store."""
        rows = (self.folder / "_targets" / "meta" / "process").read_text().splitlines()
        return next(int(row.split("|")[1]) for row in rows if row.startswith("pid|"))

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the project."""
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def report() -> Report:
    """A report to be filled line by line."""
    return Report()


@pytest.fixture
def flights(tmp_path: Path) -> Project:
    """The flights example, with a fiftieth of the resampling."""
    folder = tmp_path / "flights"
    shutil.copytree(
        ROOT / "examples" / "flights",
        folder,
        ignore=shutil.ignore_patterns("_targets", "results", "__pycache__"),
    )
    return Project(folder, {"FLIGHTS_EFFORT": "0.02"})
