"""What the machine allows, and the version that stands in the log."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from autometric_py._version import __version__
from autometric_py.errors import AutometricError

SYSTEMS = ("linux", "darwin", "win32")


def log_version() -> str:
    """Tell the version that stands on every line of the log, which is this distribution's.

    Returns:
        The version.

    Example:
        >>> import autometric_py
        >>> log_version() == autometric_py.__version__
        True
    """
    return __version__


def log_support() -> bool:
    """Tell whether processes can be logged here: on Linux, macOS and Windows, when psutil is installed.

    The environment variable `AUTOMETRIC_MOCK_NO_SUPPORT=1` makes it False, to test what then happens.

    Returns:
        Whether `log_start` and `log_print` work.

    Example:
        >>> log_support()
        True
    """
    return why_unsupported() is None


def why_unsupported() -> str | None:
    """What stands in the way, if anything does."""
    if os.environ.get("AUTOMETRIC_MOCK_NO_SUPPORT") == "1":
        return "AUTOMETRIC_MOCK_NO_SUPPORT=1 is set"
    if sys.platform not in SYSTEMS:
        return f"the platform is {sys.platform!r}"
    if folder_of("psutil") is None:
        return "psutil is not installed"
    return None


def supported(*, error: bool | None) -> bool:
    """Whether to go on; raises when not supported, unless `error` (or AUTOMETRIC_ERROR=0) says otherwise."""
    reason = why_unsupported()
    if reason is None:
        return True
    if error is None:
        error = os.environ.get("AUTOMETRIC_ERROR") != "0"
    if error:
        raise AutometricError(
            f"processes cannot be logged here: {reason}; pass error=False to go on without a log"
        )
    return False


def folder_of(module: str) -> str | None:
    """The folder that a module is installed in, found without importing it; None when it is not."""
    spec = importlib.util.find_spec(module)
    return str(Path(spec.origin).parent.parent) if spec and spec.origin else None
