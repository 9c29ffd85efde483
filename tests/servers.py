"""Run a command beside an SSH server and a single-node Slurm of its own, then stop both.

Usage: python servers.py COMMAND...
       python servers.py --check    (whether this machine can: exit code 0, or the reason)

Root on Debian with the packages slurm-wlm, munge, openssh-server, openssh-client and iproute2. Everything
that the servers need lies in one temporary folder: keys, configuration, sockets, state. What else runs on the
machine is not touched. The command finds in its environment:

    SLURM_CONF           the configuration of Slurm, which sbatch and squeue read by themselves
    CLUSTER_SSH_CONFIG   for `ssh -F`: the host "direct" is this machine, "enclosed" the same in a network of
                         its own, which reaches this machine by nothing but the connection of ssh
    CLUSTER_SSH_PORT     where the SSH server listens at 127.0.0.1
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = (
    "munged",
    "slurmctld",
    "slurmd",
    "sbatch",
    "sshd",
    "ssh",
    "ssh-keygen",
    "ip",
    "nsenter",
    "setpriv",
    "unshare",
)
STOP_SECONDS = 20

SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowUsers root
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PrintMotd no
PidFile none
AcceptEnv *
MaxStartups 100
"""

SSH = """
Host direct
    HostName 127.0.0.1

Host enclosed
    ProxyCommand nsenter --target {inside} --net -- {sshd} -i -f {folder}/sshd_config

Host *
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    StrictHostKeyChecking yes
    HostKeyAlias ours
    BatchMode yes
    SendEnv LEFT_BEHIND_TOKEN
"""

SLURM = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={munge}/socket
CredType=cred/munge
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=tests Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why the servers cannot be started here; empty if they can."""
    if sys.platform != "linux" or os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        return "it takes root on Debian"
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def _program(name: str) -> str:
    found = shutil.which(name, path=_path())
    assert found is not None, name
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def process(*command: str, until: str = "", user: str | None = None) -> Iterator[int]:
    """A server as a child of this process, ready once it has written a certain text; it is ended at last."""
    # Whatever ends this process ends its servers.
    guarded = ["setpriv", "--pdeathsig", "TERM", "--", *command]
    child = subprocess.Popen(
        guarded, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, user=user, group=user, extra_groups=None if user is None else [], start_new_session=True,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        said = []
        for line in child.stdout if until else ():
            said.append(line)
            if until in line:
                break
        else:
            if until:
                raise SystemExit(f"{command[0]} did not start:\n{''.join(said)}")
        # What it goes on to write must not fill the pipe.
        drain = subprocess.Popen(["cat"], stdin=child.stdout, stdout=subprocess.DEVNULL)
        try:
            yield child.pid
        finally:
            _end(child)
            drain.wait()
            child.stdout.close()
    finally:
        _end(child)


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[dict[str, str]]:
    """An SSH server with keys of its own, which lets nobody in but who has the one made here."""
    for key in ("host_key", "user_key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", str(folder / key)],
            check=True,
        )
    (folder / "known_hosts").write_text(f"ours {(folder / 'host_key.pub').read_text()}")
    port = _free_port()
    (folder / "sshd_config").write_text(SSHD.format(port=port, folder=folder))
    with contextlib.ExitStack() as stack:
        privileges = Path("/run/sshd")
        if not privileges.exists():
            privileges.mkdir(mode=0o755)
            stack.callback(privileges.rmdir)
        sshd = _program("sshd")
        stack.enter_context(
            process(sshd, "-D", "-e", "-f", str(folder / "sshd_config"), until="listening on")
        )
        inside = stack.enter_context(
            process(
                "unshare",
                "--net",
                "sh",
                "-c",
                "ip link set lo up && echo up && exec sleep infinity",
                until="up",
            )
        )
        (folder / "ssh_config").write_text(SSH.format(folder=folder, sshd=sshd, inside=inside))
        yield {"CLUSTER_SSH_CONFIG": str(folder / "ssh_config"), "CLUSTER_SSH_PORT": str(port)}


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """A Slurm of one node, with a munge of its own."""
    munge = folder / "munge"
    munge.mkdir()
    (munge / "key").write_bytes(os.urandom(128))
    (munge / "key").chmod(0o600)
    for path in (munge, munge / "key"):
        shutil.chown(path, "munge", "munge")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    config = folder / "slurm.conf"
    config.write_text(
        SLURM.format(folder=folder, munge=munge, host=host, control=_free_port(), node=_free_port())
    )
    environment = {"SLURM_CONF": str(config)}
    files = [f"--{name}-file={munge / name}" for name in ("key", "pid", "log", "seed")]
    with (
        process(
            _program("munged"), "--foreground", f"--socket={munge / 'socket'}", *files, user="munge",
            until="Created 2 work threads",
        ),
        process(_program("slurmctld"), "-D", "-i", "-f", str(config), until="Running as primary controller"),
        process(_program("slurmd"), "-D", "-f", str(config), until="slurmd started"),
    ):  # fmt: skip
        # Ready when it has run something.
        subprocess.run(["srun", "true"], env={**os.environ, **environment}, check=True, timeout=60)
        try:
            yield environment
        finally:
            subprocess.run(["scancel", "--partition=tests"], env={**os.environ, **environment}, check=False)


def main() -> int:
    if reason := missing():
        raise SystemExit(f"cannot start the servers: {reason}")
    if sys.argv[1:] == ["--check"]:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="servers-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with ssh_server(folder) as ssh_environment, slurm(folder) as slurm_environment:
            environment = {**os.environ, **ssh_environment, **slurm_environment}
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
