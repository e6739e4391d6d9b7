"""trio's driver: the law of the contract, and the exchanges of a connection.

The law is the engine's driver (``plait_engine.driver``), as in the asyncio adapter; a trio
stream is what it stands over (``transport``).  ``Driver`` gives the events to the exchanges,
and commands are plain calls from any task.  Everything else, both HTTP versions, both roles,
flow control, timers, is the engine's; that this file is short is the proof that the seam
holds.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace

import trio

import plait_engine.driver
from plait_engine import (
    Accept,
    Config,
    ConnectionClosed,
    Data,
    Draining,
    EndOfMessage,
    ErrorCode,
    Event,
    Headers,
    Request,
    Response,
    Role,
    SettingsChanged,
    StreamReset,
    Writable,
    create_connection,
)
from plait_engine.driver import LazyTimer
from plait_engine.engines import EngineName
from plait_engine.events import Initiator, Sendable
from plait_engine.http2.frames import SETTINGS_ENABLE_CONNECT_PROTOCOL
from plait_engine.policy.admission import Admission
from plait_engine.policy.interruption import advise, explain_goaway, name_of_code
from plait_engine.proxy.forward import Forwarding
from plait_engine.semantics.content import announced_length

from .content import Content
from .transport import TrioStream, TrioTransport


class StreamError(Exception):
    """A request or tunnel was cut short.

    ``event`` is the engine's ``StreamReset`` or ``ConnectionClosed``: it tells who did it,
    the error, and whether the request may safely be sent again.  ``peer`` is with whom it was.
    ``received``: bytes of the response's content, ``None`` before its head; ``expected``: what
    its Content-Length promised.
    """

    def __init__(
        self,
        event: StreamReset | ConnectionClosed,
        peer: str = "",
        *,
        received: int | None = None,
        expected: int | None = None,
    ) -> None:
        if isinstance(event, StreamReset):
            reason = str(event.error or f"stream reset: {name_of_code(event.code)}")
        else:
            reason = str(event.error or event.reason.explain())
        if event.error is None and getattr(event, "initiator", None) is Initiator.LOCAL:
            reason = "this side closed it"
        if received is not None:
            of = "" if expected is None else f" of {expected}"
            reason += f": {received}{of} bytes of the content received"
        if peer:
            reason += f": {peer}"
            if isinstance(event, StreamReset):
                reason += f"; {advise(event)}"
        super().__init__(reason)
        self.event = event
        self.peer = peer
        self.received = received
        self.expected = expected

    @property
    def unprocessed(self) -> bool:
        """The server did certainly nothing with the request: it may be sent again."""
        return isinstance(self.event, StreamReset) and self.event.retryable


@asynccontextmanager
async def open_nursery() -> AsyncIterator[trio.Nursery]:
    """A nursery out of which a single failure comes as itself, not in a group."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
        return
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        error = group.exceptions[0]
    raise error  # Out here, so that it keeps its own cause and context.


