"""Collect or race several mirais, in the words of the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from mirai_py.errors import MiraiTypeError, MiraiValueError
from mirai_py.handles import Mirai
from mirai_py.map import MiraiMap
from mirai_py.profiles import require_profile
from mirai_py.waiting import members, wait_any

if TYPE_CHECKING:
    from mirai_py.generic import T

_OPTIONS = ("flat", "progress", "stop")


_Options = str | Sequence[str] | Mapping[str, Any] | None


@overload
def collect_mirai(x: Mirai[T], options: _Options = None) -> T | Any: ...
@overload
def collect_mirai(x: list[Mirai[T]] | tuple[Mirai[T], ...], options: None = None) -> list[T | Any]: ...
@overload
def collect_mirai(x: dict[Any, Mirai[T]], options: None = None) -> dict[str, T | Any]: ...
@overload
def collect_mirai(x: MiraiMap | Sequence[Mirai] | dict[Any, Mirai], options: _Options = None) -> Any: ...
def collect_mirai(x: Any, options: _Options = None) -> Any:
    """Wait for mirais and give their values; failures are values.

    Args:
        x: a mirai, a list or dict of them, or a map.
        options: for several: "flat", "progress", "stop" (a leading dot is accepted), a list of them, or a
            mapping such as `{"stop": True, "progress": "name of the bar"}`. See `MiraiMap.collect`.

    Returns:
        The value; a list of values, or a dict where the input had names.

    Raises:
        TypeError: there is something else than a mirai among them.
        ValueError: an option is unknown.
        MiraiMapError: as the options say.

    Example:
        >>> with daemons(1):
        ...     collect_mirai([mirai(pow, 2, k) for k in range(3)])
        [1, 2, 4]
    """
    chosen = _options(options)
    if isinstance(x, Mirai):
        return x.collect()
    if isinstance(x, MiraiMap):
        return x.collect(**chosen)
    names = [str(name) for name in x] if isinstance(x, dict) else None
    return MiraiMap(members(x), names).collect(**chosen)


def _options(options: Any) -> dict[str, Any]:
    if options is None:
        return {}
    if isinstance(options, str):
        options = [options]
    if not isinstance(options, Mapping | Sequence):
        raise MiraiTypeError(f"`options` must be a str, a list of them or a mapping, not {options!r}")
    pairs = options.items() if isinstance(options, Mapping) else ((name, True) for name in options)
    chosen = {str(name).removeprefix("."): value for name, value in pairs}
    unknown = sorted(set(chosen) - set(_OPTIONS))
    if unknown:
        raise MiraiValueError(f"`options` has the unknown {unknown[0]!r}; there are: {', '.join(_OPTIONS)}")
    return chosen


def race_mirai(x: Sequence[Mirai] | dict[Any, Mirai], compute: str | None = None) -> int | None:
    """Position (from 0) of the first resolved mirai in list order, waiting for one if none is.

    Args:
        x: a list or map of mirais.
        compute: the profile; None is the current one.

    Returns:
        None for an empty list.

    Raises:
        DaemonsNotSetError: the profile is not set.

    Example:
        >>> with daemons(2):
        ...     race_mirai([mirai("import time; time.sleep(60)"), mirai(abs, 1)])
        1
    """
    require_profile(compute)
    waiting = members(x)
    return wait_any(waiting) if waiting else None
