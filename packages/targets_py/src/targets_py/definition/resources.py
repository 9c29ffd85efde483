"""Details of formats, storage and workers that few targets need."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from targets_py.definition.unset import UNSET, Unset
from targets_py.errors import TarValidateError


@dataclass(frozen=True, slots=True)
class ResourcesCrew:
    """Which controller of a group runs a target, and for how many seconds at most."""

    controller: str | None = None
    seconds_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class ResourcesNetwork:
    """How long to wait for a file that a worker wrote on a network file system."""

    max_tries: float = 60
    seconds_interval: float = 0.25
    seconds_timeout: float = 60
    verbose: bool = True


@dataclass(frozen=True, slots=True)
class ResourcesParquet:
    """Compression of format "parquet"."""

    compression: str = "zstd"
    compression_level: int | None = None


@dataclass(frozen=True, slots=True)
class ResourcesFeather:
    """Compression of format "feather"."""

    compression: str = "default"
    compression_level: int | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """All details of one target; made by `tar_resources()`."""

    crew: ResourcesCrew = field(default_factory=ResourcesCrew)
    feather: ResourcesFeather = field(default_factory=ResourcesFeather)
    network: ResourcesNetwork = field(default_factory=ResourcesNetwork)
    parquet: ResourcesParquet = field(default_factory=ResourcesParquet)

    def of(self, name: str) -> dict[str, Any]:
        """The details of a format by the names of its arguments; empty if it has none."""
        part = getattr(self, name, None)
        return {} if part is None else asdict(part)


_Part = TypeVar("_Part", ResourcesCrew, ResourcesFeather, ResourcesNetwork, ResourcesParquet)


def _current() -> Resources:
    from targets_py.definition.options import current_options

    return current_options().resources


def _given(part: _Part, **values: Any) -> _Part:
    return replace(part, **{name: value for name, value in values.items() if value is not UNSET})


def _at_least(label: str, value: Any, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value) or value < least:
        raise TarValidateError(f"{label} must be a number >= {least}, not {value!r}")


def tar_resources(
    *,
    crew: ResourcesCrew | None = None,
    feather: ResourcesFeather | None = None,
    network: ResourcesNetwork | None = None,
    parquet: ResourcesParquet | None = None,
) -> Resources:
    """Collect the details of a target's formats, storage and worker.

    Args:
        crew: From `tar_resources_crew()`.
        feather: From `tar_resources_feather()`.
        network: From `tar_resources_network()`.
        parquet: From `tar_resources_parquet()`.

    Returns:
        The resources; a part that is not given is that of `tar_option_get("resources")`.

    Raises:
        TarValidateError: A part of another kind.

    Example:
        >>> tar_resources(crew=tar_resources_crew(seconds_timeout=60)).crew.seconds_timeout
        60
    """
    parts: dict[str, Any] = {"crew": crew, "feather": feather, "network": network, "parquet": parquet}
    given = {name: part for name, part in parts.items() if part is not None}
    kinds = {part.name: type(getattr(Resources(), part.name)) for part in fields(Resources)}
    for name, part in given.items():
        if type(part) is not kinds[name]:
            raise TarValidateError(
                f"tar_resources({name}=) takes the result of tar_resources_{name}(), "
                f"not {type(part).__name__} {part!r}"
            )
    return replace(_current(), **given)


def tar_resources_crew(
    controller: str | Unset | None = UNSET, seconds_timeout: float | Unset | None = UNSET
) -> ResourcesCrew:
    """Say which controller of a group runs a target, and how long it may take there.

    Args:
        controller: Name of the controller; None: the first one of the group.
        seconds_timeout: Limit of the target's run time on the worker in seconds; None: no limit.

    Returns:
        The part for `tar_resources(crew=)`.

    Raises:
        TarValidateError: A name that is no string, or a limit that is not > 0.

    Example:
        >>> tar_resources_crew(controller="big").controller
        'big'
    """
    part = _given(_current().crew, controller=controller, seconds_timeout=seconds_timeout)
    if part.controller is not None and not isinstance(part.controller, str):
        raise TarValidateError(f"controller must be the name of a controller, not {part.controller!r}")
    if part.seconds_timeout is not None:
        _at_least("seconds_timeout", part.seconds_timeout, 0)
    return part


def tar_resources_network(
    max_tries: float | Unset = UNSET,
    seconds_interval: float | Unset = UNSET,
    seconds_timeout: float | Unset = UNSET,
    verbose: bool | Unset = UNSET,
) -> ResourcesNetwork:
    """Say how the pipeline waits until a file that a worker wrote is seen on a network file system.

    Args:
        max_tries: Looks at most, default 60.
        seconds_interval: Seconds between looks, default 0.25.
        seconds_timeout: Seconds to wait at most, default 60.
        verbose: Say so while waiting, default True.

    Returns:
        The part for `tar_resources(network=)`.

    Raises:
        TarValidateError: A negative number.

    Example:
        >>> tar_resources_network(seconds_timeout=10).seconds_timeout
        10
    """
    part = _given(
        _current().network,
        max_tries=max_tries,
        seconds_interval=seconds_interval,
        seconds_timeout=seconds_timeout,
        verbose=verbose,
    )
    _at_least("max_tries", part.max_tries, 1)
    _at_least("seconds_interval", part.seconds_interval, 0)
    _at_least("seconds_timeout", part.seconds_timeout, 0)
    return part


def tar_resources_parquet(
    compression: str | Unset = UNSET, compression_level: int | Unset | None = UNSET
) -> ResourcesParquet:
    """Say how format "parquet" compresses.

    Args:
        compression: Name of a codec, default "zstd".
        compression_level: Level of that codec; None: the codec's own default.

    Returns:
        The part for `tar_resources(parquet=)`.

    Example:
        >>> tar_resources_parquet(compression="snappy").compression
        'snappy'
    """
    return _given(_current().parquet, compression=compression, compression_level=compression_level)


def tar_resources_feather(
    compression: str | Unset = UNSET, compression_level: int | Unset | None = UNSET
) -> ResourcesFeather:
    """Say how format "feather" compresses.

    Args:
        compression: Name of a codec, or "default" for the library's choice.
        compression_level: Level of that codec; None: the codec's own default.

    Returns:
        The part for `tar_resources(feather=)`.

    Example:
        >>> tar_resources_feather(compression="lz4").compression
        'lz4'
    """
    return _given(_current().feather, compression=compression, compression_level=compression_level)
