"""Engines under a virtual clock: alone (``Endpoint``) or back to back (``Pair``).

Both are driven by the ``Driver`` that drives the adapters' connections.  So a test that
passes here leans on nothing that an adapter does not do.

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
from plait_engine.driver import Driver
from plait_engine.engines import EngineName, create_connection
from plait_engine.events import Data, Event, Sendable

from .fragmenters import Fragmenter, whole
from .recorder import EventRecorder

EngineChoice: TypeAlias = EngineName | Callable[[Role, Config], Connection]
"""The name of an engine, or a class (or function) that makes the connection."""


class Clock:
    """A clock that stands still until it is moved: the driver's ``Scheduler``.  Seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self._alarms: list[_Alarm] = []

    def time(self) -> float:
        """Return the time."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> _Alarm:
        """Call ``callback`` in ``ring`` when it is ``when``."""
        alarm = _Alarm(when, callback)
        self._alarms.append(alarm)
        return alarm

    def call_soon(self, callback: Callable[[], object], /) -> None:
        """Call ``callback`` at once."""
        callback()

    def ring(self) -> None:
        """Make the calls that are due, in order."""
        due = sorted((a for a in self._alarms if a.when <= self.now), key=lambda a: a.when)
        self._alarms = [a for a in self._alarms if a.when > self.now and not a.cancelled]
        for alarm in due:
            if not alarm.cancelled:
                alarm.callback()


@dataclass(slots=True)
class _Alarm:
    """A call at a time of ``Clock``."""

    when: float
    callback: Callable[[], object]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


def counting_random(size: int) -> bytes:
    """Return ``size`` bytes that are the same in every run: for ``Config.random``."""
    return bytes(index & 0xFF for index in range(1, size + 1))


TEST_CONFIG = Config(random=counting_random)
"""The defaults, with repeatable randomness."""


class MemoryTransport:
    """A transport that takes everything and notes what the driver does to it."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.reading = True
        self.closed = CloseAction.NONE

    def write(self, data: bytes, /) -> None:
        self.sent += data

    def write_eof(self) -> None:
        self.closed = max(self.closed, CloseAction.WRITE_EOF)

    def close(self) -> None:
        self.closed = max(self.closed, CloseAction.CLOSE)

    def abort(self) -> None:
        self.closed = CloseAction.ABORT

    def is_closing(self) -> bool:
        return self.closed >= CloseAction.CLOSE

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Endpoint:
    """One connection and its driver, with records of what happened.

    It is the driver's listener.  ``events`` and ``sent`` hold everything so
    far; ``take`` and ``take_sent`` what is new.  Set ``acknowledges`` to false to leave
    ``Data`` unacknowledged, and ``can_write`` to false to act as a transport whose buffer is
    full.
    """

    def __init__(
        self, connection: Connection, clock: Clock | None = None, fragment: Fragmenter = whole
    ) -> None:
        self.connection = connection
        self.clock = clock or Clock()
        self.transport = MemoryTransport()
        self.driver = Driver(connection, self.transport, self, self.clock)
        self.fragment = fragment
        self.acknowledges = True
        self.transport_closed = False
        self.recorder = EventRecorder(connection.role)
        self._sent_taken = 0
        self._waiting: deque[bytes] = deque()
        self._eof_waiting = False
        self._lends = False

    @property
    def can_write(self) -> bool:
        """Whether the transport takes bytes."""
        return self.driver.can_write

    @can_write.setter
    def can_write(self, value: bool) -> None:
        self.driver.can_write = value

    # -- inputs -----------------------------------------------------------------

    def start(self) -> None:
        """Say that the transport is up."""
        self.driver.start()

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
        self.driver.connection_lost(error)

    def handle_timeout(self) -> None:
        """Tell the connection the time."""
        self.driver.handle_timeout()
        self.drain()

    # -- commands -----------------------------------------------------------------

    def send(self, *events: Sendable) -> None:
        """Send ``events`` as one command."""
        self.recorder.note_sent(events)
        self.driver.send(*events)
        self.drain()

    def acknowledge(self, stream_id: int, credit: int) -> None:
        """Acknowledge ``credit`` bytes."""
        self.driver.acknowledge(stream_id, credit)
        self.drain()

    def ping(self, payload: bytes) -> None:
        """Send a PING."""
        self.driver.ping(payload)
        self.drain()

    def close(self, code: int | None = None) -> None:
        """Close the connection, gracefully or with ``code``."""
        self.driver.close(code)
        self.drain()

    def drain(self) -> None:
        """Take what there is to take, and read on while that is wanted."""
        self.driver.drain()
        while self._waiting and self.transport.reading:
            self._deliver(self._waiting.popleft())
        if self._eof_waiting and not self._waiting:
            self._eof_waiting = False
            self.driver.receive_eof()

    def _deliver(self, data: bytes) -> None:
        """Give ``data`` to the connection: now as bytes, now in memory that is lent to it."""
        self._lends = not self._lends
        if not self._lends:
            self.driver.receive_data(data)
            return
        lent = bytearray(data)
        self.driver.receive_data(memoryview(lent))
        lent.clear()  # BufferError: the connection has kept a part of it.

    # -- as the driver's listener -----------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Record ``event``."""
        self.recorder.record(event)
        if isinstance(event, Data) and self.acknowledges:
            self.driver.acknowledge(event.stream_id, event.credit)

    def on_batch_end(self) -> None:
        """All events of an input or command were recorded."""

    # -- what came of it ----------------------------------------------------------------

    @property
    def sent(self) -> bytearray:
        """All bytes that were sent so far."""
        return self.transport.sent

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
        self.clock.ring()

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
        action = source.transport.closed
        if action <= self._closed:
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
