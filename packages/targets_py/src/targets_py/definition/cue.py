"""Cues: when a target that has run before runs again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from targets_py.errors import TarValidateError

CueMode = Literal["thorough", "always", "never"]


@dataclass(frozen=True, slots=True)
class Cue:
    """Which changes make a target run again; made by `tar_cue()`."""

    mode: CueMode = "thorough"
    command: bool = True
    depend: bool = True
    format: bool = True
    repository: bool = True
    iteration: bool = True
    file: bool = True
    seed: bool = True


def tar_cue(
    mode: CueMode = "thorough",
    command: bool = True,
    depend: bool = True,
    format: bool = True,  # noqa: A002 - the original's name
    repository: bool = True,
    iteration: bool = True,
    file: bool = True,
    seed: bool = True,
) -> Cue:
    """Say which changes make a target run again.

    Args:
        mode: "thorough" looks at what the flags allow, "always" runs the target each time, "never" only if it
            has never been built, its last run failed or it became another kind of target.
        command: Run again when the command's code changed.
        depend: Run again when an upstream value, or a function or constant that the command uses, changed.
        format: Run again when the format changed.
        repository: Run again when the repository changed.
        iteration: Run again when the iteration changed.
        file: Run again when the stored file is gone or altered.
        seed: Run again when the target's seed changed, or there is none.

    Returns:
        The cue, for `tar_target(cue=)` or `tar_option_set(cue=)`.

    Raises:
        TarValidateError: An unknown mode, or a flag that is not a bool.

    Example:
        >>> tar_cue(depend=False).depend
        False
    """
    if mode not in get_args(CueMode):
        raise TarValidateError(f"cue mode must be one of {', '.join(get_args(CueMode))}, not {mode!r}")
    cue = Cue(mode, command, depend, format, repository, iteration, file, seed)
    for field in fields(Cue)[1:]:
        value = getattr(cue, field.name)
        if not isinstance(value, bool):
            raise TarValidateError(f"cue flag {field.name} must be True or False, not {value!r}")
    return cue
