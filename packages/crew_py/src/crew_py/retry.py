"""Call something until it says that it is done."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from crew_py import validation
from crew_py.errors import CrewExpireError, CrewTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ("crew_retry",)


def crew_retry(
    fun: Callable[..., Any],
    args: Sequence[Any] | dict[str, Any] | None = None,
    seconds_interval: float = 0.25,
    seconds_timeout: float = 60,
    max_tries: float = math.inf,
    error: bool = True,
    message: str = "",
    assertions: bool = True,
) -> None:
    """Call a function until it returns exactly True.

    It is called at least once. Where the end of something can be waited for, wait for that instead.

    Args:
        fun: the function.
        args: its positional (list, tuple) or named (dict) arguments.
        seconds_interval: seconds between two calls.
        seconds_timeout: seconds after which no further call is made.
        max_tries: largest number of calls.
        error: whether to raise when it never returned True; otherwise None is returned in that case too.
        message: added to the error's text.
        assertions: whether to check the arguments above.

    Raises:
        CrewExpireError: it never returned True.

    Example:
        >>> crew_retry(lambda: True)
    """
    if assertions:
        if not callable(fun):
            raise CrewTypeError(f"`fun` must be callable, got {fun!r}")
        validation.finite("seconds_interval", seconds_interval, at_least=0)
        validation.number("seconds_timeout", seconds_timeout, at_least=0)
        validation.whole_or_inf("max_tries", max_tries, at_least=1)
    keywords = args if isinstance(args, dict) else {}
    positional = () if args is None or isinstance(args, dict) else tuple(args)
    deadline = time.monotonic() + seconds_timeout
    tries = 0
    while fun(*positional, **keywords) is not True:
        tries += 1
        if tries >= max_tries:
            reason = f"{tries} tries"
        elif time.monotonic() + seconds_interval > deadline:
            reason = f"{seconds_timeout:g} seconds"
        else:
            time.sleep(seconds_interval)
            continue
        if error:
            raise CrewExpireError(f"gave up after {reason}" + (f": {message}" if message else ""))
        return