class Exchange:
    """One stream of a connection: a request and its response, or a tunnel."""

    def __init__(self, driver: Driver, stream_id: int) -> None:
        self.driver = driver
        self.stream_id = stream_id
        self.request: Request | None = None
        """What the client asks for (server)."""
        self.trailers: Headers = ()
        self.begun = False
        """The engine knows the stream."""
        self.started = False
        """Something of the response came (client)."""
        self.sent_end = False
        self.switched = False
        """Behind an ordinary request, the server switched to another protocol."""
        self.received_end = False
        self.is_read = False
        """All that came was taken, to the end."""
        self.unacknowledged = 0
        """Credit of what came and was not taken."""
        self._events: deque[Event] = deque()
        self._changed = trio.Event()
        self._failure: StreamReset | ConnectionClosed | None = None
        self._received: int | None = None
        self._expected: int | None = None
        """Bytes of the response's content, so far and announced (client)."""
        self._finished = False
        """The application is done with it."""

    async def next_event(self) -> Event:
        """Wait for the next event of this stream.

        Raises StreamError when it is cut short, ClosedResourceError behind ``finish``.
        """
        self._check()
        while not self._events:
            if self._failure is not None:
                raise self._cut_short(self._failure)
            await self._change()
            self._check()
        return self._events.popleft()

    def receive(self) -> AsyncIterator[bytes]:
        """Return the bytes of the body or tunnel, as they come (``content.Content``)."""
        return Content(self)

    async def send(self, *events: Sendable) -> None:
        """Send events of this stream; after Data, wait until it takes more.

        Raises what ``next_event`` raises, and LocalProtocolError for what is not allowed now.
        """
        self._check()
        if self._failure is not None:
            raise self._cut_short(self._failure)
        self.driver.send(*events)
        self.begun = True
        self.sent_end = isinstance(events[-1], EndOfMessage)
        while (
            isinstance(events[-1], Data)
            and self._failure is None
            and self.driver.engine.send_capacity(self.stream_id) <= 0
        ):
            await self._change()

    def acknowledge(self, credit: int) -> None:
        """The application took what came with ``credit``."""
        credit = min(credit, self.unacknowledged)
        if credit:
            self.unacknowledged -= credit
            self.driver.acknowledge(self.stream_id, credit)

    async def send_body(self, body: AsyncIterator[bytes]) -> None:
        """Send what ``body`` yields as Data; close it if that is cut short."""
        async with AsyncExitStack() as stack:
            if isinstance(body, AsyncGenerator):
                await stack.enter_async_context(aclosing(body))
            async for chunk in body:
                await self.send(Data(self.stream_id, chunk))

    def finish(self) -> None:
        """Nothing more is read or sent; who waits is told (the driver's call)."""
        self._finished = True
        self._events.clear()
        self._changed.set()

    def _cut_short(self, event: StreamReset | ConnectionClosed) -> StreamError:
        return StreamError(
            event, self.driver.peer, received=self._received, expected=self._expected
        )

    def _check(self) -> None:
        if self._finished:
            raise trio.ClosedResourceError("the request and its response are over")

    async def _change(self) -> None:
        self._changed = trio.Event() if self._changed.is_set() else self._changed
        await self._changed.wait()

    def deliver(self, event: Event) -> None:
        """Take an event (the driver's call)."""
        if isinstance(event, (StreamReset, ConnectionClosed)):
            self._failure = event
        elif not isinstance(event, Writable):
            self.started = True
            if isinstance(event, Accept) and self.sent_end:
                self.switched, self.sent_end = True, False
            self.received_end = self.received_end or isinstance(event, EndOfMessage)
            if isinstance(event, Response):
                self._received, self._expected = 0, announced_length(event.headers)
            elif isinstance(event, Data):
                self.unacknowledged += event.credit
                if self._received is not None:
                    self._received += len(event.data)
            self._events.append(event)
        self._changed.set()


