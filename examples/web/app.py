"""A web page that computes in other processes, with a button that stops it: `python app.py [--port 8080]`."""

import argparse
import math
from pathlib import Path

from aiohttp import web

import mirai_py

PAGE = Path(__file__).with_name("page.html")
PATIENCE = 10 * 60 * 1000  # milliseconds


def primes_below(limit):
    """Count them the slow way: a billion takes days."""
    return sum(all(n % d for d in range(2, math.isqrt(n) + 1)) for n in range(2, limit))


async def show(_):
    return web.FileResponse(PAGE)


async def compute(request):
    """Answer when the daemon does. Who hangs up before, by the button or by closing the page, stops it."""
    try:
        limit = int(request.query["limit"])
    except (KeyError, ValueError):
        raise web.HTTPBadRequest(text="?limit= must be an integer") from None
    task = mirai_py.try_mirai(primes_below, limit, _timeout=PATIENCE)
    if task is None:  # `mirai` would wait for room, and the whole server with it
        raise web.HTTPServiceUnavailable(text="too many are waiting", headers={"Retry-After": "10"})
    try:
        return web.json_response({"limit": limit, "primes": await task})
    except mirai_py.MiraiTimeoutError as error:
        raise web.HTTPGatewayTimeout(text=str(error)) from error


async def info(_):
    return web.json_response(mirai_py.info())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--daemons", type=int, default=2)
    options = parser.parse_args()
    app = web.Application()
    app.add_routes([web.get("/", show), web.post("/primes", compute), web.get("/info", info)])
    with mirai_py.daemons(options.daemons, memory=1):
        # aiohttp cancels a handler whose client has gone only if it is told to.
        web.run_app(app, host="127.0.0.1", port=options.port, handler_cancellation=True)


if __name__ == "__main__":
    main()
