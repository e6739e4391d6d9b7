"""What the programs of this folder have in common: an application, a client, and what to check.

``python PROGRAM.py [VERSION ...]``: each version is ``1.1`` or ``2``; without any, the test client
is made as aiohttp's is, so that a program also runs on aiohttp itself.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

_OPTIONS: dict[str, dict[str, bool]] = {"any": {}, "1.1": {"http2": False}, "2": {"http2": True}}


def run(
    make_app: Callable[[], web.Application], check: Callable[[TestClient], Awaitable[None]]
) -> None:
    """Serve the application and check it, once for each version of the command line."""
    for version in sys.argv[1:] or ["any"]:
        asyncio.run(_run(make_app(), check, version))
        print(f"{version}: checked")


async def _run(
    app: web.Application, check: Callable[[TestClient], Awaitable[None]], version: str
) -> None:
    async with TestClient(TestServer(app), **_OPTIONS[version]) as client:
        async with client.get("/version") as response:
            expected = {"any": (1, 1), "1.1": (1, 1), "2": (2, 0)}[version]
            assert tuple(response.version) == expected, response.version
        await check(client)
