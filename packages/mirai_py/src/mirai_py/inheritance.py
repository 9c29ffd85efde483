"""What the host passes to the daemons that it starts itself."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field

from mirai_py.lane import Lane
from mirai_py.lifetime import LOCAL_VARIABLE, die_with_host
from mirai_py.record import Record


@dataclass(slots=True)
class Inheritance:
    """Descriptors and the search path that a daemon of this machine gets from its host."""

    life: int | None = None
    record: int | None = None
    lane: int | None = None
    path: list[str] = field(default_factory=list)
    _opened: Record | None = None
    _lane: Lane | None = None

    def open_record(self) -> Record | None:
        """Where this daemon notes what it begins and finishes."""
        if self.record is not None:
            self._opened = Record(self.record)
            os.close(self.record)
            self.record = None
        return self._opened

    def open_lane(self) -> Lane | None:
        """The short way to the host."""
        if self.lane is not None:
            self._lane, self.lane = Lane(self.lane), None
        return self._lane

    def close_lane(self) -> None:
        """It led to the host that is gone; should that come back, it is not to send anything this way."""
        self._lane = None

    def die_with_host(self) -> None:
        """Have this process ended when its host is."""
        life, self.life = self.life, None
        die_with_host(life)


_inherited = Inheritance()


def inheritance() -> Inheritance:
    """What came in the environment, out of which it is taken; kept for a program that has to dial again."""
    global _inherited
    text = os.environ.pop(LOCAL_VARIABLE, None)
    if text is not None:
        settings = json.loads(text)
        if "pythonpath" in settings:
            _restore_variable("PYTHONPATH", settings.pop("pythonpath"))
        _inherited = Inheritance(**settings)
    return _inherited


def _restore_variable(name: str, before: str | None) -> None:
    os.environ.pop(name, None)
    if before is not None:
        os.environ[name] = before
