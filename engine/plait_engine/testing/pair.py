"""Engines under a virtual clock: alone (``Endpoint``) or back to back (``Pair``).

Both follow the law for adapters to the letter: one input or command, then drain the
outputs, obey ``wants_read`` and ``wants_close``.  So a test that passes here leans on
nothing that an adapter does not do.

Time is a number in ``Clock``.  It moves only when a test says so: ``Pair.advance``,
``Pair.advance_to_next_timeout``, and over the latency of the link in ``Pair.run``.

Example::

    pair = Pair("h2")
    pair.client.send(Request(1, "GET", "http", "example.org", "/", ()), EndOfMessage(1))
    pair.run()
    assert isinstance(pair.server.take()[-1], EndOfMessage)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from plait_engine.config import Config
from plait_engine.connection import CloseAction, Connection, ConnectionState, Role
from plait_engine.engines import EngineName, create_connection
from plait_engine.events import Data, Event, Sendable

from .fragmenters import Fragmenter, whole
from .recorder import EventRecorder

EngineChoice: TypeAlias = EngineName | Callable[[Role, Config], Connection]
"""The name of an engine, or a class (or function) that makes the connection."""


@dataclass(slots=True)
class Clock:
    """A clock that stands still until it is moved.  Seconds."""

    now: float = 1000.0


def counting_random(size: int) -> bytes:
    """Return ``size`` bytes that are the same in every run: for ``Config.random``."""
    return bytes(index & 0xFF for index in range(1, size + 1))


TEST_CONFIG = Config(random=counting_random)
"""The defaults, with repeatable randomness."""


class Endpoint:
    """One connection, driven as an adapter drives it, with records of what happened.

    ``events`` and ``sent`` hold everything so far; ``take`` and ``take_sent`` what is new.
    Set ``acknowledges`` to false to leave ``Data`` unacknowledged, and ``can_write`` to
    false to act as a transport whose buffer is full.
    """

    def __init__(
        self, connection: Connection, clock: Clock | None = None, fragment: Fragmenter = whole
    ) -> None:
        self.connection = connection
        self.clock = clock or Clock()
        self.fragment = fragment
        self.acknowledges = True
        self.can_write = True
        self.transport_closed = False
        self.recorder = EventRecorder(connection.role)
        self.sent = bytearray()
        self._sent_taken = 0
        self._waiting: deque[bytes] = deque()
        self._eof_waiting = False

    # -- inputs -----------------------------------------------------------------

    def start(self) -> None:
        """Say that the transport is up."""
        self.connection.connection_made(self.clock.now)
        self.drain()

    def receive(self, data: bytes) -> None:
        """Give ``bytes`` of the peer to the connection, cut by ``fragment``.

        While the connection does not want to read, they wait, as in a socket's buffer.
        """
        self._waiting.extend(bytes(piece) for piece in self.fragment(data))
        self.drain()

    def receive_eof(self) -> None:
        """Say that the peer sends no more; it waits behind bytes that wait."""
        self._eof_waiting = True
        self.drain()

    def lose(self, error: Exception | None = None) -> None:
        """Say that the transport is gone."""
        self._waiting.clear()
        self._eof_waiting = False
        self.connection.connection_lost(error, self.clock.now)
        self.drain()

    def handle_timeout(self) -> None:
        """Tell the connection the time."""
        self.connection.handle_timeout(self.clock.now)
        self.drain()

    # -- commands -----------------------------------------------------------------

    def send(self, *events: Sendable) -> None:
        """Send ``events`` as one command."""
        self.connection.send(*events, now=self.clock.now)
        self.drain()

    def acknowledge(self, stream_id: int, credit: int) -> None:
        """Acknowledge ``credit`` bytes."""
        self.connection.acknowledge(stream_id, credit, self.clock.now)
        self.drain()

    def ping(self, payload: bytes) -> None:
        """Send a PING."""
        self.connection.ping(payload, self.clock.now)
        self.drain()

    def close(self, code: int | None = None) -> None:
        """Close the connection, gracefully or with ``code``."""
        self.connection.close(code, now=self.clock.now)
        self.drain()

    # -- outputs --------------------------------------------------------------------

    def drain(self) -> None:
        """Take what there is to send and the events, and read on while that is wanted."""
        self._take_outputs()
        connection = self.connection
        while self._waiting and connection.wants_read:
            connection.receive_data(self._waiting.popleft(), self.clock.now)
            self._take_outputs()
        if self._eof_waiting and not self._waiting:
            self._eof_waiting = False
            connection.receive_eof(self.clock.now)
            self._take_outputs()

    def _take_outputs(self) -> None:
        connection = self.connection
        busy = True
        while busy:
            busy = False
            while self.can_write and (data := connection.data_to_send()):
                self.sent += data
                busy = True
            while (event := connection.next_event()) is not None:
                self.recorder.record(event)
                busy = True
                if isinstance(event, Data) and self.acknowledges:
                    connection.acknowledge(event.stream_id, event.credit, self.clock.now)

    @property
    def events(self) -> list[Event]:
        """All events so far."""
        return self.recorder.events

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        return self.recorder.take()

    def take_sent(self) -> bytes:
        """Return the bytes sent since the last call."""
        new = bytes(self.sent[self._sent_taken :])
        self._sent_taken = len(self.sent)
        return new

    @property
    def is_closed(self) -> bool:
        """Whether ``ConnectionClosed`` was emitted."""
        return self.connection.state is ConnectionState.CLOSED


@dataclass(slots=True)
class _Arrival:
    """Something on the link: bytes, the end of them, or the loss of the transport."""

    time: float
    data: bytes = b""
    error: Exception | None = None
    ends: bool = False


class Pair:
    """A client and a server back to back.

    ``protocol``: ``"http/1.1"`` or ``"h2"``.  ``client`` and ``server``: the engine of each
    side.  ``latency``: seconds that bytes take in each direction.  ``fragment``: how they
    are cut on the way.
    """

    def __init__(
        self,
        protocol: str = "http/1.1",
        *,
        client: EngineChoice = "native",
        server: EngineChoice = "native",
        client_config: Config = TEST_CONFIG,
        server_config: Config = TEST_CONFIG,
        latency: float = 0.0,
        fragment: Fragmenter = whole,
    ) -> None:
        self.clock = Clock()
        self.latency = latency
        self.client = Endpoint(
            _connect(Role.CLIENT, protocol, client, client_config), self.clock, fragment
        )
        self.server = Endpoint(
            _connect(Role.SERVER, protocol, server, server_config), self.clock, fragment
        )
        self._links = (_Link(self.client, self.server), _Link(self.server, self.client))
        self.client.start()
        self.server.start()

    @property
    def now(self) -> float:
        """The time on the virtual clock."""
        return self.clock.now

    def run(self) -> None:
        """Deliver bytes until none is under way; moves the clock over the latency only."""
        while (arrival := self._next_arrival()) is not None:
            self._move_to(arrival)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass: what is due in them arrives or times out, in order."""
        end = self.clock.now + seconds
        while (due := self._next_due()) is not None and due <= end:
            self._move_to(due)
        self._move_to(end)

    def advance_to_next_timeout(self) -> bool:
        """Go to the next deadline of either side; false when there is none."""
        self.run()
        deadlines = [
            deadline
            for endpoint in (self.client, self.server)
            if (deadline := endpoint.connection.next_timeout()) is not None
        ]
        if not deadlines:
            return False
        self._move_to(min(deadlines))
        self.run()
        return True

    def cut(self, error: Exception | None = None) -> None:
        """Break the link: both transports are lost, what is under way is lost with them."""
        for link in self._links:
            link.arrivals.clear()
        self.client.lose(error)
        self.server.lose(error)

    def _move_to(self, time: float) -> None:
        """Set the clock to ``time``, deliver what arrives by then, fire what is due."""
        self.clock.now = max(self.clock.now, time)
        for link in self._links:
            link.deliver(self.clock.now)
        for endpoint in (self.client, self.server):
            deadline = endpoint.connection.next_timeout()
            if deadline is not None and deadline <= self.clock.now:
                endpoint.handle_timeout()

    def _next_arrival(self) -> float | None:
        for link in self._links:
            link.collect(self.clock.now + self.latency)
        times = [link.arrivals[0].time for link in self._links if link.arrivals]
        return min(times, default=None)

    def _next_due(self) -> float | None:
        times = [endpoint.connection.next_timeout() for endpoint in (self.client, self.server)]
        return min(
            (time for time in [self._next_arrival(), *times] if time is not None), default=None
        )


