"""A server to test, and a client that does exactly what a test says.

The client is a ``Driver`` in the client's role: both HTTP versions with the same code, and
nothing that ``ClientSession`` would do by itself (pool, retry, redirect, decompress).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from plait import web
from plait.serving.exchange import ServerExchange
from plait.transport.driver import Driver
from plait.transport.exchange import Exchange
from plait.transport.stream import StreamProtocol
from plait_engine import (
    Config,
    Data,
    EndOfMessage,
    Event,
    Headers,
    InformationalResponse,
    Request,
    Response,
    Role,
    StreamReset,
)
from plait_engine.engines import EngineName
from plait_engine.testing import TEST_CONFIG
from tests.serving import serve


class Answer(Exchange):
    """A request that was sent, and what came back.

    ``head_came`` and ``ended`` are set when the head, and the end or a reset, are there.
    With ``hold`` the bytes that come are not acknowledged.
    """

    def __init__(self, driver: Driver, stream_id: int, *, hold: bool) -> None:
        super().__init__(driver, stream_id)
        self.hold = hold
        self.status = 0
        self.headers: Headers = ()
        self.body = b""
        self.trailers: Headers = ()
        self.informational: list[InformationalResponse] = []
        self.reset_event: StreamReset | None = None
        self.informed = asyncio.Event()
        self.head_came = asyncio.Event()
        self.ended = asyncio.Event()

    def on_informational(self, event: InformationalResponse) -> None:
        self.informational.append(event)
        self.informed.set()

    def on_response(self, event: Response) -> None:
        self.status = event.status
        self.headers = event.headers
        self.head_came.set()

    def on_data(self, event: Data) -> None:
        self.body += event.data
        if not self.hold:
            self.acknowledge(event.credit)

    def on_end(self, event: EndOfMessage) -> None:
        self.trailers = event.trailers
        self.ended.set()
        self.forget()

    def on_reset(self, event: StreamReset) -> None:
        self.reset_event = event
        self.exception = ConnectionResetError(str(event))
        self.head_came.set()
        self.ended.set()

    def header(self, name: str) -> str | None:
        """Return the only field ``name``."""
        values = [value for key, value in self.headers if key.lower() == name]
        assert len(values) < 2, values
        return values[0] if values else None

    def send_body(self, data: bytes, *, end: bool = True, trailers: Headers = ()) -> None:
        """Send a piece of the content."""
        self.send(Data(self.stream_id, data))
        if end:
            self.send(EndOfMessage(self.stream_id, trailers))

    async def complete(self) -> Answer:
        """Wait for the end; the response must not have been cut short."""
        await asyncio.wait_for(self.ended.wait(), 20)
        assert self.reset_event is None, self.reset_event
        return self

    async def broken(self) -> StreamReset:
        """Wait for the end; the response must have been cut short."""
        await asyncio.wait_for(self.ended.wait(), 20)
        assert self.reset_event is not None, (self.status, self.body)
        return self.reset_event


class Owner:
    """Gives the events of a client's connection to its answers."""

    def __init__(self, transport: asyncio.Transport, protocol: str, config: Config) -> None:
        loop = asyncio.get_running_loop()
        self.driver = Client(Role.CLIENT, config, transport, self, loop=loop, protocol=protocol)

    def on_event(self, event: Event) -> None:
        pass

    def on_batch_end(self) -> None:
        pass

    def on_eof(self) -> None:
        pass

    def on_lost(self, error: Exception | None) -> None:
        pass


class Client(Driver):
    """One connection."""

    def request(
        self,
        method: str = "GET",
        target: str = "/",
        headers: Headers = (),
        body: bytes = b"",
        *,
        end: bool = True,
        hold: bool = False,
        authority: str = "test",
    ) -> Answer:
        """Send a request, without its end if ``end`` is false."""
        stream_id = self.engine.next_stream_id()
        answer = Answer(self, stream_id, hold=hold)
        self.exchanges[stream_id] = answer
        head = Request(stream_id, method, "http", authority, target, headers)
        if not end:
            events: list[Any] = [head]
            if body:
                events.append(Data(stream_id, body))
            self.send(*events)
        elif body:
            self.send(head, Data(stream_id, body), EndOfMessage(stream_id))
        else:
            self.send(head, EndOfMessage(stream_id))
        return answer

    async def fetch(self, *args: Any, **options: Any) -> Answer:
        """Send a request and wait for the whole response."""
        return await self.request(*args, **options).complete()


@dataclass
class Setup:
    """Which protocol and engines a test runs over."""

    protocol: str
    engine: EngineName

    @property
    def is_h2(self) -> bool:
        return self.protocol == "h2"

    @asynccontextmanager
    async def serve(self, app: web.Application | web.Server, **options: Any) -> AsyncIterator[Site]:
        """Serve; at the end no handler runs and nothing is left of any exchange."""
        async with serve(app, **{"engine": self.engine, **options}) as served:
            made = Site(self, served.runner, served.port)
            try:
                yield made
            finally:
                for client in made.clients:
                    await made.close(client)


@dataclass
class Site:
    """A running server."""

    setup: Setup
    runner: web.BaseRunner
    port: int

    def __post_init__(self) -> None:
        self.clients: list[Client] = []

    @property
    def server(self) -> web.Server:
        assert self.runner.server is not None
        return self.runner.server

    async def connect(self, config: Config = TEST_CONFIG) -> Client:
        """Open a connection."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(
            lambda: StreamProtocol(
                lambda transport, _: Owner(transport, self.setup.protocol, config), loop=loop
            ),
            "127.0.0.1",
            self.port,
        )
        client = protocol.owner.driver
        self.clients.append(client)
        return client

    async def close(self, client: Client) -> None:
        """Drop a connection."""
        client.abort()
        await client.wait_closed()

    async def send_raw(self, data: bytes) -> bytes:
        """Send ``bytes`` on a connection of their own and return all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def received(self) -> int:
        """Return how many bytes of content reached the exchanges that are open."""
        return sum(
            exchange.content.total_bytes
            for handler in self.server.connections
            for exchange in handler.driver.exchanges.values()
            if isinstance(exchange, ServerExchange)
        )

    def exchanges(self) -> int:
        """Return how many exchanges the server holds."""
        return sum(len(handler.driver.exchanges) for handler in self.server.connections)


def app_of(handler: Any, path: str = "/", **options: Any) -> web.Application:
    """Return an application with one handler, for every method."""
    app = web.Application(**options)
    app.router.add_route("*", path, handler)
    return app
