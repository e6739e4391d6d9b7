"""An HTTP/2 server whose every event the test decides, for the client's tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from plait_engine import (
    Config,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    Limits,
    Request,
    Response,
    Role,
    create_connection,
)
from plait_engine.events import Sendable
from tests.adapters.raw_server import RawConnection, Script


class H2Peer:
    """One connection, with an engine in the server's role."""

    def __init__(self, raw: RawConnection, limits: Limits) -> None:
        self.number = raw.number
        self._raw = raw
        self._loop = asyncio.get_running_loop()
        self.engine = create_connection(Role.SERVER, "h2", Config(limits=limits, random=os.urandom))
        self.engine.connection_made(self._loop.time())
        self.flush()

    def flush(self) -> None:
        while data := self.engine.data_to_send():
            self._raw.send(data)

    def send(self, *events: Sendable) -> None:
        self.engine.send(*events, now=self._loop.time())
        self.flush()

    def answer(self, stream_id: int, body: bytes = b"ok") -> None:
        self.send(Response(stream_id, 200), Data(stream_id, body), EndOfMessage(stream_id))

    def close(self, code: int | None = None) -> None:
        self.engine.close(code, now=self._loop.time())
        self.flush()

    async def next_event(self) -> Event:
        """Return the next event; bytes of bodies are acknowledged."""
        while (event := self.engine.next_event()) is None:
            data = await self._raw.reader.read(65536)
            if data:
                self.engine.receive_data(data, self._loop.time())
            else:
                self.engine.receive_eof(self._loop.time())
            self.flush()
        if isinstance(event, Data):
            self.engine.acknowledge(event.stream_id, event.credit, self._loop.time())
            self.flush()
        return event

    async def next_of(self, kind: type[Event]) -> Event:
        """Return the next event of a kind; those before it are dropped."""
        while not isinstance(event := await self.next_event(), kind):
            if isinstance(event, ConnectionClosed):
                raise ConnectionError("the client closed the connection")
        return event

    async def next_request(self) -> Request:
        """Return the next request; what comes before it is dropped."""
        event = await self.next_of(Request)
        assert isinstance(event, Request)
        return event

    async def run_to_end(self) -> None:
        """Take events until the connection is closed."""
        while not isinstance(await self.next_event(), ConnectionClosed):
            pass


H2Script: TypeAlias = Callable[[H2Peer], Awaitable[None]]


def h2(script: H2Script, **limits: int) -> Script:
    """Return a script for ``raw_server`` that runs ``script`` on HTTP/2."""

    async def run(raw: RawConnection) -> None:
        await script(H2Peer(raw, Limits(**limits)))

    return run
