"""The command line: talk to sockets from a shell, in the manner of nngcat."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from typing import TYPE_CHECKING, Final

import nngsock
from nngsock.printing import FORMATS
from nngsock.sockets import PROTOCOLS
from nngsock.talk import ROLES, Failed, Talk

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("main",)

OK, FAILED, INTERRUPTED, BROKEN_PIPE = 0, 1, 130, 141  # what shells use for the signals

DESCRIPTION: Final = """\
Send and receive messages over NNG.

  push, pub       send           pull, sub       receive
  req, surveyor   ask            rep, respondent answer, with the data or else with what was asked
  pair, bus       send the data if there is any, then receive
  send, recv      only send, only receive, with any --protocol (push, pull)

What is sent comes from --data, --file, or standard input. Times are in seconds."""
EPILOG: Final = """\
Ends with 0; 1 if something failed or nothing came within --timeout; 2 for a wrong command line;
130 after Ctrl-C.

  python -m nngsock pull --listen tcp://127.0.0.1:5555 &
  echo hello | python -m nngsock push --dial tcp://127.0.0.1:5555"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; None takes those of the process.

    Returns:
        The status to exit with.
    """
    parser = _parser()
    try:
        args = parser.parse_args(argv)
        protocol = _protocol(args)
    except ValueError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_args: _tell(message)
        return _run(args, protocol)


def _run(args: argparse.Namespace, protocol: str) -> int:
    try:
        with nngsock.socket(protocol) as socket, contextlib.closing(Talk(socket, args)) as talk:
            talk.connect()
            ROLES[args.command](talk)
            talk.see_off()
    except BrokenPipeError:
        return _end_quietly()
    except (Failed, nngsock.NngsockError, OSError) as error:
        _tell(error)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return OK


def _tell(what: object) -> None:
    sys.stderr.write(f"nngsock: {what}\n")


def _end_quietly() -> int:
    """Nobody reads any more: keep Python from telling so when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "nngsock",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=ROLES, metavar="COMMAND", help="one of the words above")
    add = parser.add_argument
    add("--protocol", choices=PROTOCOLS, metavar="NAME", help="for send and recv: the protocol of the socket")
    add("--dial", "--connect", action="append", default=[], metavar="URL", help="connect there; repeatable")
    add("--listen", "--bind", action="append", default=[], metavar="URL", help="accept there; repeatable")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", "-D", metavar="TEXT", help="what to send")
    source.add_argument("--file", "-F", metavar="PATH", help="send what is in this file; - is standard input")
    add("--lines", action="store_true", help="send each line of the input as a message")
    add("--mode", choices=("raw", "string", "serial"), default="raw", help=MODE_HELP)
    add("--format", choices=FORMATS, default="text", help=FORMAT_HELP)
    for short, name in (("-A", "ascii"), ("-Q", "quoted")):
        add(short, f"--{name}", dest="format", action="store_const", const=name, help=f"--format {name}")
    for name in ("raw", "hex", "msgpack", "json"):
        add(f"--{name}", dest="format", action="store_const", const=name, help=argparse.SUPPRESS)
    add("--count", "-C", type=_count, metavar="N", help="stop after so many messages")
    add(
        "--interval", "-i", type=_seconds, metavar="S", help="send again and again, so long after one another"
    )
    add("--delay", "-d", type=_seconds, default=0, metavar="S", help="wait before sending")
    add("--timeout", type=_seconds, metavar="S", help="give up when nothing can be sent or received so long")
    add("--subscribe", action="append", metavar="TOPIC", help="for sub; repeatable; everything without it")
    add("--cacert", metavar="FILE", help="TLS: the certificates of the authorities to trust")
    add("--cert", metavar="FILE", help="TLS: the own certificate")
    add("--key", metavar="FILE", help="TLS: its private key, if that is not in the same file")
    add("--insecure", "-k", action="store_true", help="TLS: connect to anybody")
    add("--version", action="version", version=nngsock.__version__)
    return parser


MODE_HELP: Final = (
    "what messages are: bytes; a string with a NUL as R sends it; or any object by pickle, data given as a "
    "literal of Python. Reading pickles runs code: serial only with peers you trust"
)
FORMAT_HELP: Final = "how messages are shown; raw is without newlines"


def _seconds(text: str) -> float:
    """Seconds in the command line as milliseconds."""
    value = float(text)
    if not 0 <= value < 1e6:
        raise ValueError
    return value * 1000


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


_seconds.__name__ = "number of seconds"  # as argparse says what is invalid
_count.__name__ = "count"


def _protocol(args: argparse.Namespace) -> str:
    """The protocol of the socket; ValueError for a command line that makes no sense."""
    if not args.dial and not args.listen:
        raise ValueError("give an address: --dial URL or --listen URL")
    usual = {"send": "push", "recv": "pull"}.get(args.command)
    if args.protocol is not None and usual is None:
        raise ValueError("--protocol is for the commands send and recv")
    return str(args.protocol or usual or args.command)