class Driver(plait_engine.driver.Driver):
    """A connection on a trio stream.  ``run`` it in a task for as long as it lives.

    Args:
        stream: the transport, with the TLS handshake done.
        role: which side this is.
        config: the engine's configuration.
        protocol: ``"http/1.1"`` or ``"h2"``; ``None``: what ALPN chose, else HTTP/1.1.
        on_request: runs as a task for each request (server), if there are not too many (see
            ``plait_engine.policy.admission``).
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
        protocol = protocol or "http/1.1"
        half_close = isinstance(stream, trio.SocketStream)
        self.config = replace(config, random=os.urandom, half_close=half_close)
        self.role = role
        self.engine_name: EngineName = engine
        self.exchanges: dict[int, Exchange] = {}
        self.closed = trio.Event()
        self.ready = trio.Event()
        """Set when it is known what the peer can do: HTTP/2's SETTINGS came."""
        if protocol != "h2":
            self.ready.set()
        self.admission: Admission[Exchange] = Admission(config.limits.max_concurrent_streams)
        """Which requests get a task, and which of them run (server)."""
        self.on_change: Callable[[], None] = _do_nothing
        """Called when the engine may take another number of requests (client)."""
        self.extended_connect = False
        """The server accepts WebSockets (client, HTTP/2, RFC 8441)."""
        self.goaway_code: int | None = None
        """The code with which the server ends the connection (client, HTTP/2)."""
        self.peer = ""
        """The server, for messages (client)."""
        self.forwarding: Forwarding | None = None
        """How requests are written for the proxy at the other end, if there is one (client)."""
        self._on_request = on_request
        self._carrier = TrioTransport(stream)
        connection = create_connection(role, protocol, self.config, engine=engine)
        super().__init__(connection, self._carrier, self, self._carrier, http2=engine)
        self._refusal = LazyTimer(self._carrier)
        """Refuses the requests that wait for a task to end."""
        self._carrier.driver = self
        self.start()

    async def run(self) -> None:
        """Move bytes until the connection is closed; then no task is left."""
        carrier = self._carrier
        try:
            async with open_nursery() as self._nursery:
                self._nursery.start_soon(carrier.read)
                self._nursery.start_soon(carrier.keep_time)
                try:
                    await carrier.write_and_close()
                finally:
                    self.connection_lost(carrier.error)
                self._nursery.cancel_scope.cancel()
        finally:
            self.closed.set()
            await trio.aclose_forcefully(carrier.stream)

    # -- commands ---------------------------------------------------------------

    def open_exchange(self) -> Exchange:
        """Return the exchange for a new request of this client; send the request next."""
        exchange = Exchange(self, self.engine.next_stream_id())
        self.exchanges[exchange.stream_id] = exchange
        return exchange

    def finish(self, exchange: Exchange) -> None:
        """The application is done with an exchange: what is not complete is given up."""
        exchange.finish()
        known = self.exchanges.pop(exchange.stream_id, None) is not None
        if known and exchange.sent_end and exchange.received_end:
            # On HTTP/2 what nobody read would take its share of the connection's window.
            exchange.acknowledge(exchange.unacknowledged)
        elif known and exchange.begun:
            if exchange.switched and not exchange.sent_end:
                self.send(EndOfMessage(exchange.stream_id))  # Behind all that was sent.
                exchange.sent_end = True
            answered = exchange.sent_end and (exchange.switched or self.role is Role.SERVER)
            code = ErrorCode.NO_ERROR if answered else ErrorCode.CANCEL
            self.send(StreamReset(exchange.stream_id, code))

    # -- events -----------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Give an event to whom it concerns (see ``Listener``)."""
        if isinstance(event, Request):
            exchange = self.exchanges[event.stream_id] = Exchange(self, event.stream_id)
            exchange.request = event
            exchange.begun = True
            self.admission.arrived(exchange)
        elif isinstance(event, ConnectionClosed):
            self.ready.set()
            for exchange in self.exchanges.values():
                exchange.deliver(event)
            self.exchanges.clear()
            self.admission.refused()  # Nobody is left to tell.
            self.on_change()
        else:
            self._deliver(event, getattr(event, "stream_id", 0))

    def on_batch_end(self) -> None:
        """Start the tasks of the requests that came (see ``Listener``)."""
        admission = self.admission
        while (exchange := admission.start_next()) is not None:
            self._nursery.start_soon(self._answer, exchange)
        when = admission.next_timeout(self.clock())
        if when is not None:
            self._refusal.arm(when, self._refuse_late)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            if self._on_request is not None and exchange.request is not None:
                await self._on_request(exchange, exchange.request)
        finally:
            self.admission.ended(exchange)
        self.on_batch_end()

    def _refuse_late(self) -> None:
        """Tell the client that requests were not processed, for too many tasks run."""
        for exchange in self.admission.refused(self.clock()):
            del self.exchanges[exchange.stream_id]
            self.send(StreamReset(exchange.stream_id, ErrorCode.REFUSED_STREAM))
        self.on_batch_end()  # Others may wait, for not as long.

    def _deliver(self, event: Event, stream_id: int) -> None:
        exchange = self.exchanges.get(stream_id)
        if exchange is not None:
            exchange.deliver(event)
            if isinstance(event, StreamReset):
                del self.exchanges[stream_id]
                self.admission.withdrawn(exchange)
        elif isinstance(event, Data):
            self.acknowledge(stream_id, event.credit)
        elif not stream_id:
            if isinstance(event, Draining):
                self.goaway_code = event.code
                if why := explain_goaway(event):
                    self.peer += f", GOAWAY: {why}"
            elif (
                isinstance(event, SettingsChanged)
                and SETTINGS_ENABLE_CONNECT_PROTOCOL in event.settings
            ):
                self.extended_connect = event.settings[SETTINGS_ENABLE_CONNECT_PROTOCOL] == 1
            self.ready.set()
            self.on_change()


def _do_nothing() -> None:
    """Nobody listens."""
