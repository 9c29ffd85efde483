"""Real servers to launch daemons through: `nox -s cluster` starts them and says where they are."""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass

import pytest

import mirai_py


def told(name):
    """What the session says in its environment."""
    if name not in os.environ:
        pytest.skip("needs the servers that `nox -s cluster` starts")
    return os.environ[name]


@dataclass
class Ssh:
    """How to reach the SSH server."""

    command: str
    direct: str
    enclosed: str = "ssh://enclosed"


@pytest.fixture
def ssh():
    """The SSH server: `command` for `ssh_config`, the remotes `direct` and `enclosed`."""
    config = told("CLUSTER_SSH_CONFIG")
    return Ssh(f"ssh -F {shlex.quote(config)}", f"ssh://root@127.0.0.1:{told('CLUSTER_SSH_PORT')}")


@pytest.fixture
def slurm():
    """Run a command of Slurm and give what it prints."""
    told("SLURM_CONF")

    def run(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return run


@pytest.fixture
def python():
    """This interpreter, for a shell."""
    return shlex.quote(sys.executable)


@pytest.fixture
def pids():
    """Wait until so many daemons are connected; gives their pids. This is their machine."""

    def wait(profile, number):
        return mirai_py.everywhere("import os; os.getpid()", _min=number, _compute=profile).collect()

    return wait
