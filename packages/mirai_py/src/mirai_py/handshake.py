"""How host and daemon prove to each other that they know the same token, before anything else is read.

The host sends CHALLENGE (a nonce); the daemon answers HELLO (a keyed digest of that nonce, a nonce of its
own, and as JSON who it is); the host answers INIT (a keyed digest of the daemon's nonce, then a pickle). No
pickle is read before the digest in front of it was checked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from mirai_py import frames
from mirai_py._version import __version__
from mirai_py.frames import HEADER_SIZE, Kind

TOKEN_VARIABLE = "MIRAI_PY_TOKEN"  # noqa: S105 - the name of the variable, not a token
NONCE_SIZE = 16
DIGEST_SIZE = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a daemon is.

    `boot` tells whether two processes share a machine (and a pid space): the id that the kernel draws at boot
    with the namespace of pids. `memory` lets the host try whether it can read the memory of the daemon.
    """

    pid: int
    host: str
    boot: str
    python: str
    version: str
    memory: str = ""


def new_token() -> str:
    """The token of a `daemons()` call: from the environment where the host has one set, else a fresh one."""
    return os.environ.get(TOKEN_VARIABLE) or secrets.token_hex(16)


def identity() -> Identity:
    """Who this process is."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Identity(os.getpid(), socket.gethostname(), boot_id(), python, __version__)


def boot_id() -> str:
    """Identifies the machine and pid namespace; empty where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def digest(token: str, nonce: bytes) -> bytes:
    """The proof of knowing the token."""
    return hmac.digest(token.encode(), nonce, hashlib.sha256)


def challenge(nonce: bytes) -> frames.Parts:
    """The host's first frame."""
    return [frames.head(Kind.CHALLENGE) + nonce]


def hello(token: str, challenge_frame: frames.Buffer, nonce: bytes, who: Identity) -> frames.Parts:
    """The daemon's answer to a challenge."""
    proof = digest(token, bytes(challenge_frame[HEADER_SIZE : HEADER_SIZE + NONCE_SIZE]))
    return [frames.head(Kind.HELLO) + proof + nonce + json.dumps(asdict(who)).encode()]


def check_hello(frame: frames.Buffer, token: str, nonce: bytes) -> tuple[Identity | None, bytes, str]:
    """Who a daemon is, its nonce, and why it is refused ("" if it is not)."""
    raw = bytes(frame[HEADER_SIZE:])
    proof, rest = raw[:DIGEST_SIZE], raw[DIGEST_SIZE:]
    if not hmac.compare_digest(proof, digest(token, nonce)):
        return None, b"", f"the token is wrong: start daemons with this host's {TOKEN_VARIABLE}"
    try:
        who = Identity(**json.loads(rest[NONCE_SIZE:]))
    except (TypeError, ValueError) as error:
        return None, b"", f"the daemon's introduction cannot be read ({error})"
    return who, rest[:NONCE_SIZE], _mismatch(who)


def init(token: str, nonce: bytes, settings: bytes) -> frames.Parts:
    """The host's answer: its own proof, then the pickled settings."""
    return [frames.head(Kind.INIT) + digest(token, nonce) + settings]


def check_init(frame: frames.Buffer, token: str, nonce: bytes) -> bytes | None:
    """The pickled settings, or None if the host does not know the token."""
    raw = bytes(frame[HEADER_SIZE:])
    if not hmac.compare_digest(raw[:DIGEST_SIZE], digest(token, nonce)):
        return None
    return raw[DIGEST_SIZE:]


def _mismatch(who: Identity) -> str:
    mine = identity()
    if who.version != mine.version:
        return f"the daemon runs mirai_py {who.version}, the host {mine.version}: install the same version"
    if who.python != mine.python:
        return f"the daemon runs Python {who.python}, the host {mine.python}: pickles need the same version"
    return ""
