"""Random calls of the contract, in any order: what a careless adapter could do.

``Machine`` makes one call after the other on one connection and checks, besides what
``fuzz.harness.Transport`` checks:

* inputs never raise; commands raise LocalProtocolError and nothing else;
* a command that was refused changed nothing: no output, no event, the getters say the same;
* a timeout with nothing due is a no-op; one that was handled is over; all come to an end;
* the state moves one way; after CLOSED every input is ignored and ``send`` refused;
* a stream that the application gave up is silent;
* the order of events holds, ``ConnectionClosed`` comes once and last.
"""

from __future__ import annotations

from collections.abc import Callable

from fuzz.choices import Choices
from fuzz.harness import MAX_TIMEOUTS, START, InvariantError, check
from plait_engine.connection import CloseAction, Connection, ConnectionState, Role
from plait_engine.driver import Driver
from plait_engine.errors import LocalProtocolError
from plait_engine.events import (
    Accept,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    PriorKnowledge,
    Request,
    Response,
    Sendable,
    StreamReset,
)
from plait_engine.headers import Headers
from plait_engine.testing import Clock, OrderChecker

MAX_STEPS = 200
STATES = list(ConnectionState)

STREAM_IDS = (1, 1, 3, 3, 5, 7, 2, 0, 2**31 - 1)
METHODS = ("GET", "HEAD", "POST", "CONNECT", "OPTIONS", "get", "", "A B", "G\r\nET", "\u212a")
TARGETS = ("/", "/a?b", "*", "a:1", "http://a/", "", "a b", "/\r\n", "/\u00e9", "/\ud800")
AUTHORITIES = ("a", "a:80", "[::1]", "", "u@a", "a b", "a\n")
SCHEMES = ("http", "https", "", "h ttp")
PROTOCOLS = (None, None, "websocket", "h2c", "", "a b")
STATUSES = (200, 200, 204, 304, 404, 500, 100, 103, 101, 199, 99, 0, 999, 1000, -1)
REASONS = (None, "OK", "", "a b", "a\r\nb", "\u00e9", "\ud800")
HEADERS: tuple[Headers, ...] = (
    (),
    (("content-length", "5"),),
    (("Content-Length", "0"),),
    (("content-length", "5"), ("content-length", "6")),
    (("content-length", "-1"),),
    (("transfer-encoding", "chunked"),),
    (("transfer-encoding", "gzip"),),
    (("content-length", "5"), ("transfer-encoding", "chunked")),
    (("connection", "close"),),
    (("connection", "upgrade"), ("upgrade", "websocket")),
    (("expect", "100-continue"),),
    (("host", "a"), ("cookie", "a=1"), ("Cookie", "b=2")),
    (("priority", "u=0, i"), ("te", "trailers"), ("trailer", "x")),
    (("x", "a\r\nb: c"),),
    (("x y", "a"),),
    (("", ""),),
    ((":path", "/"),),
    (("x", "\u00e9\udcff\ud800"),),
    (("x", "y" * 3000),),
    (("authorization", "secret"), ("set-cookie", "a=1")),
)
BODIES = (b"", b"hello", b"x" * 1000, b"x" * 70_000)
CODES = (*range(0xE), 0x99)

WireStep = Callable[[Choices], bytes]


