"""Options of a daemon: which there are, and whether they make sense."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from mirai_py.arguments import flag, is_number, whole_number
from mirai_py.encryption import is_trust
from mirai_py.errors import MiraiTypeError, MiraiValueError
from mirai_py.streams import is_stream

if TYPE_CHECKING:
    from collections.abc import Mapping


OPTIONS = (
    "asyncdial",
    "autoexit",
    "cleanup",
    "output",
    "idletime",
    "walltime",
    "maxtasks",
    "timerstart",
    "tlscert",
    "rs",
)


def check_daemon_args(given: dict[str, Any]) -> None:
    """See that these are options of a daemon, and make sense.

    Raises:
        TypeError, ValueError: naming the one that is not or does not.
    """
    unknown = sorted(set(given) - set(OPTIONS))
    if unknown:
        known = ", ".join(OPTIONS)
        raise MiraiTypeError(f"unknown argument {unknown[0]!r}; options of a daemon are: {known}")
    check_options(given)


def check_options(options: Mapping[str, Any]) -> None:
    """See that options of a daemon make sense, before one is started with them.

    Raises:
        TypeError, ValueError: naming the option, its value and what it may be.
    """
    for name in ("dispatcher", "asyncdial", "cleanup"):
        flag(name, options.get(name, True))
    if not isinstance(options.get("autoexit"), bool | None):
        raise MiraiTypeError(f"`autoexit` must be True, False or None, not {options['autoexit']!r}")
    if not isinstance(options.get("output", True), bool | str | os.PathLike):
        raise MiraiTypeError(f"`output` must be True, False or a path, not {options['output']!r}")
    for name in ("idletime", "walltime"):
        value = options.get(name, 0)
        if not is_number(value) or not value >= 0:
            raise MiraiValueError(f"`{name}` must be a number, zero or greater, not {value!r}")
    whole_number("timerstart", options.get("timerstart", 0))
    if options.get("maxtasks", math.inf) != math.inf:
        whole_number("maxtasks", options["maxtasks"], 1)
    if not is_trust(options.get("tlscert")):
        raise MiraiTypeError(f"`tlscert` must be a path or a pair of PEM texts, not {options['tlscert']!r}")
    if not is_stream(options.get("rs")):
        raise MiraiTypeError(f"`rs` must be a pair of whole numbers, of nextstream(), not {options['rs']!r}")


def threads_of(threads: Any) -> int | None:
    """How many threads the numeric libraries of a daemon may use; None leaves that to them."""
    return None if threads is None else whole_number("threads", threads, 1)
