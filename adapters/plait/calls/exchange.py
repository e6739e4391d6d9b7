"""One request of a client and its response.

Strategy
--------
An exchange holds what came of the response until somebody asks.  Nobody reads from the
transport on behalf of a request; the driver's events wake whoever waits.  Where an exchange
is, ``state`` says::

    READY ----> SENT ----> ANSWERED ----> OVER
      |          |            |            ^
      '----------'------------'------------'   cut short, refused, given up

It is over once, by ``_finish``: its lease is given back, its deadline is forgotten, whoever
waits is woken.  There are four ways there: the response is complete; the stream was reset;
a deadline passed; the caller lost interest (``abandon``).

Rules
-----
* Bytes that came are acknowledged when the application takes them, not before.
* A response may be complete before the request is (RFC 9112 section 9.5, RFC 9113 section
  8.1).  The upload is stopped then; on HTTP/1.1 that costs the connection.
* What is left of a response that nobody wants costs the connection on HTTP/1.1, and a
  RST_STREAM on HTTP/2.
* When the server switches protocols (101, RFC 9110 section 7.8), what comes is the other
  protocol's, without deadlines, until the caller gives it up.  Then the connection is closed
  behind all that was written.
"""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict, CIMultiDictProxy

from plait.transport.exchange import Exchange
from plait_engine import (
    Accept,
    ConnectionState,
    Data,
    EndOfMessage,
    Headers,
    InformationalResponse,
    Request,
    Response,
    StreamReset,
)
from plait_engine.errors import ErrorCode
from plait_engine.events import Sendable
from plait_engine.semantics.content import CONTINUE, announced_length

from .errors import error_of_reset

if TYPE_CHECKING:
    from plait.client_reqrep import ClientRequest

    from .body import BodySink
    from .lease import Lease

_OVER: Final = (ConnectionState.CLOSING, ConnectionState.CLOSED)

UNREAD_LIMIT: Final = 131072
"""Bytes that wait to be read, from which on the server may have been stopped (half of the
engine's ``read_high_water``)."""


class ExchangeState(enum.Enum):
    """Where an exchange is; see the module."""

    READY = "nothing was sent"
    SENT = "the request was sent, or its head"
    ANSWERED = "the head of the final response, or the acceptance of a tunnel, came"
    OVER = "its lease is given back"


# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
READY, SENT, ANSWERED, OVER = ExchangeState


