"""What the programs of this folder have in common: an application, a client, and what to check.

``python PROGRAM.py [VERSION ...]``: each version is ``1.1`` or ``2``; without any, a program does
nothing that only plait knows, so that it also runs on aiohttp itself.

A library for servers is checked by ``run``, with a test client.  One for clients makes its own
sessions: ``use`` gives it the URL of a server, and sees to it that every request came in the version.
That is HTTP/2 over TLS, with the certificate and the authority that the environment names.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

_OPTIONS: dict[str, dict[str, bool]] = {"any": {}, "1.1": {"http2": False}, "2": {"http2": True}}
_EXPECTED = {"any": (1, 1), "1.1": (1, 1), "2": (2, 0)}


def run(
    make_app: Callable[[], web.Application], check: Callable[[TestClient], Awaitable[None]]
) -> None:
    """Serve the application and check it, once for each version of the command line."""
    for version in sys.argv[1:] or ["any"]:
        asyncio.run(_run(make_app(), check, version))
        print(f"{version}: checked")


def use(
    make_app: Callable[[], web.Application],
    check: Callable[[str, web.Application], Awaitable[None]],
    *,
    http2: bool = True,
) -> None:
    """Serve the application and check the library, once for each version of the command line.

    ``check`` gets the URL of the server, without a slash at its end, and the application.  With
    ``http2=False`` the version ``2`` is HTTP/1.1 over TLS.
    """
    for version in sys.argv[1:] or ["any"]:
        asyncio.run(_use(make_app(), check, version, http2))
        print(f"{version}: checked")


async def _run(
    app: web.Application, check: Callable[[TestClient], Awaitable[None]], version: str
) -> None:
    async with TestClient(TestServer(app), **_OPTIONS[version]) as client:
        async with client.get("/version") as response:
            assert tuple(response.version) == _EXPECTED[version], response.version
        await check(client)


async def _use(
    app: web.Application,
    check: Callable[[str, web.Application], Awaitable[None]],
    version: str,
    http2: bool,
) -> None:
    seen: set[tuple[int, int]] = set()

    @web.middleware
    async def note(request: web.Request, handler: Callable[..., Awaitable]) -> web.StreamResponse:
        # A WebSocket has a connection of its own unless one with HTTP/2 is open.
        if request.headers.get("Upgrade") is None:
            seen.add(tuple(request.version))
        return await handler(request)

    app.middlewares.append(note)
    server = TestServer(app)
    await server.start_server(ssl=_server_context(http2) if version == "2" else None)
    try:
        await check(str(server.make_url("/")).rstrip("/"), app)
    finally:
        await server.close()
    assert seen == {_EXPECTED[version] if http2 else (1, 1)}, seen


def _server_context(http2: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(os.environ["SERVER_CERTIFICATE"], os.environ["SERVER_KEY"])
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    return context
