"""A task without daemons: it gets a process of its own, which ends with it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from mirai_py.addresses import local_url
from mirai_py.callbacks import callbacks
from mirai_py.dispatcher import Dispatcher
from mirai_py.errors import CANCELED, CONNECTION_RESET
from mirai_py.handshake import new_token
from mirai_py.profiles import Profile
from mirai_py.streams import Streams
from nngsock import ErrorValue

if TYPE_CHECKING:
    from mirai_py.codes import Code
    from mirai_py.frames import Parts
    from mirai_py.handles import Mirai


def submit_ephemeral(codes: tuple[Code, ...], body: Parts, *, timeout: float | None) -> Mirai:
    """Run one task in a new process. Its clock starts now; stopping it ends the process."""
    profile = Profile("", 1, new_token(), Streams(None), {"maxtasks": 1}, 1, 1)
    profile.listen(local_url())
    assert isinstance(profile.engine, Dispatcher)
    mirai = profile.engine.submit(codes, body, timeout=timeout)
    assert mirai is not None  # its queue has no bound
    mirai.id = None
    mirai._stop = _stop
    mirai._on_wake(lambda: callbacks.put(profile.close))
    try:
        (daemon,) = profile.launch(1, {})
    except BaseException:
        profile.close()
        raise

    def ended(end: dict[str, Any]) -> None:
        if not mirai.done():
            what = {"call": codes[0].name, "pid": daemon.pid, "host": socket.gethostname(), **end}
            mirai._resolve_value(ErrorValue(CONNECTION_RESET, what))

    daemon.when_ended(ended, patience=None)
    return mirai


def _stop(mirai: Mirai) -> bool:
    """There is no dispatcher to say whether it ran: the answer is False, the value error 20."""
    if not mirai.done():
        mirai._resolve_value(ErrorValue(CANCELED))
    return False