class ClientExchange(Exchange):
    """One request and its response.

    ``on_data`` is where the body goes: into ``pieces`` until a ``sink`` takes it.
    """

    __slots__ = (
        "_head_waiter",
        "_is_timed",
        "accepted",
        "asks_tunnel",
        "clock",
        "coding",
        "ended",
        "head",
        "last_activity",
        "lease",
        "pieces",
        "received",
        "request",
        "reset_code",
        "sent",
        "sink",
        "started",
        "state",
        "successor",
        "trailers",
        "unacknowledged",
        "unprocessed",
        "upload",
        "waiter",
    )

    def __init__(self, lease: Lease, request: ClientRequest, stream_id: int) -> None:
        super().__init__(lease.driver, stream_id)
        self.lease: Lease | None = lease
        """The place in the pool, until the exchange is over."""
        self.request = request
        self.state = READY
        self.head: Response | None = None
        self.accepted: Accept | None = None
        """The server accepted a tunnel."""
        self.asks_tunnel = False
        """The request asks for a tunnel."""
        self.coding = ""
        """The Content-Encoding that ``sink`` undoes."""
        self.pieces: list[bytes] = []
        """What came of the body and was not taken, while there is no sink."""
        self.unacknowledged = 0
        """Credit of all that came, wherever it waits to be read: that of ``pieces``, and then what
        the sink holds."""
        self.sent = 0
        """Bytes of the request's content that the connection took."""
        self.received = 0
        """Bytes of the body that came."""
        self.ended = False
        """The response is complete."""
        self.trailers: Headers = ()
        self.sink: BodySink | None = None
        self.successor: Exchange | None = None
        """Has the stream, since it is a tunnel."""
        self.waiter: asyncio.Future[None] | None = None
        """Woken by every piece, the end and a failure, while there is no sink."""
        self.upload: asyncio.Task[None] | None = None
        """Sends the body of the request, when it was not sent at once."""
        self.unprocessed = False
        """The server said that it did not process the request."""
        self.reset_code: int | None = None
        """The code with which the server reset the stream."""
        self.started = False
        """Something of a response came, informational ones included."""
        self.last_activity = 0.0
        clock = self.clock = request.clock
        self._is_timed = clock is not None and bool(clock.timeout.sock_read)
        """Silence of the server has a limit."""
        self._head_waiter: asyncio.Future[None] | None = None

    def begin(self, head: Request, *rest: Sendable, ends: bool = False) -> None:
        """Send the request, or as much of it as ``rest`` has; ``ends``: the head is all of it.

        Raises LocalProtocolError, and others for what is no request; then the exchange is over.
        """
        assert self.state is READY
        self.state = SENT
        self.driver.exchanges[self.stream_id] = self
        try:
            if not ends:
                self.driver.send(head, *rest)
            elif not self.driver.send_request(head):
                self.driver.send(head, EndOfMessage(self.stream_id))
        except BaseException:
            self._finish()
            raise
        if self.clock is not None and self.state is not OVER:
            if self._is_timed:
                self._note_activity()
            self.clock.begin_exchange(self)
            if self.clock.timeout.write:
                self._watch_writing()

    @property
    def done(self) -> bool:
        """True when the exchange is over."""
        return self.state is OVER

    def describe(self) -> str:
        """Say with whom the exchange is, for messages."""
        request = self.request
        server = f"{request.host}:{request.port}"
        return server if self.lease is None else f"{server} ({self.lease.client.describe()})"

    def describe_progress(self) -> str:
        """Say how much of the response came, for messages."""
        head = self.head
        if head is None:
            return "no response came"
        expected = announced_length(head.headers)
        of = "" if expected is None else f" of {expected} expected"
        return f"{self.received}{of} bytes of the response came"

    # -- waiting ------------------------------------------------------------------

    def expect_head(self) -> asyncio.Future[None] | None:
        """Return what is done when ``take_head`` has something; ``None``: it has."""
        if self.head is None and self.accepted is None and self.exception is None:
            self._head_waiter = self.driver.loop.create_future()
            return self._head_waiter
        return None

    def take_head(self) -> Response | Accept:
        """Return the head of the final response, or that the tunnel is accepted.

        Raises ``exception``, and forgets it: nobody else waits for it, and its traceback holds
        the exchange, so that the two would keep each other alive.
        """
        if self.head is not None:
            return self.head
        if self.accepted is not None:
            return self.accepted
        assert self.exception is not None
        error, self.exception = self.exception, None
        try:
            raise error
        finally:
            del error

    async def wait_for_more(self) -> None:
        """Wait for another piece, the end or a failure.  Raises ``exception``."""
        if self.exception is not None:
            raise self.exception
        if self.ended:
            return
        self.waiter = self.driver.loop.create_future()
        try:
            await self.waiter
        finally:
            self.waiter = None
        if self.exception is not None:
            raise self.exception

    def take(self) -> list[bytes]:
        """Return the pieces that came, and acknowledge them."""
        pieces, self.pieces = self.pieces, []
        if self.unacknowledged:
            self.acknowledge(self.unacknowledged)
        return pieces

    def pour_into(self, sink: BodySink) -> None:
        """Put what came of the body, and what will come, into ``sink``."""
        pieces, self.pieces = self.pieces, []
        credit = self.unacknowledged
        for piece in pieces:
            size = min(len(piece), credit)
            credit -= size
            sink.feed_data(piece, size)
        if credit:
            self.acknowledge(credit)
        if self.ended:
            sink.feed_eof()
        elif self.exception is not None:
            sink.set_exception(self.exception)
        else:
            self.sink = sink

    def acknowledge(self, credit: int) -> None:
        if credit > self.unacknowledged:
            credit = self.unacknowledged
        if credit:
            if self._is_timed and self.unacknowledged >= UNREAD_LIMIT:
                self._note_activity()
            self.unacknowledged -= credit
            # On HTTP/1.1 nothing waits for the credit of what is complete.
            if not self.ended or self.driver.shared:
                self.driver.acknowledge(self.stream_id, credit)

    def give_back(self) -> None:
        """Nobody waits for what came and was not read.

        On HTTP/2 it would take its share of the connection's window for ever.
        """
        self.acknowledge(self.unacknowledged)

    # -- the ways to the end --------------------------------------------------------

    def fail(self, error: BaseException) -> None:
        """Give up: whoever waits gets ``error``."""
        if self.exception is None and not (self.ended and self.done):
            self.exception = error
            self.abandon()
            self._tell()

    def abandon(self) -> None:
        """Nothing more of the exchange is wanted, nor what came of it and was not read."""
        if self.state is not OVER:
            if self.has_switched:
                self._end_switched()
            else:
                (self.successor or self).reset(ErrorCode.CANCEL)
            self._finish()
        if self.unacknowledged:
            self.give_back()

    @property
    def has_switched(self) -> bool:
        """The server switched to a protocol that the fields of the request offer."""
        return self.accepted is not None and not self.asks_tunnel

    def _end_switched(self) -> None:
        if self.driver.exchanges.get(self.stream_id) is self:
            stream_id = self.stream_id
            self.send(EndOfMessage(stream_id), StreamReset(stream_id, ErrorCode.NO_ERROR))

    def end_here(self) -> None:
        """Take the response for complete; what comes of it is not wanted."""
        if not self.ended:
            self.ended = True
            self.abandon()
        self.take()

    def let_go(self) -> bool:
        """Nobody holds the response any more; tell whether that cuts it short."""
        cuts = self.state is not OVER
        if cuts or self.unacknowledged:
            self.abandon()
        return cuts

    def hand_over(self, successor: Exchange) -> list[bytes]:
        """Give the stream of an accepted tunnel to ``successor``; return what came of it.

        The bytes of that are acknowledged.  ``successor`` calls ``abandon`` when the
        stream is over; ``ended`` and ``exception`` tell whether that is so already.
        """
        pieces = self.take()
        self.successor = successor
        if self.exception is None:
            self.driver.exchanges[self.stream_id] = successor
        if self.clock is not None:
            self.clock.stop()
        return pieces

    def keeps_server_waiting(self) -> bool:
        """Tell whether it may be this side's turn: the request is not complete, or much of
        the response is to be read.  ``ClientTimeout.sock_read`` does not run then."""
        return (
            self.upload is not None
            or self.unacknowledged >= UNREAD_LIMIT
            or not self.driver.can_write
        )

    async def drain(self) -> None:
        self._watch_writing()
        await super().drain()

    def unsent(self) -> int | None:
        """Return a number that changes when content leaves that waits; ``None``: none waits.

        It waits in the engine for a window of HTTP/2, or in the buffer of the transport, which is
        that of all streams.
        """
        driver = self.driver
        transport = driver.transport
        queued = driver.engine.queued(self.stream_id)
        if transport is None or (driver.can_write and not queued):
            return None
        return queued + transport.get_write_buffer_size()

    def _watch_writing(self) -> None:
        clock = self.clock
        if clock is not None and clock.timeout.write and self.state is not OVER:
            clock.watch_writing(self, self.driver.loop.time())

    def finish_upload(self) -> None:
        """The request is complete."""
        self.upload = None
        self._watch_writing()
        if self._is_timed:
            self._note_activity()
        if self.ended and not self.has_switched:
            self._finish()

    def _finish(self) -> None:
        """The exchange is over, however it ended."""
        if self.state is OVER:
            return
        self.state = OVER
        upload, self.upload = self.upload, None
        if upload is not None:
            upload.cancel()
        if not self.ended:
            self.give_back()
        self.driver.forget(self)
        if self.clock is not None:
            self.clock.end_exchange()
        lease, self.lease = self.lease, None  # No cycle is left behind.
        if lease is not None:
            lease.release()
        if self._waiters is not None:
            self.wake()

    def _tell(self) -> None:
        """Wake whoever waits for the head or the body."""
        wake(self._head_waiter)
        wake(self.waiter)
        sink = self.sink
        if sink is not None and self.exception is not None:
            self.sink = None
            sink.set_exception(self.exception)

    # -- hooks ------------------------------------------------------------------------

    def on_informational(self, event: InformationalResponse) -> None:
        self.started = True
        if self._is_timed:
            self._note_activity()
        tell = self.request.on_informational
        if tell is not None and event.status != CONTINUE:
            try:
                tell(event.status, CIMultiDictProxy(CIMultiDict(event.headers)))
            except Exception as error:
                self.fail(error)

    def on_response(self, event: Response) -> None:
        if self._is_timed:
            self._note_activity()
        self.started = True
        assert self.state is SENT
        self.state = ANSWERED
        self.head = event
        wake(self._head_waiter)

    def on_accept(self, event: Accept) -> None:
        if self._is_timed:
            self._note_activity()
        assert self.state is SENT
        self.state = ANSWERED
        self.accepted = event
        if self.has_switched and self.clock is not None:
            self._is_timed = False
            self.clock.stop()
        wake(self._head_waiter)

    def on_data(self, event: Data) -> None:
        if self._is_timed:
            self._note_activity()
        self.received += len(event.data)
        self.unacknowledged += event.credit
        if self.sink is not None:
            self.sink.feed_data(event.data, event.credit)
            return
        self.pieces.append(event.data)
        if self.waiter is not None:
            wake(self.waiter)

    def on_end(self, event: EndOfMessage) -> None:
        self.ended = True
        self.trailers = event.trailers
        if self.accepted is None:  # Else the other direction of the tunnel goes on.
            if self.upload is not None:
                self.reset(ErrorCode.CANCEL)  # The server does not want the rest.
            self._finish()
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.feed_eof()
        if self.waiter is not None:
            wake(self.waiter)

    def on_reset(self, event: StreamReset) -> None:
        if self.done:
            return
        self.unprocessed = event.retryable
        self.reset_code = event.code
        if self.exception is None:
            head = self.head
            self.exception = error_of_reset(
                event,
                self.driver.lost,
                disconnected=self.driver.engine.state in _OVER,
                received=None if head is None else self.received,
                expected=None if head is None else announced_length(head.headers),
                server=self.describe(),
                request_info=lambda: self.request.request_info,
            )
        self._finish()
        self._tell()

    def _note_activity(self) -> None:
        self.last_activity = self.driver.loop.time()


def wake(waiter: asyncio.Future[None] | None) -> None:
    """Tell whoever waits, if somebody does."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
