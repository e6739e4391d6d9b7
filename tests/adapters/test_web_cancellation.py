"""What a handler notices of a client that goes away, with and without handler_cancellation."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from plait import web
from tests.serving import serve

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
WEBSOCKET = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Handler:
    """Waits until it is released or cancelled, and tells which."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self, request: web.Request) -> web.Response:
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.outcome.set_result("cancelled")
            raise
        self.outcome.set_result("released")
        return web.Response(text="done")


@asynccontextmanager
async def serve_handler(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], *, handler_cancellation: bool
) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/", handler)
    async with serve(app, handler_cancellation=handler_cancellation) as served:
        yield served.port


async def test_a_client_that_half_closes_gets_its_answer() -> None:
    handler = Handler()
    async with serve_handler(handler, handler_cancellation=False) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        writer.write_eof()
        await handler.started.wait()
        handler.release.set()
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"done")
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_leaves_does_not_cancel_by_default() -> None:
    handler = Handler()
    async with serve_handler(handler, handler_cancellation=False) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await handler.started.wait()
        writer.transport.abort()
        handler.release.set()
        assert await asyncio.wait_for(handler.outcome, 10) == "released"


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_client_that_leaves_cancels_a_handler_that_holds_a_websocket(how: str) -> None:
    handler = Handler()

    async def serve_websocket(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await handler(request)
        return websocket

    async with serve_handler(serve_websocket, handler_cancellation=True) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(WEBSOCKET)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        await handler.started.wait()
        if how == "reset":
            linger = struct.pack("ii", 1, 0)  # close with RST instead of FIN
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()
        assert await asyncio.wait_for(handler.outcome, 10) == "cancelled"


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_client_that_leaves_cancels_where_that_is_wanted(how: str) -> None:
    handler = Handler()
    async with serve_handler(handler, handler_cancellation=True) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await handler.started.wait()
        if how == "abort":
            writer.transport.abort()
        else:
            writer.close()
            await writer.wait_closed()
        assert await asyncio.wait_for(handler.outcome, 10) == "cancelled"


@pytest.mark.parametrize(
    ("expect", "version", "status"),
    [
        ("100-continue", "1.1", b"200"),
        ("100-Continue", "1.1", b"200"),
        ("foo", "1.1", b"417"),
        ("foo", "1.0", b"200"),
        ("100-continue, 100-continue", "1.1", b"417"),
    ],
)
async def test_expectations(expect: str, version: str, status: bytes) -> None:
    """RFC 9110 section 10.1.1; attack S84."""
    handler = Handler()
    handler.release.set()
    async with serve_handler(handler, handler_cancellation=False) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\nExpect: {expect}\r\n\r\n"
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.split()[1] == status
        writer.close()
        await writer.wait_closed()
