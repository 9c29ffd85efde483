"""When values were last built."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from targets_py.engine.context import current_target
from targets_py.errors import TarValidateError
from targets_py.meta import read_records
from targets_py.places import reading_store, store_path
from targets_py.storage.metadata import Metadata
from targets_py.storage.store import Store
from targets_py.tables import chosen_names

if TYPE_CHECKING:
    from targets_py.places import StrPath
    from targets_py.selection import Selector

__all__ = ("tar_newer", "tar_older", "tar_timestamp")

EPOCH = datetime.fromtimestamp(0, UTC)


def tar_timestamp(name: str | None = None, store: StrPath | None = None) -> datetime:
    """When the value of a target was last changed.

    Args:
        name: A stem or branch; None: the running target, whose previous value is meant.
        store: The data store; None: that of the project.

    Returns:
        The time in UTC; 1970-01-01 if there is no such value.

    Raises:
        TarValidateError: No name, and no target runs.

    Example:
        >>> tar_timestamp("report") > tar_timestamp("never built")
        True
    """
    target = current_target()
    if name is None and target is None:
        raise TarValidateError("tar_timestamp() needs the name of a target, because none runs here")
    if target is not None and name in {None, target.definition.name}:
        records = Metadata.load(Store(store_path(store))).records
        name = target.definition.name
    else:
        records = Metadata.load(reading_store(store)).records
    record = records.get(name or "")
    return EPOCH if record is None or record.time is None else _moment(record.time)


def tar_newer(
    time: datetime | timedelta | str,
    names: Selector = None,
    inclusive: bool = False,
    store: StrPath | None = None,
) -> list[str]:
    """Names of the stems and branches whose values are newer than a time, in the order of the metadata.

    Args:
        time: A datetime (without time zone: local), a timedelta (that long ago), or text in ISO format.
        names: Which names to look at; None: all.
        inclusive: Whether that very time counts too.
        store: The data store; None: that of the project.

    Example:
        >>> tar_newer(timedelta(hours=1), names=["data", "report"])
        ['data', 'report']
    """
    limit = _limit(time)
    times = _times(names, store)
    return [name for name, moment in times.items() if moment > limit or (inclusive and moment == limit)]


def tar_older(
    time: datetime | timedelta | str,
    names: Selector = None,
    inclusive: bool = False,
    store: StrPath | None = None,
) -> list[str]:
    """Names of the stems and branches whose values are older than a time, in the order of the metadata.

    Args:
        time: A datetime (without time zone: local), a timedelta (that long ago), or text in ISO format.
        names: Which names to look at; None: all.
        inclusive: Whether that very time counts too.
        store: The data store; None: that of the project.

    Example:
        >>> tar_older(timedelta(hours=1))
        []
    """
    limit = _limit(time)
    times = _times(names, store)
    return [name for name, moment in times.items() if moment < limit or (inclusive and moment == limit)]


def _times(names: Selector, store: StrPath | None) -> dict[str, datetime]:
    records = read_records(reading_store(store))
    times = {name: record.time for name, record in records.items()}
    return {
        name: _moment(stamp) for name in chosen_names(names, records) if (stamp := times[name]) is not None
    }


def _moment(nanoseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _limit(time: datetime | timedelta | str) -> datetime:
    if isinstance(time, timedelta):
        return datetime.now(UTC) - time
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else time
        return moment.astimezone(UTC)
    except (AttributeError, ValueError):
        raise TarValidateError(
            f"time must be a datetime, a timedelta, or text like 2026-01-31T12:00, not {time!r}"
        ) from None
