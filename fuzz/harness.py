"""What the targets share: a transport for one engine, and the invariants of every input.

``Wire`` stands under and over a driver like an adapter's (``plait_engine.driver``), and checks
what always holds; ``Transport`` carries given bytes over it, ``fuzz.operations.Machine`` makes
calls on it.

* no input raises, and no command raises anything but LocalProtocolError;
* events come in the order that ``plait_engine.events`` promises, ``ConnectionClosed`` last
  and once;
* when the transport has ended, so has the connection; timeouts come to an end;
* what comes out is bounded by what went in.

``check_split_invariance`` runs a wire whole and in pieces: both must report the same events
(adjacent ``Data`` joined) and send the same bytes.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from plait_engine.config import Config
from plait_engine.connection import CloseAction, Connection, ConnectionState
from plait_engine.driver import Driver
from plait_engine.errors import LocalProtocolError, RemoteProtocolError
from plait_engine.events import (
    ConnectionClosed,
    Data,
    Event,
    PriorKnowledge,
    Request,
    Sendable,
    StreamsAvailable,
)
from plait_engine.testing import Clock, OrderChecker, coalesce, counting_random

START = 1000.0
MAX_TIMEOUTS = 100
"""More deadlines in a row, with nothing else happening, count as an endless loop."""
OUTPUT_BASE = 262144
"""Bytes sent in any case: what the application of a target has to say."""
OUTPUT_RATIO = 64
"""Bytes sent for each received: the least request, in HTTP/2, gets a response and a reset."""


class InvariantError(AssertionError):
    """The engine broke a promise."""


def check(holds: bool, promise: str, *details: object) -> None:
    """Raise InvariantError with the broken ``promise`` unless it ``holds``."""
    if not holds:
        raise InvariantError("\n".join([promise, *map(str, details)]))


class Wire:
    """The transport and the listener of ``connection``'s driver; neither does anything.

    It checks the order of events, that timeouts come to an end, and what is left at the end.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.clock = Clock(START)
        self._order = OrderChecker(connection.role)
        self._last_event: Event | None = None
        self._driver = Driver(connection, self, self, self.clock)

    @property
    def now(self) -> float:
        """The time."""
        return self.clock.now

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        return self.connection.state is ConnectionState.CLOSED

    # -- as the driver's listener -----------------------------------------------------

    def on_event(self, event: Event) -> None:
        self._order.check(event)
        self._last_event = event

    def on_batch_end(self) -> None:
        pass

    # -- as the driver's transport ----------------------------------------------------

    def write(self, data: bytes, /) -> None:
        pass

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    # -- time and the end -------------------------------------------------------------

    def expire(self) -> None:
        """Go to the next deadline, if there is one, and handle it."""
        deadline = self.connection.next_timeout()
        if deadline is None:
            return
        self.clock.now = max(self.now, deadline)
        self._driver.handle_timeout()
        following = self.connection.next_timeout()
        check(
            following is None or following > self.now,
            "a deadline that was handled is over",
            following,
            self.now,
        )

    def _run_timers(self) -> None:
        for _ in range(MAX_TIMEOUTS):
            if self.connection.next_timeout() is None:
                return
            self.expire()
        raise InvariantError("timeouts come to an end")

    def _end(self) -> None:
        """Lose the transport, and look at what is left."""
        self._driver.connection_lost(None)
        last = self._last_event
        check(
            self.is_closed and isinstance(last, ConnectionClosed | PriorKnowledge),
            "ConnectionClosed is the last event of a lost connection",
            last,
        )
        if isinstance(last, ConnectionClosed):
            check(not self.connection.wants_read, "a closed connection reads nothing")
        # Inputs of an adapter that is a little late.
        self.connection.receive_data(b"late", self.now)
        self.connection.receive_eof(self.now)
        self.connection.handle_timeout(self.now + 1e6)
        self.connection.connection_lost(OSError("late"), self.now)
        check(self.connection.next_event() is None, "nothing comes after the last event")
        check(self.connection.next_timeout() is None, "a closed connection has no deadline")


class App:
    """The application on top of a connection; a target overrides what it needs.

    It acts on events alone, never on how they were spread over reads, because the
    invariants compare runs that differ in just that.
    """

    def start(self, transport: Transport) -> None:
        """The transport is up."""

    def handle(self, transport: Transport, event: Event) -> None:
        """``event`` came."""

    def finish(self, transport: Transport) -> None:
        """All bytes were received."""


