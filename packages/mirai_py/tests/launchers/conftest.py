"""Programs that stand for ssh, sbatch and the like."""

import os
import shlex
import stat
import sys

import pytest

import mirai_py

RECORD = """#!/bin/sh
for word do printf '%s\\0' "$word"; done > {folder}/arguments.$$
cat > {folder}/stdin.$$
mv {folder}/arguments.$$ {folder}/ran.$$
"""


class Program:
    """A program that writes down how it is run, and may do something then."""

    def __init__(self, folder, then=""):
        self.folder = folder
        self.path = folder / "program"
        self.path.write_text(RECORD.format(folder=shlex.quote(str(folder))) + then)
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)

    def __str__(self):
        return shlex.quote(str(self.path))

    def runs(self):
        """The arguments of each run."""
        return [file.read_bytes().decode().split("\0")[:-1] for file in self.folder.glob("ran.*")]

    def scripts(self):
        """What each run has read from stdin."""
        return [file.read_text() for file in self.folder.glob("stdin.*")]


@pytest.fixture
def program(tmp_path):
    """`program(then)` makes one, which goes on with the lines `then` of a shell script."""

    def make(then=""):
        folder = tmp_path / f"program {len(os.listdir(tmp_path))}"
        folder.mkdir()
        return Program(folder, then)

    return make


@pytest.fixture
def python():
    """This interpreter, for a shell."""
    return shlex.quote(sys.executable)


@pytest.fixture
def listening(fresh):
    """The name of a profile that listens on loopback, and its port."""
    mirai_py.daemons(url=mirai_py.local_url(tcp=True), compute=fresh)
    return fresh, mirai_py.status(fresh)["daemons"].rpartition(":")[2]


@pytest.fixture
def connected():
    """Wait until so many daemons are connected: each runs one task."""

    def wait(profile, number):
        mirai_py.everywhere("", _min=number, _compute=profile).collect()
        return mirai_py.info(profile)["connections"]

    return wait
