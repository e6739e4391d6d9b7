"""A client's connection that a program takes over behind a 101, by aiohttp's private methods."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

import plait
from plait.as_aiohttp import takeover
from plait.calls.connection import ClientConnection
from plait.streams import DataQueue
from tests.adapters.raw_server import RawConnection, raw_server

pytestmark = pytest.mark.anyio

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
SWITCH = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
call: Any = takeover.METHODS


class Parser:
    """Puts what comes into a queue; fails at a NUL."""

    def __init__(self, queue: DataQueue[bytes]) -> None:
        self.queue = queue
        self.size = 0

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        if data == b"\0":
            self.queue.feed_eof()
            return True, b""
        self.size += len(data)
        self.queue.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self.queue.feed_eof()


@pytest.fixture
async def session() -> AsyncIterator[plait.ClientSession]:
    async with plait.ClientSession() as session:
        yield session


def take_over(response: plait.ClientResponse) -> tuple[ClientConnection, Parser]:
    assert response.connection is not None
    connection = response.connection.protocol
    assert connection is not None
    parser = Parser(DataQueue(asyncio.get_running_loop()))
    call["set_parser"](connection, parser, parser.queue)
    call["force_close"](connection)
    return connection, parser


async def echo(connection: RawConnection) -> None:
    await connection.read_head()
    connection.send(SWITCH + b"early")
    while data := await connection.reader.read(100):
        connection.send(data)


async def test_a_parser_gets_what_comes(session: plait.ClientSession) -> None:
    async with raw_server(echo) as server:
        response = await session.post(server.url, headers=UPGRADE, read_until_eof=False)
        assert await response.read() == b""
        connection, parser = take_over(response)
        assert await parser.queue.read() == b"early"
        assert connection.transport is not None
        connection.transport.write(b"typed")
        await call["_drain_helper"](connection)
        assert await parser.queue.read() == b"typed"
        reading = asyncio.create_task(parser.queue.read())
        await asyncio.sleep(0)
        response.close()
        with pytest.raises(plait.EofStream):
            await reading


async def test_the_end_and_a_failure(session: plait.ClientSession) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(SWITCH)
        if connection.number == 2:
            await connection.read(1)
            linger = struct.pack("ii", 1, 0)  # The end is a reset.
            socket_ = connection.writer.get_extra_info("socket")
            socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.abort()

    async with raw_server(script) as server:
        for expected in (plait.EofStream, plait.ClientError):
            async with session.get(server.url, headers=UPGRADE) as response:
                connection, parser = take_over(response)
                assert connection.transport is not None
                connection.transport.write(b"x")
                with pytest.raises(expected):
                    await parser.queue.read()


class Credit:
    """An exchange that counts what it gets back."""

    def __init__(self) -> None:
        self.credit = 0

    def acknowledge(self, credit: int) -> None:
        self.credit += credit


async def test_a_parser_that_fails_gets_nothing_more() -> None:
    queue: DataQueue[bytes] = DataQueue(asyncio.get_running_loop())
    parser, exchange, told = Parser(queue), Credit(), []
    sink = takeover.ParserSink(cast(Any, exchange), parser, queue, lambda: told.append(1))
    sink.feed_data(b"early", 5)
    sink.feed_data(b"\0", 1)
    sink.feed_data(b"late", 4)
    sink.feed_eof()
    assert parser.size == 5
    assert len(told) == 2
    assert exchange.credit == 10


async def test_an_error_at_the_end_is_told_to_the_loop(session: plait.ClientSession) -> None:
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    failed = asyncio.Event()

    class Broken(Parser):
        def feed_eof(self) -> None:
            failed.set()
            raise ZeroDivisionError

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(SWITCH)

    async with (
        raw_server(script) as server,
        session.get(server.url, headers=UPGRADE) as response,
    ):
        connection = response.connection
        assert connection is not None
        queue: DataQueue[bytes] = DataQueue(asyncio.get_running_loop())
        call["set_parser"](connection.protocol, Broken(queue), queue)
        await failed.wait()
    assert [type(problem["exception"]) for problem in problems] == [ZeroDivisionError]


async def test_a_slow_reader_stops_the_server(session: plait.ClientSession) -> None:
    sent = asyncio.Event()
    size = 50_000_000

    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(SWITCH + bytes(size))
        await connection.writer.drain()
        sent.set()

    async with (
        raw_server(script) as server,
        session.get(server.url, headers=UPGRADE) as response,
    ):
        connection, parser = take_over(response)
        call["pause_reading"](connection)
        assert call["_reading_paused"].fget(connection)
        for _ in range(200):
            await asyncio.sleep(0)
        assert not sent.is_set()
        assert parser.size < 10_000_000
        call["resume_reading"](connection)
        assert not call["_reading_paused"].fget(connection)
        await sent.wait()
        while parser.size < size:
            await parser.queue.read()


async def test_nothing_is_taken_over_without_a_switch(session: plait.ClientSession) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await connection.read_to_end()

    async with (
        raw_server(script) as server,
        session.get(server.url, headers=UPGRADE) as response,
    ):
        with pytest.raises(RuntimeError, match="did not switch"):
            take_over(response)
