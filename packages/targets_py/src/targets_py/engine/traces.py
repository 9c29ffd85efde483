"""Tracebacks that show the user's code alone."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

_PACKAGE = str(Path(__file__).parent.parent) + os.sep


def user_traceback(error: BaseException) -> str:
    """Text of an exception's traceback without the frames of this package."""
    summary = traceback.TracebackException.from_exception(error, compact=True)
    kept = [frame for frame in summary.stack if not frame.filename.startswith((_PACKAGE, "<frozen "))]
    summary.stack = traceback.StackSummary.from_list(kept)
    return "".join(summary.format(chain=False)).rstrip("\n")
