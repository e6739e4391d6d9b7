"""The driver: where a trio stream meets a protocol engine.

It follows the same law as the asyncio adapter (``plait_engine.connection``), in trio's
way: one task reads, one task writes and keeps the time, commands are plain calls from any
task.  An input or a command changes the engine and then calls ``pump``, which hands out
the events and wakes both.  Everything else, both HTTP versions, both roles, flow control,
timers, is the engine's; that this file is short is the proof that the seam holds.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

import trio

from plait_engine import (
    CloseAction,
    Config,
    Connection,
    ConnectionClosed,
    ConnectionState,
    Data,
    EndOfMessage,
    ErrorCode,
    Event,
    Headers,
    PriorKnowledge,
    Request,
    Role,
    StreamReset,
    Writable,
    create_connection,
)
from plait_engine.engines import EngineName
from plait_engine.events import Sendable

ALPN_PROTOCOLS = ["h2", "http/1.1"]
RECEIVE_SIZE = 65536

TrioStream: TypeAlias = "trio.SocketStream | trio.SSLStream[trio.SocketStream]"


class StreamError(Exception):
    """A request or tunnel was cut short.

    ``event`` is the engine's ``StreamReset`` or ``ConnectionClosed``: it tells who did it,
    the error, and whether the request may safely be sent again.
    """

    def __init__(self, event: StreamReset | ConnectionClosed) -> None:
        if isinstance(event, StreamReset):
            super().__init__(event.error or f"stream reset with code {event.code}")
        else:
            super().__init__(event.error or event.reason.explain())
        self.event = event


@asynccontextmanager
async def open_nursery() -> AsyncIterator[trio.Nursery]:
    """A nursery out of which a single failure comes as itself, not in a group."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise group.exceptions[0] from None