class Machine:
    """Makes the calls that ``choices`` says on ``connection``; ``wire`` makes its input."""

    def __init__(self, connection: Connection, choices: Choices, wire: WireStep) -> None:
        self.connection = connection
        self.choices = choices
        self._wire = wire
        self._clock = Clock(START)
        self._driver = Driver(connection, self, self, self._clock)
        self._order = OrderChecker(connection.role)
        self._state = connection.state
        self._last_event: Event | None = None
        self._unacknowledged: list[Data] = []
        self._given_up: set[int] = set()
        self._driver.start()
        self.drain()

    @property
    def _now(self) -> float:
        return self._clock.now

    def run(self) -> None:
        """Make the calls, then end the connection."""
        for _ in range(MAX_STEPS):
            if self.choices.exhausted:
                break
            self.choices.pick(OPERATIONS)(self)
            self.drain()
        self._finish()

    # -- inputs -------------------------------------------------------------------

    def receive_data(self) -> None:
        self.receive(self._wire(self.choices))

    def receive(self, data: bytes) -> None:
        self.connection.receive_data(data, self._now)

    def receive_eof(self) -> None:
        self.connection.receive_eof(self._now)

    def lose(self) -> None:
        error = self.choices.pick((None, ConnectionResetError("reset")))
        self.connection.connection_lost(error, self._now)

    def obey_wants_close(self) -> None:
        if self.connection.wants_close >= CloseAction.CLOSE:
            self.connection.connection_lost(None, self._now)

    def wait(self) -> None:
        """Let time pass, at most to the next deadline, and tell the connection."""
        deadline = self.connection.next_timeout()
        self._clock.now += self.choices.byte() / 16
        if deadline is not None and self._now >= deadline:
            self._clock.now = max(self._now, deadline)
            self._handle_timeout()
            return
        self.drain()
        before = self._look()
        self.connection.handle_timeout(self._now)
        self._check_unchanged(before, "a timeout with nothing due is a no-op")

    def expire(self) -> None:
        """Go to the next deadline."""
        deadline = self.connection.next_timeout()
        if deadline is not None:
            self._clock.now = max(self._now, deadline)
            self._handle_timeout()

    def _handle_timeout(self) -> None:
        self.connection.handle_timeout(self._now)
        self.drain()
        following = self.connection.next_timeout()
        check(
            following is None or following > self._now,
            "a deadline that was handled is over",
            following,
            self._now,
        )

    # -- commands -----------------------------------------------------------------

    def send(self) -> None:
        stream_id = self._stream_id()
        events = [self.make_event(stream_id) for _ in range(1 + self.choices.byte() % 4)]
        self.command_send(*events)

    def command_send(self, *events: Sendable) -> bool:
        """Send as one command; return whether that was allowed."""
        allowed = self._command(lambda: self.connection.send(*events, now=self._now), events)
        if allowed:
            self.drain()
            self._given_up |= {e.stream_id for e in events if isinstance(e, StreamReset)}
        return allowed

    def send_message(self) -> None:
        """Send what is right, so that the rare step is not always lost on a refusal."""
        stream_id = self._stream_id()
        head = (
            Request(stream_id, "POST", "http", "a", "/", ())
            if self.connection.role is Role.CLIENT
            else Response(stream_id, 200)
        )
        events = (head, Data(stream_id, self.choices.pick(BODIES)), EndOfMessage(stream_id))
        self.command_send(*events[: 1 + self.choices.byte() % 3])

    def acknowledge(self) -> None:
        if self._unacknowledged:
            data = self._unacknowledged.pop()
            stream_id, credit = data.stream_id, data.credit
        else:
            stream_id, credit = self._stream_id(), 0
        self._command(
            lambda: self.connection.acknowledge(stream_id, credit, self._now), stream_id, credit
        )

    def end(self) -> None:
        code = self.choices.pick((None, None, *CODES))
        self._command(lambda: self.connection.close(code, now=self._now), code)

    def ping(self) -> None:
        payload = self.choices.pick((b"12345678", b"", b"123456789"))
        self._command(lambda: self.connection.ping(payload, self._now), payload)

    def reserve(self) -> None:
        stream_id, size = self._stream_id(), self.choices.pick((0, 1, 5, 100))
        self._command(lambda: self.connection.reserve(stream_id, size, self._now), stream_id, size)

    def _command(self, command: Callable[[], object], *details: object) -> bool:
        """Make a call and return true; or it is refused, and nothing must have changed."""
        self.drain()
        before = self._look()
        was_closed = self.connection.state is ConnectionState.CLOSED
        try:
            command()
        except LocalProtocolError:
            self._check_unchanged(before, "a refused command changes nothing", *details)
            return False
        if was_closed:
            self._check_unchanged(before, "after CLOSED a command does nothing", *details)
        return True

    # -- outputs ------------------------------------------------------------------

    def block(self) -> None:
        """The transport takes nothing from here on, or takes bytes again."""
        self._driver.can_write = not self._driver.can_write

    def drain(self) -> None:
        """Let the driver drain, as after each call."""
        connection = self.connection
        self._driver.drain()
        check(
            STATES.index(connection.state) >= STATES.index(self._state),
            "the state moves one way",
            self._state,
            connection.state,
        )
        self._state = connection.state

    # -- as the driver's listener -----------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Note what an event asks of the application."""
        self._order.check(event)
        self._last_event = event
        stream_id = getattr(event, "stream_id", None)
        check(stream_id not in self._given_up, "a stream that was given up is silent", event)
        if isinstance(event, Data):
            self._unacknowledged.append(event)

    def on_batch_end(self) -> None:
        pass

    # -- as the driver's transport, which does nothing by itself ------------------------

    def write(self, data: bytes, /) -> None:
        pass

    def write_eof(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    # -- what does not change -----------------------------------------------------------

    def _look(self) -> tuple[object, ...]:
        """Return what the getters say."""
        connection = self.connection
        return (
            connection.state,
            connection.wants_read,
            connection.wants_close,
            connection.open_streams,
            connection.available_streams,
            connection.next_timeout(),
            tuple(connection.send_capacity(stream_id) for stream_id in (0, 1, 2, 3, 5)),
        )

    def _check_unchanged(self, before: tuple[object, ...], promise: str, *details: object) -> None:
        event = self.connection.next_event()
        check(event is None, promise, event, *details)
        if self._driver.can_write:
            data = self.connection.data_to_send()
            check(not data, promise, data, *details)
        after = self._look()
        check(before == after, promise, before, after, *details)

    # -- arguments ----------------------------------------------------------------

    def _stream_id(self) -> int:
        try:
            return self.choices.pick((*STREAM_IDS, self.connection.next_stream_id()))
        except LocalProtocolError:
            return self.choices.pick(STREAM_IDS)

    def make_event(self, stream_id: int) -> Sendable:
        """Return an event to send, right or wrong."""
        pick = self.choices.pick
        kind = self.choices.byte() % 8
        if kind == 0:
            return Request(
                stream_id,
                pick(METHODS),
                pick(SCHEMES),
                pick(AUTHORITIES),
                pick(TARGETS),
                pick(HEADERS),
                pick(PROTOCOLS),
            )
        if kind == 1:
            return Response(stream_id, pick(STATUSES), pick(HEADERS), pick(REASONS))
        if kind == 2:
            return InformationalResponse(stream_id, pick(STATUSES), pick(HEADERS))
        if kind == 3:
            return Accept(stream_id, pick(HEADERS))
        if kind == 4:
            return StreamReset(stream_id, pick(CODES))
        if kind == 5:
            return EndOfMessage(stream_id, pick(HEADERS))
        return Data(stream_id, pick(BODIES))

    # -- the end ------------------------------------------------------------------

    def _finish(self) -> None:
        self._driver.can_write = not self.choices.byte() & 1
        self.drain()
        while self._unacknowledged:  # waiting for the application, a connection waits for ever
            self.acknowledge()
            self.drain()
        for _ in range(MAX_TIMEOUTS):
            deadline = self.connection.next_timeout()
            if deadline is None:
                break
            self.expire()
        else:
            raise InvariantError("timeouts come to an end")
        self._driver.can_write = True
        self.connection.connection_lost(None, self._now)
        self.drain()
        check(
            isinstance(self._last_event, ConnectionClosed | PriorKnowledge),
            "ConnectionClosed is the last event of a lost connection",
            self._last_event,
        )
        check(self.connection.state is ConnectionState.CLOSED, "a lost connection is closed")
        self.connection.receive_data(b"late", self._now)
        self.connection.receive_eof(self._now)
        self.connection.connection_lost(OSError("late"), self._now)
        self.connection.handle_timeout(self._now + 1e6)
        self.drain()
        check(self.connection.next_timeout() is None, "a closed connection has no deadline")
        try:
            self.connection.send(Response(1, 200), now=self._now)
        except LocalProtocolError:
            return
        raise InvariantError("a closed connection sends nothing")


OPERATIONS: tuple[Callable[[Machine], None], ...] = (
    Machine.receive_data,
    Machine.receive_data,
    Machine.receive_data,
    Machine.receive_data,
    Machine.send,
    Machine.send,
    Machine.send_message,
    Machine.send_message,
    Machine.acknowledge,
    Machine.block,
    Machine.wait,
    Machine.expire,
    Machine.end,
    Machine.ping,
    Machine.reserve,
    Machine.receive_eof,
    Machine.obey_wants_close,
    Machine.lose,
)
