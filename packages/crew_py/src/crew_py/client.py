"""The controller's end of the line: one compute profile of mirai_py with one listening address."""

from __future__ import annotations

from typing import Any, Final

import mirai_py
import nngsock
from crew_py import validation
from crew_py.errors import CrewError, CrewTypeError, CrewValueError
from crew_py.names import crew_random_name
from crew_py.relay import CrewRelay
from crew_py.throttle import CrewThrottle
from crew_py.tls import CrewTls

__all__ = ("COUNTS", "CrewClient", "crew_class_client", "crew_client")

COUNTS: Final = ("connections", "cumulative", "awaiting", "executing", "completed")
LOOPBACK: Final = ("localhost", "::1")
SHORTEST_WAIT: Final = 1e-3
NOT_A_KEY: Final = 26


class CrewClient:
    """Listen for workers and keep the tasks until they are served.

    Args:
        host: address that workers dial; None for the first IPv4 address of this machine on a network.
        port: TCP port, 0 to 65535; None or 0 for any free one.
        tls: from `crew_tls`; None for none on loopback addresses, else mode "automatic".
        serialization: from `mirai_py.serial_config`, or None.
        profile: name of the compute profile; None for a random one.
        seconds_interval: longest seconds that a wait sleeps without looking around.
        seconds_timeout: seconds that starting and stopping may take.

    Raises:
        CrewError: an argument is wrong.

    Example:
        >>> client = crew_client(host="127.0.0.1")
        >>> client.start()
        >>> client.status()["connections"]
        0
        >>> client.terminate()
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        tls: CrewTls | None = None,
        serialization: Any = None,
        profile: str | None = None,
        seconds_interval: float = 0.25,
        seconds_timeout: float = 60,
    ) -> None:
        self._host = _own_address() if host is None else host
        self._port = None if port is None else validation.whole("port", port, at_most=65535)
        self._tls = CrewTls("none" if _is_loopback(self._host) else "automatic") if tls is None else tls
        self._serialization = serialization
        self._profile = crew_random_name() if profile is None else profile
        self._seconds_interval = validation.finite("seconds_interval", seconds_interval, at_least=0)
        self._seconds_timeout = validation.number("seconds_timeout", seconds_timeout, at_least=0)
        longest = max(self._seconds_interval, SHORTEST_WAIT)
        self._relay = CrewRelay(CrewThrottle(seconds_max=longest, seconds_min=SHORTEST_WAIT))
        self._url: str | None = None
        self._is_started = False
        self.validate()

    @property
    def host(self) -> str:
        """Address that workers dial."""
        return self._host

    @property
    def port(self) -> int | None:
        """TCP port as asked for; the real one stands in `url`."""
        return self._port

    @property
    def tls(self) -> CrewTls:
        """Encryption."""
        return self._tls

    @property
    def serialization(self) -> Any:
        """Serialisation of custom classes."""
        return self._serialization

    @property
    def profile(self) -> str:
        """Name of the compute profile."""
        return self._profile

    @property
    def seconds_interval(self) -> float:
        """Longest seconds that a wait sleeps without looking around."""
        return self._seconds_interval

    @property
    def seconds_timeout(self) -> float:
        """Seconds that starting and stopping may take."""
        return self._seconds_timeout

    @property
    def relay(self) -> CrewRelay:
        """What is signalled when a task is resolved."""
        return self._relay

    @property
    def started(self) -> bool:
        """Whether it listens."""
        return self._is_started

    @property
    def url(self) -> str | None:
        """The address with its real port; None unless started."""
        return self._url

    def start(self) -> None:
        """Listen; nothing happens when it does already.

        Raises:
            CrewError: the profile is in use, or the address cannot be listened on.
        """
        if self._is_started:
            return
        taken = mirai_py.nextget("url", compute=self._profile)
        if taken is not None:
            raise CrewError(
                f"the compute profile {self._profile!r} is in use, it listens at {taken}: "
                "choose another `profile` or reset it by mirai_py.daemons(0, compute=...)"
            )
        password = self._tls.password
        try:
            mirai_py.daemons(
                url=self._tls.url(self._host, self._port),
                dispatcher=True,
                seed=None,
                serial=self._serialization,
                tls=self._tls.client(),
                pass_=None if password is None else lambda: password,
                compute=self._profile,
            )
        except nngsock.NngError as error:
            raise CrewError(self._refusal(error)) from error
        self._url = mirai_py.nextget("url", compute=self._profile)
        self._relay.start()
        self._relay.set_from(mirai_py.nextget("cv", compute=self._profile))
        self._is_started = True

    def _refusal(self, error: nngsock.NngError) -> str:
        address = self._tls.url(self._host, self._port)
        if error.code == NOT_A_KEY:
            return f"cannot encrypt {address}: {error}; look at `key`, `password` and `certificates` of `tls`"
        return f"cannot listen at {address}: {error}; choose another `host` or `port`"

    def terminate(self) -> None:
        """Close the address: workers leave, tasks that are not done resolve to error 19. Harmless twice."""
        if self._url is not None:
            mirai_py.daemons(0, compute=self._profile)
        self._relay.signal()
        self._relay.terminate()
        self._url = None
        self._is_started = False

    def status(self) -> dict[str, int]:
        """Count workers and tasks of the profile.

        Returns:
            connections: workers there now; cumulative: connections ever made; awaiting, executing,
            completed: tasks (those that crashed, timed out or were cancelled are completed). All are 0
            before the start, and after someone else has reset the profile.
        """
        found = mirai_py.info(compute=self._profile) if self._url is not None else None
        if found is None:
            return dict.fromkeys(COUNTS, 0)
        return {name: int(found[name] or 0) for name in COUNTS}

    def set_started(self) -> None:
        """Mark as started without listening; for the sequential controller."""
        self._is_started = True

    def validate(self) -> None:
        """Check the fields, and those of its parts.

        Raises:
            CrewError: something is wrong with one.
        """
        validation.text("host", self._host)
        validation.text("profile", self._profile)
        if not isinstance(self._tls, CrewTls):
            raise CrewTypeError(f"`tls` must come from crew_tls(), got {self._tls!r}")
        self._tls.validate()
        self._relay.validate()
        if self._seconds_timeout < self._seconds_interval:
            raise CrewValueError(
                f"`seconds_timeout` ({self._seconds_timeout:g}) must not be less than "
                f"`seconds_interval` ({self._seconds_interval:g})"
            )

    def __repr__(self) -> str:
        return f"crew_client(profile={self._profile!r}, {self._url or f'{self._host}, not started'})"


def _own_address() -> str:
    addresses = nngsock.ip_addr()
    found = next((address for address in addresses.values() if not _is_loopback(address)), None)
    if found is None:
        raise CrewError("this machine has no address on a network: give `host`, for example host='127.0.0.1'")
    return found


def _is_loopback(host: str) -> bool:
    return host in LOOPBACK or (isinstance(host, str) and host.startswith("127."))


crew_client = CrewClient
crew_class_client = CrewClient
