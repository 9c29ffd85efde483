"""What the tests of this package share."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

import crew_py

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Far more than any event here takes; a test that needs it has failed.
SECONDS = 30.0


@pytest.fixture
def local() -> Iterator[Callable[..., crew_py.CrewController]]:
    """Make local controllers, which are terminated at the end of the test."""
    with ExitStack() as stack:

        def make(**arguments: Any) -> crew_py.CrewController:
            controller = crew_py.crew_controller_local(**arguments)
            stack.callback(controller.terminate)
            return controller

        yield make


class CountingLauncher(crew_py.CrewLauncher):
    """Starts nothing, and notes how many workers each launch asked for."""

    def launch_workers(self, call: str, n: int) -> dict[str, Any]:
        return {"call": call, "n": n}

    @property
    def rounds(self) -> list[int]:
        return [handle["n"] for handle in self.launches["handle"].to_list()]


@pytest.fixture
def counting() -> Iterator[Callable[..., crew_py.CrewController]]:
    """Make controllers whose launcher only counts."""
    with ExitStack() as stack:

        def make(**arguments: Any) -> crew_py.CrewController:
            client = crew_py.crew_client(host="127.0.0.1", seconds_interval=0.1)
            controller = crew_py.crew_controller(
                client, CountingLauncher(seconds_launch=math.inf, **arguments)
            )
            stack.callback(controller.terminate)
            return controller

        yield make


@pytest.fixture
def started() -> Iterator[Callable[[crew_py.CrewLauncher], crew_py.CrewLauncher]]:
    """Start launchers on a client of their own."""
    with ExitStack() as stack:

        def start(launcher: crew_py.CrewLauncher) -> crew_py.CrewLauncher:
            client = crew_py.crew_client(host="127.0.0.1")
            client.start()
            stack.callback(client.terminate)
            assert client.url is not None
            launcher.start(client.url, client.profile)
            stack.callback(launcher.terminate)
            return launcher

        yield start
