"""What a server does by itself against clients that are slow, many, or never leave.

The time is virtual: an hour passes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

import plait
from plait import web
from plait.transport.stream import StreamProtocol
from plait_engine import LocalProtocolError, Timeouts
from plait_engine.testing import TEST_CONFIG
from tests.adapters.web_peer import Client, Owner, Setup, app_of
from tests.simulation.network import End, Network, VirtualLoop, Weather

PATIENT = replace(TEST_CONFIG, timeouts=Timeouts(head=None, body=None, keep_alive=None, write=None))
"""The configuration of a client that waits for ever."""


@dataclass
class World:
    """A server, and a network to it."""

    setup: Setup
    loop: VirtualLoop
    network: Network
    server: web.Server

    async def connect(self) -> Client:
        _, protocol = await self.network.connect(
            lambda: StreamProtocol(
                lambda transport, _: Owner(transport, self.setup.protocol, PATIENT),
                loop=self.loop,
            )
        )
        driver: Client = protocol.owner.driver
        return driver

    async def connect_raw(self, data: bytes) -> Raw:
        _, protocol = await self.network.connect(Raw)
        protocol.transport.write(data)
        assert isinstance(protocol, Raw)
        return protocol

    async def seconds(self, waiting: Awaitable[object]) -> float:
        """Return how long ``waiting`` takes, to a second or so."""
        start = self.loop.time()
        await waiting
        return self.loop.time() - start


class Raw(asyncio.Protocol):
    """A client that only looks."""

    def __init__(self) -> None:
        self.data = b""
        self.gone = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, End)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set_result(error)


def run(
    setup: Setup, handler: Any, scenario: Callable[[World], Awaitable[None]], **options: Any
) -> None:
    loop = VirtualLoop(end=1_000_000)
    network = Network(loop, 1, Weather(latency=0.001))

    async def main() -> None:
        options.setdefault("access_log", None)
        runner = web.AppRunner(app_of(handler), engine=setup.engine, **options)
        await runner.setup()
        server = runner.server
        assert server is not None
        network.listen(server)
        try:
            await scenario(World(setup, loop, network, server))
        finally:
            await runner.cleanup()
            assert not server._connections

    try:
        loop.run_until_complete(main())
        assert not loop.errors
    finally:
        loop.close()


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


class Gate:
    """A handler that waits until it may answer."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.Response:
        self.started.set()
        await self.open.wait()
        return web.Response(text="at last")


def is_about(seconds: float, expected: float, tolerance: float = 0.5) -> bool:
    return abs(seconds - expected) <= tolerance


NATIVE = pytest.mark.parametrize(
    "setup", [Setup("http/1.1", "native"), Setup("h2", "native")], ids=["h1", "h2"]
)


# -- times -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 30),
        ({"head_timeout": 7}, 7),
        ({"timeouts": Timeouts(head=9)}, 9),
        ({"timeouts": Timeouts(head=9), "head_timeout": 7}, 7),
    ],
)
@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: a"])
def test_a_head_that_does_not_come(head: bytes, options: dict[str, Any], expected: float) -> None:
    async def scenario(world: World) -> None:
        raw = await world.connect_raw(head)
        assert is_about(await world.seconds(raw.gone), expected)
        assert raw.data.startswith(b"HTTP/1.1 408 " if head else b"")

    run(Setup("http/1.1", "native"), hello, scenario, **options)


def test_no_time_for_a_head() -> None:
    async def scenario(world: World) -> None:
        raw = await world.connect_raw(b"GET / HTTP/1.1\r\n")
        await asyncio.sleep(3000)
        assert not raw.gone.done()
        raw.transport.write(b"Host: a\r\n\r\n")
        await asyncio.sleep(1)
        assert raw.data.endswith(b"hello")
        raw.transport.abort()

    run(Setup("http/1.1", "native"), hello, scenario, head_timeout=None)


@NATIVE
@pytest.mark.parametrize(("options", "expected"), [({}, 60), ({"body_timeout": 5}, 5)])
def test_content_that_does_not_come(setup: Setup, options: dict[str, Any], expected: float) -> None:
    errors: list[Exception] = []

    async def handler(request: web.Request) -> web.Response:
        try:
            await request.read()
        except Exception as error:
            errors.append(error)
            raise
        return web.Response()

    async def scenario(world: World) -> None:
        client = await world.connect()
        answer = client.request("POST", "/", (), b"x", end=False)
        for _ in range(3):  # The time begins anew with each piece.
            await asyncio.sleep(expected * 0.9)
            answer.send_body(b"x", end=False)
        assert is_about(await world.seconds(answer.ended.wait()), expected)
        assert isinstance(errors[0], web.RequestPayloadError)
        assert answer.status == (0 if setup.is_h2 else 408)

    run(setup, handler, scenario, **options)


@NATIVE
@pytest.mark.parametrize(("options", "expected"), [({}, 60), ({"write_timeout": 5}, 5)])
def test_a_client_that_reads_nothing(
    setup: Setup, options: dict[str, Any], expected: float
) -> None:
    failed = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 100_000)
        finally:
            failed.set()

    async def scenario(world: World) -> None:
        client = await world.connect()
        answer = client.request(hold=True)
        await answer.head_came.wait()
        assert client.transport is not None
        client.transport.pause_reading()
        # The network takes some more of it at first.
        assert expected - 0.5 <= await world.seconds(failed.wait()) <= 2 * expected
        client.abort()

    run(setup, handler, scenario, **options)


