"""The contract: how an adapter and a protocol engine talk.

Strategy
--------
A connection is a state machine.  Bytes, commands and the time go in; bytes, events and
the next deadline come out.  It does no I/O, never waits, never reads a clock.  Four
kinds of calls:

==========  =====================================================================
inputs      ``receive_data receive_eof connection_lost handle_timeout``
            They never raise for what the peer did.  The engine answers the peer
            itself and reports an event.  An exception from an input is our bug.
commands    ``send send_response send_request send_data acknowledge reserve``
            ``ping close next_stream_id``
            They raise ``LocalProtocolError`` when the call is not allowed; then
            nothing changed and nothing was queued.
outputs     ``data_to_send next_event next_timeout``
            Drain all three after every input and command.
getters     ``state wants_read wants_close has_output send_capacity ...``
            No side effects.
==========  =====================================================================

The law: *one input or command (or a batch of them at one moment), then drain*: dispatch the
events, write what there is to send, obey ``wants_close`` and ``wants_read``, arm
``next_timeout()``.  A ``driver.Driver`` keeps it.  A spurious ``handle_timeout`` is a no-op.

Backpressure
------------
*Outbound.*  Call ``data_to_send`` only while the transport takes bytes.  What stays in
the engine lowers ``send_capacity``; an application that finds it at zero or below waits
for ``Writable``.  *Inbound.*  ``acknowledge`` the credit of ``Data`` when the application
took it.  Unacknowledged bytes turn ``wants_read`` false on HTTP/1.1 and close the
window on HTTP/2.

Times are seconds of one monotonic clock.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod

from .config import Config
from .errors import LocalProtocolError
from .events import CloseReason, ConnectionClosed, Event, Request, Sendable
from .headers import Headers


class Role(enum.Enum):
    """Which side of the connection this engine is."""

    CLIENT = "client"
    SERVER = "server"


class ConnectionState(enum.Enum):
    """Where a connection is in its life; it only ever moves down this list."""

    OPEN = "open"
    """Takes new streams."""
    DRAINING = "draining"
    """Open streams go on, no new one begins."""
    CLOSING = "closing"
    """No stream goes on; last bytes are sent, late ones discarded."""
    CLOSED = "closed"
    """``ConnectionClosed`` was emitted; inputs are ignored, commands refused."""


class CloseAction(enum.IntEnum):
    """What the adapter does to its transport.  False when there is nothing to do."""

    NONE = 0
    WRITE_EOF = 1
    """Half-close after what is to send; go on reading.  On a transport that cannot be
    half-closed (``Config.half_close``): close it when ``state`` is ``CLOSING``, else go on
    reading (a tunnel of which one side ended, or a peer that is still sending, whose bytes
    would meet the closed transport with a reset and destroy what is on its way)."""
    CLOSE = 2
    """Close once everything is written."""
    ABORT = 3
    """Drop the connection now."""


class Connection(ABC):
    """One HTTP connection, either role, either version.  Subclasses fill in the protocol.

    ``protocol`` is ``"http/1.1"`` or ``"h2"``.  ``wants_read``, ``wants_close`` and
    ``state`` are plain attributes because an adapter looks at them after every input.
    """

    __slots__ = ("_events", "_next_events", "config", "role", "state", "wants_close", "wants_read")

    protocol: str

    def __init__(self, role: Role, config: Config) -> None:
        self.role = role
        self.config = config
        self.state = ConnectionState.OPEN
        self.wants_read = True
        self.wants_close = CloseAction.NONE
        # Two lists, since a deque takes 700 bytes even when the connection is idle.
        self._events: list[Event] = []
        """What came; ``driver`` takes all of it at once, and others by ``next_event``."""
        self._next_events: list[Event] = []
        """Those that come before ``_events``, the first one last."""

    # -- inputs ---------------------------------------------------------------

    @abstractmethod
    def connection_made(self, now: float) -> None:
        """The transport is up.  HTTP/2 queues its preface, timers start.  Call it first."""

    @abstractmethod
    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        """Bytes came from the peer.  After ``CLOSED`` they are ignored.

        ``data`` is the caller's again when this returns.
        """

    @abstractmethod
    def receive_eof(self, now: float) -> None:
        """The peer will send nothing more; it may still read."""

    @abstractmethod
    def connection_lost(self, error: Exception | None, now: float) -> None:
        """The transport is gone.  Open streams end with ``StreamReset``."""

    @abstractmethod
    def handle_timeout(self, now: float) -> None:
        """Time has passed.  A call with nothing due is a no-op."""

    # -- commands -------------------------------------------------------------

    @abstractmethod
    def send(self, *events: Sendable, now: float) -> None:
        """Do what ``events`` say: one or more of one stream, in order, as one command.

        Raises LocalProtocolError when any of them is not allowed; then none is done.
        A complete message in one call is the cheapest: its length is known, and head and
        body leave in one piece.  Framing fields may be left out: a complete message gets
        Content-Length, other messages are chunked on HTTP/1.1.
        After this call, drain the outputs.
        """

    def send_response(
        self, stream_id: int, status: int, headers: Headers, body: bytes, now: float
    ) -> bytes | None:
        """Short path of ``send`` and ``data_to_send``: send a whole response (server).

        It is what these two do::

            send(Response(stream_id, status, headers), Data(stream_id, body),
                 EndOfMessage(stream_id), now=now)
            return data_to_send()

        The bytes are not queued: write them at once, before any other output.  HTTP/2 leaves
        out the second part, so that ``data_to_send`` can return the answers of many streams
        together, and returns ``b""``.  ``None``: nothing was done, and ``send`` is the way.  An
        engine says so for what is not as simple as most responses (it has none, a body is large,
        other bytes are queued), and may always say so.

        Raises LocalProtocolError where ``send`` does.  After this call, drain the outputs.
        """
        return None

    def send_request(self, request: Request, now: float) -> bytes | None:
        """Short path of ``send`` and ``data_to_send``: send a whole request without content (client).

        It is what these two do::

            send(request, EndOfMessage(request.stream_id), now=now)
            return data_to_send()

        The bytes are not queued: write them at once, before any other output.  There is nothing
        else to drain.  HTTP/2 leaves out the second part, so that ``data_to_send`` can return the
        requests of many streams together, and returns ``b""``.  ``None``: nothing was done, and ``send`` is the way.  An engine says so for
        what is not as simple as most requests, and may always say so.

        Raises LocalProtocolError where ``send`` does.
        """
        return None

    def send_data(self, stream_id: int, data: bytes, now: float) -> bytes | None:
        """Short path of ``send`` and ``data_to_send``: send a piece of content.

        It is what these two do::

            send(Data(stream_id, data), now=now)
            return data_to_send()

        but for ``Writable``, which is not emitted, and the write timer, which is not set: the
        queue was empty and still is.  The bytes
        are not queued: write them at once, before any other output.  ``None``: nothing was done,
        and ``send`` is the way.  An engine says so for what is not as simple as most content (it
        breaks its Content-Length, a chunk is large, other bytes are queued), and may always say
        so.
        """
        return None

    @abstractmethod
    def acknowledge(self, stream_id: int, credit: int, now: float) -> None:
        """The application took ``credit`` bytes of ``Data``.

        A stream may have ended meanwhile: what was received on it can still be taken.  One
        that was reset, by either side, or whose rest is not wanted, needs no acknowledgement:
        the engine has given everything back by itself, and this call does nothing.
        After this call, drain the outputs.
        """

    def reserve(self, stream_id: int, size: int, now: float) -> None:
        """Count ``size`` bytes of body as sent; the adapter writes them itself.

        For the kernel's sendfile on HTTP/1.1, with a body of known length.  Drain
        ``data_to_send`` first, then write exactly ``size`` bytes before any other
        output.  Raises LocalProtocolError where the protocol cannot do that.
        """
        raise LocalProtocolError(f"{self.protocol} cannot reserve body bytes")

    def ping(self, payload: bytes, now: float) -> None:
        """Send a PING of 8 bytes; the answer comes as ``PingAcknowledged`` (HTTP/2).

        Raises LocalProtocolError on HTTP/1.1, which has no such thing.
        """
        raise LocalProtocolError(f"{self.protocol} has no PING")

    @abstractmethod
    def close(self, code: int | None = None, *, now: float) -> None:
        """End the connection.

        ``None``: gracefully.  Open exchanges finish, no new one begins (HTTP/1.1:
        ``Connection: close`` on what is in flight; HTTP/2: GOAWAY in two phases, RFC 9113
        section 6.8), then ``wants_close``.  A code: at once, open streams are reset
        (HTTP/2: GOAWAY with that code).  Idempotent.  After this call, drain the outputs.
        """

    @abstractmethod
    def next_stream_id(self) -> int:
        """Return the id for the next request that this client sends.

        No side effects: the id is taken when the ``Request`` is sent.  Raises
        LocalProtocolError when no stream can be opened now (see ``available_streams``)
        or on a server.
        """

    # -- outputs --------------------------------------------------------------

    @abstractmethod
    def data_to_send(self) -> bytes:
        """Return the next bytes for the transport; ``b""`` when there are none.

        One call returns about ``Limits.write_quantum`` at most (or one large body piece
        whole, uncopied); call again until it returns ``b""`` or the transport is full.
        """

    def next_event(self) -> Event | None:
        """Return the next event, or ``None``."""
        following = self._next_events
        if following:
            return following.pop()
        events = self._events
        if len(events) < 2:
            return events.pop() if events else None
        following += reversed(events)
        events.clear()
        return following.pop()

    @abstractmethod
    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` is wanted next, or ``None``."""

    # -- getters --------------------------------------------------------------

    @property
    def has_output(self) -> bool:
        """False when ``data_to_send`` would return ``b""``; an engine may always say true."""
        return True

    @abstractmethod
    def send_capacity(self, stream_id: int) -> int:
        """Return how many body bytes the stream takes before it is full.

        Zero or below: wait for ``Writable``.  Sending more than that is allowed and only
        costs memory.  A stream that has ended returns zero.
        """

    @abstractmethod
    def queued(self, stream_id: int) -> int:
        """Return how many body bytes of the stream wait in the engine.

        They wait for the peer's window, for 100 Continue, or to be taken by ``data_to_send``.
        """

    @property
    @abstractmethod
    def available_streams(self) -> int:
        """How many more requests this client may send now.

        HTTP/1.1: 1 when the connection is idle and kept alive, else 0.  HTTP/2: what the
        peer's SETTINGS_MAX_CONCURRENT_STREAMS leaves.  0 on a server.
        """

    @property
    @abstractmethod
    def open_streams(self) -> int:
        """How many exchanges are not finished yet."""

    # -- shared by the subclasses ----------------------------------------------

    def _emit_closed(self, reason: CloseReason, error: Exception | None = None) -> None:
        """Emit the last event, exactly once."""
        if self.state is not ConnectionState.CLOSED:  # pragma: no branch: callers ask, too
            self.state = ConnectionState.CLOSED
            self.wants_read = False
            self._events.append(ConnectionClosed(reason, error))