class Exchange:
    """One stream of a connection: a request and its response, or a tunnel."""

    def __init__(self, driver: Driver, stream_id: int) -> None:
        self.driver = driver
        self.stream_id = stream_id
        self.trailers: Headers = ()
        self.sent_end = False
        self.received_end = False
        self._events: deque[Event] = deque()
        self._changed = trio.Event()
        self._failure: StreamReset | ConnectionClosed | None = None

    async def next_event(self) -> Event:
        """Wait for the next event of this stream.  Raises StreamError when it is cut short."""
        while not self._events:
            if self._failure is not None:
                raise StreamError(self._failure)
            await self._change()
        return self._events.popleft()

    async def receive(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the body or tunnel; each piece is acknowledged when the next
        is asked for.  Trailers are in ``trailers`` at the end."""
        while True:
            event = await self.next_event()
            if isinstance(event, Data):
                yield event.data
                self.driver.acknowledge(self.stream_id, event.credit)
            elif isinstance(event, EndOfMessage):
                self.trailers = event.trailers
                return

    async def send(self, *events: Sendable) -> None:
        """Send events of this stream; after Data, wait until it takes more."""
        if self._failure is not None:
            raise StreamError(self._failure)
        self.driver.send(*events)
        self.sent_end = isinstance(events[-1], EndOfMessage)
        while (
            isinstance(events[-1], Data)
            and self._failure is None
            and self.driver.engine.send_capacity(self.stream_id) <= 0
        ):
            await self._change()

    async def send_body(self, body: AsyncIterator[bytes]) -> None:
        """Send what ``body`` yields as Data; close it if that is cut short."""
        async with AsyncExitStack() as stack:
            if isinstance(body, AsyncGenerator):
                await stack.enter_async_context(aclosing(body))
            async for chunk in body:
                await self.send(Data(self.stream_id, chunk))

    async def _change(self) -> None:
        self._changed = trio.Event() if self._changed.is_set() else self._changed
        await self._changed.wait()

    def deliver(self, event: Event) -> None:
        """Take an event (the driver's call)."""
        if isinstance(event, (StreamReset, ConnectionClosed)):
            self._failure = event
        elif not isinstance(event, Writable):
            self.received_end = self.received_end or isinstance(event, EndOfMessage)
            self._events.append(event)
        self._changed.set()


class Driver:
    """A connection on a trio stream.  ``run`` it in a task for as long as it lives.

    Args:
        stream: the transport, with the TLS handshake done.
        role: which side this is.
        config: the engine's configuration.
        protocol: ``"http/1.1"`` or ``"h2"``; ``None``: what ALPN chose, else HTTP/1.1.
        on_request: runs as a task for each request (server).
        engine: ``"native"`` or ``"reference"``.
    """

    def __init__(
        self,
        stream: TrioStream,
        role: Role,
        config: Config,
        *,
        protocol: str | None = None,
        on_request: Callable[[Exchange, Request], Awaitable[None]] | None = None,
        engine: EngineName = "native",
    ) -> None:
        if protocol is None and isinstance(stream, trio.SSLStream):
            protocol = stream.selected_alpn_protocol()
        self.stream = stream
        self.role = role
        self.config = replace(config, random=os.urandom)
        self.exchanges: dict[int, Exchange] = {}
        self.closed = trio.Event()
        self.ready = trio.Event()
        """Set when it is known what the peer can do: HTTP/2's SETTINGS came."""
        self.engine_name: EngineName = engine
        self._on_request = on_request
        self._reader_wakeup = trio.Event()
        self._writer_wakeup = trio.Event()
        self._start(protocol or "http/1.1")

    def _start(self, protocol: str) -> None:
        engine = create_connection(self.role, protocol, self.config, engine=self.engine_name)
        self.engine: Connection = engine
        engine.connection_made(trio.current_time())
        if protocol != "h2":
            self.ready.set()

    async def run(self) -> None:
        """Move bytes until the connection is closed; then no task is left."""
        try:
            async with open_nursery() as self._nursery:
                self._nursery.start_soon(self._read)
                await self._write()
                self._nursery.cancel_scope.cancel()
        finally:
            self._lose(None)
            self.closed.set()
            await trio.aclose_forcefully(self.stream)

    # -- commands ---------------------------------------------------------------

    def open_exchange(self) -> Exchange:
        """Return the exchange for a new request of this client; send the request next."""
        exchange = Exchange(self, self.engine.next_stream_id())
        self.exchanges[exchange.stream_id] = exchange
        return exchange

    def send(self, *events: Sendable) -> None:
        self.engine.send(*events, now=trio.current_time())
        self.pump()

    def acknowledge(self, stream_id: int, credit: int) -> None:
        self.engine.acknowledge(stream_id, credit, trio.current_time())
        self.pump()

    def finish(self, exchange: Exchange) -> None:
        """The application is done with an exchange: what is not complete is given up."""
        known = self.exchanges.pop(exchange.stream_id, None) is not None
        if known and not (exchange.sent_end and exchange.received_end):
            answered = exchange.sent_end and self.role is Role.SERVER
            code = ErrorCode.NO_ERROR if answered else ErrorCode.CANCEL
            self.send(StreamReset(exchange.stream_id, code))

    def close(self) -> None:
        """Finish what is open, then close."""
        self.engine.close(now=trio.current_time())
        self.pump()

    # -- the law ------------------------------------------------------------------

    def pump(self) -> None:
        """Hand out the events; wake the reader and the writer."""
        while (event := self.engine.next_event()) is not None:
            if isinstance(event, Request):
                exchange = self.exchanges[event.stream_id] = Exchange(self, event.stream_id)
                if self._on_request is not None:
                    self._nursery.start_soon(self._on_request, exchange, event)
            elif isinstance(event, PriorKnowledge):
                self._start("h2")
                self.engine.receive_data(event.data, trio.current_time())
            elif isinstance(event, ConnectionClosed):
                self.ready.set()
                for exchange in self.exchanges.values():
                    exchange.deliver(event)
                self.exchanges.clear()
            else:
                self._deliver(event, getattr(event, "stream_id", 0))
        self._reader_wakeup.set()
        self._writer_wakeup.set()

    def _deliver(self, event: Event, stream_id: int) -> None:
        exchange = self.exchanges.get(stream_id)
        if exchange is not None:
            exchange.deliver(event)
            if isinstance(event, StreamReset):
                del self.exchanges[stream_id]
        elif isinstance(event, Data):
            self.engine.acknowledge(stream_id, event.credit, trio.current_time())
        elif not stream_id:
            self.ready.set()

    async def _read(self) -> None:
        data = b"?"
        while data:
            while not self.engine.wants_read:
                self._reader_wakeup = trio.Event()
                await self._reader_wakeup.wait()
            try:
                data = bytes(await self.stream.receive_some(RECEIVE_SIZE))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._lose(exc)
                return
            if data:
                self.engine.receive_data(data, trio.current_time())
            else:
                self.engine.receive_eof(trio.current_time())
            self.pump()

    async def _write(self) -> None:
        """Write, close, and keep the time, until the connection is over."""
        half_closed = False
        while not self.closed.is_set():
            self._writer_wakeup = trio.Event()
            try:
                while data := self.engine.data_to_send():
                    await self.stream.send_all(data)
                    self.pump()
                action = self.engine.wants_close
                can_half_close = isinstance(self.stream, trio.SocketStream)
                if action is CloseAction.WRITE_EOF and not can_half_close:
                    closing = self.engine.state is ConnectionState.CLOSING
                    action = CloseAction.CLOSE if closing else CloseAction.NONE
                if action is CloseAction.CLOSE:
                    with trio.move_on_after(self.config.timeouts.close):
                        await self.stream.aclose()
                if action in (CloseAction.CLOSE, CloseAction.ABORT):
                    return
                if action is CloseAction.WRITE_EOF and not half_closed:
                    half_closed = True
                    await self.stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._lose(exc)
                return
            deadline = self.engine.next_timeout()
            with trio.CancelScope(deadline=math.inf if deadline is None else deadline):
                await self._writer_wakeup.wait()
            self.engine.handle_timeout(trio.current_time())
            self.pump()

    def _lose(self, error: Exception | None) -> None:
        self.engine.connection_lost(error, trio.current_time())
        self.pump()
