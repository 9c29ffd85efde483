"""Helpers for tests of pipelines: a folder of their own, and nothing that outlives the test."""

from __future__ import annotations

import functools
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from targets_py.config import ENVIRONMENT_VARIABLES
from targets_py.definition.options import Options, current_options, restore_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("tar_dir", "tar_test")

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def tar_dir() -> Iterator[Path]:
    """Work in a new temporary folder, which is removed afterwards.

    Yields:
        The folder, which is the working directory until the block ends.

    Example:
        >>> with tar_dir() as folder:
        ...     list(folder.iterdir())
        []
    """
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="targets-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def tar_test(function: Callable[P, T]) -> Callable[P, T]:
    """Run a test in a new temporary folder, with default options and without questions to the user.

    Options and the environment variables TAR_* are as before afterwards.

    Example:
        >>> @tar_test
        ... def test_my_pipeline():
        ...     tar_script('pipeline = [tar_target("x", 1)]')
        ...     tar_make(callr_function=None)
        ...     assert tar_read("x") == 1
    """

    @functools.wraps(function)
    def test(*args: P.args, **kwargs: P.kwargs) -> T:
        options = current_options()
        before = {name: os.environ.pop(name, None) for name in ENVIRONMENT_VARIABLES}
        os.environ["TAR_ASK"] = "false"
        restore_options(Options())
        try:
            with tar_dir():
                return function(*args, **kwargs)
        finally:
            restore_options(options)
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    return test