@pytest.mark.parametrize(("options", "expected"), [({}, 3630), ({"keepalive_timeout": 9}, 9)])
def test_a_connection_without_requests(
    setup: Setup, options: dict[str, Any], expected: float
) -> None:
    async def scenario(world: World) -> None:
        client = await world.connect()
        await client.fetch()
        assert is_about(await world.seconds(client.wait_closed()), expected)

    run(setup, hello, scenario, max_connection_age=None, **options)


@pytest.mark.parametrize(("options", "expected"), [({}, 3600), ({"max_connection_age": 100}, 100)])
def test_the_age_of_a_connection(setup: Setup, options: dict[str, Any], expected: float) -> None:
    """It is busy all the time, and each of its requests is answered."""

    async def scenario(world: World) -> None:
        for _ in range(2):
            start = world.loop.time()
            client = await world.connect()
            while not client.is_closing:
                assert (await client.fetch()).status == 200
                await asyncio.sleep(5)
            assert is_about(world.loop.time() - start, expected, 6)
            await client.wait_closed()
        assert world.server.connections == []

    run(setup, hello, scenario, **options)


def test_a_connection_that_is_too_old_answers_first(setup: Setup) -> None:
    gate = Gate()

    async def scenario(world: World) -> None:
        client = await world.connect()
        other = await world.connect()
        answer = client.request()
        await gate.started.wait()
        await asyncio.sleep(150)
        gate.open.set()
        assert (await answer.complete()).body == b"at last"
        assert answer.header("connection") == (None if setup.is_h2 else "close")
        await asyncio.gather(client.wait_closed(), other.wait_closed())

    run(setup, gate, scenario, max_connection_age=100)


def test_any_age(setup: Setup) -> None:
    async def scenario(world: World) -> None:
        client = await world.connect()
        for _ in range(100):
            assert (await client.fetch()).status == 200
            await asyncio.sleep(3000)

    run(setup, hello, scenario, max_connection_age=None)


# -- numbers -----------------------------------------------------------------------------------


def test_the_requests_of_a_connection(setup: Setup) -> None:
    async def scenario(world: World) -> None:
        client = await world.connect()
        for left in (2, 1, 0):
            answer = await client.fetch()
            assert (answer.status, answer.body) == (200, b"hello")
            says_close = answer.header("connection") == "close"
            assert says_close is (not left and not setup.is_h2)
        await client.wait_closed()
        assert (await (await world.connect()).fetch()).status == 200

    run(setup, hello, scenario, max_connection_requests=3)


def test_the_last_request_has_content(setup: Setup) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def scenario(world: World) -> None:
        client = await world.connect()
        answer = client.request("POST", "/", (), b"a", end=False)
        await asyncio.sleep(5)
        answer.send_body(b"b")
        assert (await answer.complete()).body == b"ab"
        await client.wait_closed()

    run(setup, echo, scenario, max_connection_requests=1)


def test_requests_that_run_when_the_last_one_comes() -> None:
    """HTTP/2: the last one is accepted, and the others are answered, too."""
    gate = Gate()

    async def scenario(world: World) -> None:
        client = await world.connect()
        answers = [client.request() for _ in range(3)]
        await gate.started.wait()
        await asyncio.sleep(1)
        assert client.is_closing
        with pytest.raises(LocalProtocolError):
            client.request()
        gate.open.set()
        for answer in answers:
            assert (await answer.complete()).body == b"at last"
        await client.wait_closed()

    run(Setup("h2", "native"), gate, scenario, max_connection_requests=3)


def test_connections(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        first, second = await world.connect(), await world.connect()
        for _ in range(3):
            await asyncio.wait_for((await world.connect()).wait_closed(), 5)
        assert [record.getMessage() for record in caplog.records] == [
            "2 connections are open: others are dropped"
        ]
        for client in (first, second):
            assert (await client.fetch()).status == 200
        first.abort()
        await asyncio.sleep(1)
        third = await world.connect()
        assert (await third.fetch()).status == 200
        await asyncio.wait_for((await world.connect()).wait_closed(), 5)
        assert len(caplog.records) == 2

    run(setup, hello, scenario, max_connections=2)


def test_handlers(setup: Setup) -> None:
    """On all connections; the refusal reaches the client, and its connection goes on."""
    gate = Gate()

    async def scenario(world: World) -> None:
        first, second = await world.connect(), await world.connect()
        waiting = first.request()
        await gate.started.wait()
        refused = await second.fetch()
        assert (refused.status, refused.header("retry-after")) == (503, "1")
        gate.open.set()
        assert (await waiting.complete()).body == b"at last"
        assert (await second.fetch()).status == 200

    run(setup, gate, scenario, max_handlers=1)


def test_handlers_that_fail_are_over(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: web.Request) -> web.Response:
        raise ValueError

    async def scenario(world: World) -> None:
        for _ in range(3):
            client = await world.connect()
            assert (await client.fetch()).status == 500

    run(setup, fail, scenario, max_handlers=1)


def test_a_websocket_outlives_the_time_of_its_connection(setup: Setup) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async def scenario(world: World) -> None:
        connector = plait.UnixConnector("simulated", http2=setup.is_h2)
        async with (
            plait.ClientSession("http://localhost", connector=connector) as session,
            session.ws_connect("/") as socket,
        ):
            for _ in range(5):
                await asyncio.sleep(100)
                await socket.send_str("still here")
                assert await socket.receive_str() == "still here"
        await asyncio.sleep(30)
        assert world.server.connections == []

    run(setup, echo, scenario, max_connection_age=60)
