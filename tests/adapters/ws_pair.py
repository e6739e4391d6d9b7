"""A WebSocket handler behind plait's server, and plait's client before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import plait
from plait import web
from plait_engine.engines import EngineName
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H1_TLS, H2, H2C, Way

WAYS = [H1, H1_TLS, H2C, H2]
ENGINES: list[EngineName] = ["native", "reference"]

Handler: TypeAlias = Callable[[web.WebSocketResponse], Awaitable[None]]


@dataclass
class Setup:
    """How a test's server and client speak."""

    way: Way
    engine: EngineName
    authority: Authority

    @asynccontextmanager
    async def serve(
        self, handler: Handler, *, limits: Any = None, **options: Any
    ) -> AsyncIterator[Site]:
        """Serve ``handler`` at ``/ws``; ``options`` are those of ``WebSocketResponse``.

        At the end the handlers must have ended, and the pool must be empty.
        """
        handled: list[asyncio.Future[None]] = []

        async def accept(request: web.Request) -> web.WebSocketResponse:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            handled.append(done)
            websocket: web.WebSocketResponse = web.WebSocketResponse(**options)
            try:
                await websocket.prepare(request)
                await handler(websocket)
            finally:
                done.set_result(None)
            return websocket

        async def redirect(request: web.Request) -> web.Response:
            raise web.HTTPFound("/ws")

        async def plain(request: web.Request) -> web.Response:
            return web.Response(text="no WebSocket here", status=403)

        async def hello(request: web.Request) -> web.Response:
            return web.Response(text="hello")

        async def stream(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"hello")
            return response

        app = web.Application()
        app.router.add_get("/hello", hello)
        app.router.add_get("/stream", stream)
        app.router.add_get("/ws", accept)
        app.router.add_get("/moved", redirect)
        app.router.add_get("/plain", plain)
        context = self.authority.server_context("h2", "http/1.1") if self.way.tls else None
        connector = plait.TCPConnector(
            ssl=self.authority.client_context(),
            http2=self.way.version == "2.0",
            engine=self.engine,
        )
        async with (
            serve(app, context, engine=self.engine, limits=limits) as served,
            plait.ClientSession(connector=connector) as session,
        ):
            yield Site(session, served.url, served.port)
            async with asyncio.timeout(20):
                await asyncio.gather(*handled)


@dataclass
class Site:
    """A running server, and a session to speak to it."""

    session: plait.ClientSession
    url: str
    port: int

    def connect(self, path: str = "/ws", **options: Any) -> Any:
        """Open a WebSocket with ``options`` of ``ws_connect``."""
        return self.session.ws_connect(self.url + path, **options)


async def echo(websocket: web.WebSocketResponse) -> None:
    """Send back whatever comes."""
    async for message in websocket:
        if message.type is plait.WSMsgType.TEXT:
            await websocket.send_str(message.data)
        elif message.type is plait.WSMsgType.BINARY:
            await websocket.send_bytes(message.data)


async def send_for_ever(websocket: Any) -> None:
    """Send until that raises."""
    while True:
        await websocket.send_str("x")
        await asyncio.sleep(0.01)
