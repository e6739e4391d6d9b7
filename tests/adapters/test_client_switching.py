"""101 Switching Protocols at a client (RFC 9110 section 7.8), to other protocols than WebSocket."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

import plait
from plait import web
from plait_engine.engines import EngineName
from tests.adapters.raw_server import OK, RawConnection, raw_server
from tests.adapters.test_client_pool import CancelAt
from tests.conftest import Authority
from tests.serving import serve

pytestmark = pytest.mark.anyio

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
SWITCH = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture(params=[False, True], ids=["tcp", "tls"])
def tls(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext | None:
    """What the server has for TLS; it offers HTTP/2, too."""
    if not request.param:
        return None
    context: ssl.SSLContext = authority.server_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture
async def session(engine: EngineName, authority: Authority) -> AsyncIterator[plait.ClientSession]:
    connector = plait.TCPConnector(engine=engine, ssl=authority.client_context(), limit=1)
    async with plait.ClientSession(connector=connector) as session:
        yield session


def in_use(session: plait.ClientSession) -> int:
    assert session.connector is not None
    return session.connector.stats().in_use


async def echo(connection: RawConnection) -> None:
    """Switch, greet, and answer each line until the client ends its half."""
    head = await connection.read_head()
    assert b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n" in head
    if b"Content-Length: 7" in head:
        assert await connection.read(7) == b"content"
    connection.send(SWITCH + b"hello\n")
    while line := await connection.reader.readline():
        connection.send(line.upper())
    connection.send(b"bye")


@pytest.mark.parametrize("content", [None, b"content"])
async def test_bytes_go_both_ways(
    session: plait.ClientSession, tls: ssl.SSLContext | None, content: bytes | None
) -> None:
    async with (
        raw_server(echo, tls) as server,
        session.post(server.url, headers=UPGRADE, data=content) as response,
    ):
        assert (response.status, response.version) == (101, plait.HttpVersion11)
        assert response.headers["Upgrade"] == "tcp"
        assert await response.content.readline() == b"hello\n"
        assert await response.read() == b""
        assert not response.closed
        connection = response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.write(b"one\ntwo\n")
        assert await response.content.readline() == b"ONE\n"
        assert await response.content.readline() == b"TWO\n"
        assert in_use(session) == 1
        if connection.transport.can_write_eof():
            connection.transport.write_eof()
            assert await response.content.read() == b"bye"
            assert in_use(session) == 1
    assert in_use(session) == 0
    assert connection.closed


async def test_the_first_bytes_come_with_the_head_or_one_by_one(
    session: plait.ClientSession,
) -> None:
    data = SWITCH + b"\x00\x01HTTP/1.1 200 OK\r\n\r\n"

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        if connection.number == 1:
            connection.send(data)
        else:
            await connection.send_pieces([bytes([byte]) for byte in data])

    async with raw_server(script) as server:
        for _ in range(2):
            async with session.get(server.url, headers=UPGRADE) as response:
                assert await response.content.read() == b"\x00\x01HTTP/1.1 200 OK\r\n\r\n"
                assert response.connection is not None


@pytest.mark.parametrize("ends", [False, True])
async def test_content_that_is_streamed(session: plait.ClientSession, ends: bool) -> None:
    """The task that sends it may end behind the switch, and behind the end of the server."""

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        await connection.reader.readuntil(b"0\r\n\r\n")
        connection.send(SWITCH + b"down")
        if ends:
            connection.writer.write_eof()
        assert await connection.read_to_end() == b"up"

    async def content() -> AsyncIterator[bytes]:
        yield b"con"
        await asyncio.sleep(0)
        yield b"tent"

    async with (
        raw_server(script) as server,
        session.post(server.url, headers=UPGRADE, data=content()) as response,
    ):
        assert await response.content.readexactly(4) == b"down"
        if ends:
            assert await response.content.read() == b""
        assert response.connection is not None
        assert response.connection.transport is not None
        response.connection.transport.write(b"up")
        assert in_use(session) == 1


async def test_a_switch_in_the_middle_of_the_content(session: plait.ClientSession) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(SWITCH)
        await connection.read_to_end()

    async def content() -> AsyncIterator[bytes]:
        yield b"con"
        await asyncio.Event().wait()

    async with raw_server(script) as server:
        with pytest.raises(plait.ClientError):
            await session.post(server.url, headers=UPGRADE, data=content())
        assert in_use(session) == 0


async def test_a_server_that_stays_with_http(session: plait.ClientSession) -> None:
    async def script(connection: RawConnection) -> None:
        while await connection.read_head():
            connection.send(OK)

    async with raw_server(script) as server:
        for _ in range(2):
            async with session.get(server.url, headers=UPGRADE) as response:
                assert response.status == 200
                assert await response.read() == b"ok"
                assert response.connection is None
        assert server.connections == 1


@pytest.mark.parametrize(
    ("headers", "answer"),
    [({}, SWITCH), ({"Upgrade": "tcp"}, SWITCH), (UPGRADE, SWITCH.replace(b"tcp", b"foo"))],
)
async def test_a_switch_that_nobody_asked_for(
    session: plait.ClientSession, headers: dict[str, str], answer: bytes
) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(answer)
        assert await connection.read_to_end() == b""

    async with raw_server(script) as server:
        with pytest.raises(plait.ClientError, match=r"101|SWITCH_UPGRADE"):
            await session.get(server.url, headers=headers)
        assert in_use(session) == 0


async def test_what_was_written_is_sent_before_the_end(
    session: plait.ClientSession, tls: ssl.SSLContext | None
) -> None:
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(SWITCH)
        received.set_result(await connection.read_to_end())

    content = bytes(range(256)) * 8192
    async with raw_server(script, tls) as server:
        async with session.get(server.url, headers=UPGRADE) as response:
            assert response.connection is not None
            assert response.connection.transport is not None
            response.connection.transport.write(content)
        assert await received == content


async def test_drain_waits_for_the_server(session: plait.ClientSession) -> None:
    reads = asyncio.Event()
    size = 0

    async def script(connection: RawConnection) -> None:
        nonlocal size
        await connection.read_head()
        connection.send(SWITCH)
        await reads.wait()
        size = len(await connection.read_to_end())
        connection.send(b"x")

    async with raw_server(script) as server:
        async with session.get(server.url, headers=UPGRADE) as response:
            connection = response.connection
            assert connection is not None
            assert connection.transport is not None
            connection.transport.write(bytes(20_000_000))
            drained = asyncio.create_task(connection.drain())
            await asyncio.wait([drained], timeout=0.01)
            assert not drained.done()
            reads.set()
            await drained
            connection.transport.write_eof()
            assert await response.content.read() == b"x"
        assert size == 20_000_000
    with pytest.raises(plait.ClientConnectionResetError):
        await connection.drain()


async def test_a_reader_that_stops_stops_the_server(session: plait.ClientSession) -> None:
    sent = asyncio.Event()

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(SWITCH + bytes(50_000_000))
        await connection.writer.drain()
        sent.set()

    async with (
        raw_server(script) as server,
        session.get(server.url, headers=UPGRADE) as response,
    ):
        assert await response.content.readexactly(1000) == bytes(1000)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not sent.is_set()
        assert len(await response.content.read()) == 50_000_000 - 1000
        assert sent.is_set()


async def test_the_limit_counts_what_was_switched(session: plait.ClientSession) -> None:
    async with raw_server(echo) as server:
        response = await session.get(server.url, headers=UPGRADE)
        waiting = asyncio.create_task(session.get(server.url, headers=UPGRADE))
        await asyncio.wait([waiting], timeout=0.01)
        assert not waiting.done()
        response.close()
        assert (await waiting).status == 101
        assert in_use(session) == 1
        assert server.connections == 2


async def test_no_deadline_runs_behind_the_switch(session: plait.ClientSession) -> None:
    timeout = plait.ClientTimeout(total=60, sock_read=60, write=60)
    async with raw_server(echo) as server:
        async with session.get(server.url, headers=UPGRADE, timeout=timeout) as response:
            assert await response.content.readline() == b"hello\n"
            assert not session._deadlines._timed
        assert not session._deadlines._timed


async def test_the_session_closes_what_was_switched(
    session: plait.ClientSession, tls: ssl.SSLContext | None
) -> None:
    ended = asyncio.Event()

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(SWITCH)
        await connection.read_to_end()
        ended.set()

    async with raw_server(script, tls) as server:
        response = await session.get(server.url, headers=UPGRADE)
        reading = asyncio.create_task(response.content.read())
        await asyncio.sleep(0)
        await session.close()
        with pytest.raises(plait.ClientError):
            await reading
        await ended.wait()


async def test_a_server_that_is_gone(session: plait.ClientSession) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(SWITCH)
        await connection.read(1)
        linger = struct.pack("ii", 1, 0)  # The end is a reset.
        socket_ = connection.writer.get_extra_info("socket")
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.abort()

    async with (
        raw_server(script) as server,
        session.get(server.url, headers=UPGRADE) as response,
    ):
        assert response.connection is not None
        assert response.connection.transport is not None
        response.connection.transport.write(b"x")
        with pytest.raises(plait.ClientError):
            await response.content.read()
        assert in_use(session) == 0


async def test_a_response_that_is_forgotten_ends_it(session: plait.ClientSession) -> None:
    async with raw_server(echo) as server:
        response: Any = await session.get(server.url, headers=UPGRADE)
        assert response.status == 101
        del response
        async with session.get(server.url, headers=UPGRADE) as response:
            assert response.status == 101


async def use(session: plait.ClientSession, url: str) -> bool:
    async with session.post(url, headers=UPGRADE, data=b"content") as response:
        assert await response.content.readline() == b"hello\n"
        assert response.connection is not None
        assert response.connection.transport is not None
        response.connection.transport.write(b"up\n")
        return await response.content.readline() == b"UP\n"


@pytest.mark.parametrize("step", range(8))
async def test_a_cancel_at_any_await_leaks_nothing(session: plait.ClientSession, step: int) -> None:
    async with raw_server(echo) as server:
        attempt = CancelAt(use(session, server.url), step)
        try:
            assert await attempt
        except asyncio.CancelledError:
            assert attempt.cancelled
        assert in_use(session) == 0
        assert not session._deadlines._timed
        assert await use(session, server.url)


async def test_http2_when_it_is_insisted_on(authority: Authority) -> None:
    """RFC 9113 section 8.2.2: there the fields are left out, and the request is an ordinary one."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response([request.version, "Upgrade" in request.headers])

    app = web.Application()
    app.router.add_get("/", handler)
    context = authority.client_context()
    connector = plait.TCPConnector(http2=True, ssl=context)
    async with (
        serve(app, authority.server_context()) as served,
        plait.ClientSession(connector=connector) as session,
        session.get(served.url, headers=UPGRADE) as response,
    ):
        assert await response.json() == [[2, 0], False]
