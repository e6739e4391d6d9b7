"""101 Switching Protocols from a handler (RFC 9110 section 7.8), to other protocols than WebSocket."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import plait
from plait import web
from plait_engine.engines import EngineName
from tests.conftest import Authority
from tests.serving import serve

pytestmark = pytest.mark.anyio

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture(params=[False, True], ids=["tcp", "tls"])
def tls(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext | None:
    context: ssl.SSLContext = authority.server_context()
    return context if request.param else None


async def echo(request: web.Request) -> web.StreamResponse:
    """Switch, greet, and answer each line; ``end`` ends."""
    response = web.StreamResponse(status=101, headers=UPGRADE)
    response.set_cookie("a", "1")
    await response.prepare(request)
    await response.write(b"hello\n")
    async for line in request.content:
        if line == b"end\n":
            break
        await response.write(line.upper())
    await response.write(b"bye")
    return response


def app_of(handler: Any) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/", handler)
    return app


@asynccontextmanager
async def connected(
    handler: Any, engine: EngineName
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with serve(app_of(handler), engine=engine) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        try:
            yield reader, writer
        finally:
            writer.close()


def lines_of(head: bytes) -> list[bytes]:
    """Return the status line and the fields but those that each response has, in order."""
    lines = [line.lower() for line in head.split(b"\r\n")[:-2]]
    return sorted(line for line in lines if not line.startswith((b"date", b"server")))


@pytest.mark.parametrize("content", [b"", b"content"])
@pytest.mark.parametrize("pieces", [False, True])
async def test_bytes_go_both_ways(engine: EngineName, content: bytes, pieces: bool) -> None:
    wire = HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content + b"one\ntwo\n"
    async with connected(echo, engine) as (reader, writer):
        for start in range(0, len(wire), 1 if pieces else len(wire)):
            writer.write(wire[start:] if not pieces else wire[start : start + 1])
            await writer.drain()
            await asyncio.sleep(0)
        assert lines_of(await reader.readuntil(b"\r\n\r\n")) == [
            b"connection: upgrade",
            b"http/1.1 101 switching protocols",
            b"set-cookie: a=1; path=/",
            b"upgrade: tcp",
        ]
        for line in (b"hello\n", b"ONE\n", b"TWO\n"):
            assert await reader.readline() == line
        writer.write(GET)  # It is no request.
        assert await reader.readexactly(len(GET)) == GET.upper()
        writer.write_eof()
        assert await reader.read() == b"bye"


async def test_the_handler_ends_it(engine: EngineName) -> None:
    async with connected(echo, engine) as (reader, writer):
        writer.write(HEAD + b"\r\nend\nmore")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b"hello\nbye"


async def test_plait_to_plait(
    engine: EngineName, tls: ssl.SSLContext | None, authority: Authority
) -> None:
    connector = plait.TCPConnector(ssl=authority.client_context(), engine=engine)
    async with (
        serve(app_of(echo), tls, engine=engine) as served,
        plait.ClientSession(connector=connector) as session,
        session.post(served.url, headers=UPGRADE, data=b"x" * 1000) as response,
    ):
        assert (response.status, response.reason) == (101, "Switching Protocols")
        assert response.cookies["a"].value == "1"
        assert await response.content.readline() == b"hello\n"
        assert response.connection is not None
        assert response.connection.transport is not None
        response.connection.transport.write(b"typed\nend\n")
        assert await response.content.read() == b"TYPED\nbye"


async def test_a_whole_response_switches_too(engine: EngineName) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=101, headers=UPGRADE, body=b"banner")

    async with connected(handler, engine) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 7\r\n\r\ncontentGET / HTTP/1.1\r\n\r\n")
        assert lines_of(await reader.readuntil(b"\r\n\r\n")) == [
            b"connection: upgrade",
            b"http/1.1 101 switching protocols",
            b"upgrade: tcp",
        ]
        assert await reader.read() == b"banner"


async def test_the_content_is_kept(engine: EngineName) -> None:
    """What was not read of it is read before the switch; then ``content`` is the tunnel."""
    content = b"content" * 1000

    async def handler(request: web.Request) -> web.StreamResponse:
        first = await request.content.readexactly(10)
        response = web.StreamResponse(status=101, headers=UPGRADE)
        await response.prepare(request)
        rest = await request.read()
        assert first + rest == content
        await response.write(await request.content.readexactly(3))
        return response

    coded = gzip.compress(content)
    fields = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(coded)
    async with connected(handler, engine) as (reader, writer):
        writer.write(HEAD + fields + coded[:10])
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(coded[10:] + b"raw")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b"raw"


async def test_a_client_that_waits_for_100(engine: EngineName) -> None:
    """RFC 9110 section 7.8: 100 comes before 101."""
    async with connected(echo, engine) as (reader, writer):
        writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: 7\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"contentend\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await reader.read() == b"hello\nbye"


ANOTHER = {"Connection": "Upgrade", "Upgrade": "websocket"}


@pytest.mark.parametrize(
    ("request_head", "headers"),
    [
        pytest.param(GET, UPGRADE, id="not asked"),
        pytest.param(HEAD + b"\r\n", ANOTHER, id="another one"),
        pytest.param(HEAD + b"\r\n", {}, id="none named"),
        pytest.param(HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n", UPGRADE, id="HTTP/1.0"),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
async def test_a_switch_that_nobody_asked_for(
    engine: EngineName,
    request_head: bytes,
    headers: dict[str, str],
    whole: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if whole:
            return web.Response(status=101, headers=headers)
        response = web.StreamResponse(status=101, headers=headers)
        await response.prepare(request)
        return response

    with caplog.at_level(logging.ERROR):
        async with connected(handler, engine) as (reader, writer):
            writer.write(request_head)
            assert (await reader.read()).startswith(b"HTTP/1.1 500 ")
    assert "ask" in caplog.text
    caplog.clear()


async def test_what_follows_a_request_that_is_not_switched_is_the_next_one(
    engine: EngineName,
) -> None:
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, await request.read()))
        return web.Response()

    async with connected(handler, engine) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 7\r\n\r\ncontent" + GET + HEAD + b"\r\n" + GET)
        for _ in range(4):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    assert seen == [("POST", b"content"), ("GET", b""), ("POST", b""), ("GET", b"")]


async def test_a_client_that_is_gone_ends_the_reading(engine: EngineName) -> None:
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=101, headers=UPGRADE)
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(100_000))
        except ConnectionResetError as error:
            ended.set_result(error)
            raise

    async with connected(handler, engine) as (reader, writer):
        writer.write(HEAD + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        assert isinstance(await ended, plait.ClientConnectionResetError)


async def test_a_slow_client_makes_write_wait(engine: EngineName) -> None:
    size = 20_000_000
    written = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(status=101, headers=UPGRADE)
        await response.prepare(request)
        while written < size:
            await response.write(bytes(100_000))
            written += 100_000
        return response

    async with connected(handler, engine) as (reader, writer):
        writer.write(HEAD + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(200):
            await asyncio.sleep(0)
        assert written < size
        assert len(await reader.read()) == size


async def test_a_shutdown_ends_it(engine: EngineName) -> None:
    app = app_of(echo)
    async with serve(app, engine=engine, shutdown_timeout=0.2) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(HEAD + b"\r\n")
        await reader.readuntil(b"hello\n")
    assert await reader.read() == b""
    writer.close()


async def test_http2_has_no_101(
    authority: Authority, engine: EngineName, caplog: pytest.LogCaptureFixture
) -> None:
    connector = plait.TCPConnector(ssl=authority.client_context(), http2=True)
    with caplog.at_level(logging.ERROR):
        async with (
            serve(app_of(echo), authority.server_context(), engine=engine) as served,
            plait.ClientSession(connector=connector) as session,
            session.get(served.url, headers=UPGRADE) as response,
        ):
            assert response.status == 500
    caplog.clear()


async def test_in_memory(engine: EngineName) -> None:
    async with (
        plait.ClientSession(app=app_of(echo), engine=engine) as session,
        session.get("http://app/", headers=UPGRADE) as response,
    ):
        assert response.status == 101
        assert response.connection is not None
        assert response.connection.transport is not None
        response.connection.transport.write(b"typed\n")
        response.connection.transport.write_eof()
        assert await response.content.read() == b"hello\nTYPED\nbye"
        assert await response.read() == b""


async def test_the_message_says_that_an_upgrade_is_asked_for(engine: EngineName) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(request._message.upgrade)

    async with serve(app_of(handler), engine=engine) as served, plait.ClientSession() as session:
        for headers in (UPGRADE, {}):
            async with session.get(served.url, headers=headers) as response:
                assert await response.json() is bool(headers)