class Transport(Wire):
    """Carries what ``connection`` says and hears; keeps the events and what was sent.

    ``holds_output``: like a peer that reads nothing until it has sent everything.
    """

    def __init__(self, connection: Connection, app: App, *, holds_output: bool = False) -> None:
        super().__init__(connection)
        self.events: list[Event] = []
        self.output = bytearray()
        self._app = app
        self._waiting: deque[bytes] = deque()
        self._received = 0
        self._driver.can_write = not holds_output
        self._driver.start()
        app.start(self)
        self._driver.drain()

    def send(self, *events: Sendable) -> bool:
        """Send as one command; return whether that was allowed."""
        self._order.note_sent(events)
        try:
            self._driver.send(*events)
        except LocalProtocolError:
            return False
        return True

    def acknowledge(self, event: Data) -> None:
        """Give back the credit of ``event``."""
        self._driver.acknowledge(event.stream_id, event.credit)

    def receive(self, pieces: Iterable[bytes]) -> None:
        """Give the connection what it wants to read of ``pieces``; the rest waits."""
        self._waiting.extend(pieces)
        while self._waiting and self.connection.wants_read and not self._has_ended():
            piece = self._waiting.popleft()
            self._received += len(piece)
            self._driver.receive_data(piece)

    def on_event(self, event: Event) -> None:
        super().on_event(event)
        self.events.append(event)
        self._app.handle(self, event)

    def write(self, data: bytes, /) -> None:
        self.output += data
        limit = OUTPUT_BASE + OUTPUT_RATIO * self._received
        check(len(self.output) <= limit, "output is bounded by input", len(self.output), limit)

    def _has_ended(self) -> bool:
        return self.is_closed or self.connection.wants_close >= CloseAction.CLOSE

    def finish(self) -> None:
        """End the wire: end of file, every timeout, the loss of the transport."""
        self._app.finish(self)
        self._driver.can_write = True
        self._driver.drain()
        self.receive(())  # what waited for the application
        if not self._has_ended():
            self._driver.receive_eof()
        self._run_timers()
        self._end()


def check_split_invariance(
    make_connection: Callable[[], Connection],
    make_app: Callable[[], App],
    wire: bytes,
    pieces: list[bytes],
    *,
    holds_output: bool = False,
) -> None:
    """Run ``wire`` whole and as ``pieces``, and compare what came of it."""
    whole, cut = (
        _run(make_connection(), make_app(), way, holds_output) for way in ([wire], pieces)
    )
    for ours, theirs in zip(whole[0], cut[0], strict=False):
        check(ours == theirs, "events do not depend on the cuts", ours, theirs)
    check(len(whole[0]) == len(cut[0]), "as many events at any cuts", whole[0], cut[0])
    check(whole[1] == cut[1], "the output does not depend on the cuts", whole[1], cut[1])


def _run(
    connection: Connection, app: App, pieces: list[bytes], holds_output: bool
) -> tuple[list[object], bytes]:
    transport = Transport(connection, app, holds_output=holds_output)
    transport.receive(pieces)
    transport.finish()
    # Between two pieces a request may begin that could not in the middle of one.
    lasting = (event for event in transport.events if not isinstance(event, StreamsAvailable))
    return [comparable(event) for event in coalesce(lasting)], bytes(transport.output)


def comparable(value: Any) -> object:  # Any: a field of any event
    """Return an event as a value that equals that of another run."""
    if isinstance(value, RemoteProtocolError):
        # Not its message: of several faults in a head, the one that is seen first is named.
        return type(value).__name__, value.code, value.status_hint, value.scope
    if isinstance(value, Exception):
        return type(value).__name__, str(value)
    if isinstance(value, PriorKnowledge):
        return type(value).__name__  # what it brings is what was received until then
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return type(value).__name__, *(comparable(getattr(value, field.name)) for field in fields)
    return value


def wants_tunnel(request: Request) -> bool:
    """Whether a request asks for a tunnel (see ``plait_engine.events``)."""
    return request.method == "CONNECT" or request.protocol is not None


def config(**changes: Any) -> Config:  # Any: the fields of Config
    """Return a config with repeatable randomness."""
    return Config(random=counting_random, **changes)