class _Link:
    """One direction: from what ``source`` sends to what ``target`` receives."""

    def __init__(self, source: Endpoint, target: Endpoint) -> None:
        self.source = source
        self.target = target
        self.arrivals: deque[_Arrival] = deque()
        self._closed = CloseAction.NONE

    def collect(self, arrival_time: float) -> None:
        """Put what the source sent on the way, and what it wants of its transport."""
        source = self.source
        if self._closed >= CloseAction.CLOSE:
            return
        source.drain()
        data = source.take_sent()
        if data:
            self.arrivals.append(_Arrival(arrival_time, data))
        action = source.connection.wants_close
        if action <= self._closed or not source.can_write:
            return
        if action is CloseAction.ABORT:
            self.arrivals.clear()
            error = ConnectionResetError("the peer dropped the connection")
            self.arrivals.append(_Arrival(arrival_time, error=error))
        elif self._closed is CloseAction.NONE:
            self.arrivals.append(_Arrival(arrival_time, ends=True))
        self._closed = action
        if action >= CloseAction.CLOSE:
            source.transport_closed = True
            source.lose()

    def deliver(self, now: float) -> None:
        """Give the target what has arrived by ``now``."""
        while self.arrivals and self.arrivals[0].time <= now:
            arrival = self.arrivals.popleft()
            if arrival.data and self.target.transport_closed:
                # The system answers who writes to a closed socket.
                self.source.lose(ConnectionResetError("the peer closed its transport"))
            elif arrival.data:
                self.target.receive(arrival.data)
            elif arrival.ends:
                self.target.receive_eof()
            else:
                self.target.lose(arrival.error)


def _connect(role: Role, protocol: str, engine: EngineChoice, config: Config) -> Connection:
    if isinstance(engine, str):
        return create_connection(role, protocol, config, engine=engine)
    return engine(role, config)
