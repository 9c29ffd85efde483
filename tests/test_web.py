"""The web application of the examples, driven as its page drives it."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "examples" / "web" / "app.py"
DAYS = 10**9  # a limit below which counting takes that long


@pytest.fixture
def address():
    """Where the application, with one daemon, is to be found."""
    command = [sys.executable, "-u", str(APP), "--port", "0", "--daemons", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        line = server.stdout.readline()
        yield line[line.index("http") :].split()[0]
        server.send_signal(signal.SIGINT)
        server.stdout.read()
        assert server.wait(30) == 0


class Page:
    """What a browser does."""

    def __init__(self, session):
        self.session = session

    async def count(self, limit):
        async with self.session.post("/primes", params={"limit": limit}) as response:
            return response.status, await response.text()

    async def info(self):
        async with self.session.get("/info") as response:
            return await response.json()

    async def until(self, **state):
        while not state.items() <= (await self.info()).items():
            pass


def visit(address, scenario):
    import aiohttp

    async def main():
        async with aiohttp.ClientSession(address) as session:
            return await asyncio.wait_for(scenario(Page(session)), 40)

    return asyncio.run(main())


def test_the_button_interrupts_the_daemon_while_the_page_is_served(address):
    async def scenario(page):
        async with page.session.get("/") as response:
            assert "<button" in await response.text()
        counting = [asyncio.create_task(page.count(DAYS)) for _ in range(2)]
        await page.until(executing=1, awaiting=1)
        for each in counting:
            each.cancel()
        await asyncio.wait(counting)
        return await page.count(100), await page.info()

    (status, text), info = visit(address, scenario)
    assert status == 200  # by the only daemon there is
    assert '"primes": 25' in text
    assert info == {"connections": 1, "cumulative": 1, "awaiting": 0, "executing": 0, "completed": 3}


def test_who_sends_nonsense_is_told(address):
    assert visit(address, lambda page: page.count("many")) == (400, "?limit= must be an integer")
