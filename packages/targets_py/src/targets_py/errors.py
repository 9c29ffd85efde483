"""Exceptions and warnings of this layer."""

from __future__ import annotations

from typing import Any


class TarError(Exception):
    """Base of all exceptions of targets_py."""


class TarValidateError(TarError, ValueError):
    """A definition, an argument or a name is wrong; nothing was run and nothing was written."""


class TarRunError(TarError, RuntimeError):
    """A pipeline, or one of its targets, failed while running.

    Args:
        message: What went wrong.
        target: Name of the target that failed, if it was one.
        traceback: Text of the failed command's traceback, the user's frames only.
        original: The exception that the command raised, if it could be kept.
        condition_class: Names of that exception's class and its bases, most derived first.

    Example:
        >>> TarRunError("bad value", target="report").target
        'report'
    """

    def __init__(
        self,
        message: str,
        *,
        target: str | None = None,
        traceback: str = "",
        original: BaseException | None = None,
        condition_class: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.target = target
        self.traceback = traceback
        self.original = original
        self.condition_class = condition_class

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with the message alone and lose the rest on its way
        # from a child process.
        return _restore, (type(self), self.args, dict(self.__dict__))


def _restore(kind: type[TarRunError], args: tuple[Any, ...], state: dict[str, Any]) -> TarRunError:
    error = kind(*args)
    error.__dict__.update(state)
    return error


class TarFileError(TarError, OSError):
    """A file of the data store cannot be read or written."""


class TarCancel(TarError):  # noqa: N818 - a signal that a command sends, not a failure
    """Raised by `tar_cancel()` to stop the running target."""


class TarWarning(UserWarning):
    """Base of all warnings of targets_py."""


class TarValidateWarning(TarWarning):
    """A definition or an argument is legal but probably not what was meant."""


class TarRunWarning(TarWarning):
    """A pipeline ran, but some of its targets failed or warned."""


class TarDeprecateWarning(TarWarning, DeprecationWarning):
    """Something that is named has a successor."""
