"""Random calls of the contract, in any order: what a careless adapter could do.

``Machine`` makes one call after the other on one connection, ``send`` by a short path or the
general one, and checks, besides what ``fuzz.harness.Wire`` checks:

* inputs never raise; commands raise LocalProtocolError and nothing else;
* a command that was refused changed nothing: no output, no event, the getters say the same;
  nor did a short path that was not taken, and what one refuses, the general path refuses;
* a timeout with nothing due is a no-op;
* the state moves one way; after CLOSED every input is ignored and ``send`` refused;
* a stream that the application gave up is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from fuzz.choices import Choices
from fuzz.harness import InvariantError, Wire, check
from plait_engine.connection import CloseAction, Connection, ConnectionState, Role
from plait_engine.errors import LocalProtocolError
from plait_engine.events import (
    Accept,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    Request,
    Response,
    Sendable,
    StreamReset,
)
from plait_engine.headers import Headers

MAX_STEPS = 200
STATES = list(ConnectionState)

STREAM_IDS = (1, 1, 3, 3, 5, 7, 2, 0, 2**31 - 1)
METHODS = ("GET", "HEAD", "POST", "CONNECT", "OPTIONS", "get", "", "A B", "G\r\nET", "\u212a")
TARGETS = ("/", "/a?b", "*", "a:1", "http://a/", "", "a b", "/\r\n", "/\u00e9", "/\ud800")
AUTHORITIES = ("a", "a:80", "[::1]", "", "u@a", "a b", "a\n")
SCHEMES = ("http", "https", "", "h ttp")
PROTOCOLS = (None, None, "websocket", "h2c", "", "a b", "tcp")
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
    (("connection", "upgrade"), ("upgrade", "tcp")),
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
SHORT_PATH = 0x80
"""Where a byte says how to send."""
BODIES = (b"", b"hello", b"x" * 1000, b"x" * 70_000)
CODES = (*range(0xE), 0x99)

WireStep = Callable[[Choices], bytes]


class Machine(Wire):
    """Makes the calls that ``choices`` says on ``connection``; ``wire`` makes its input."""

    def __init__(self, connection: Connection, choices: Choices, wire: WireStep) -> None:
        super().__init__(connection)
        self.choices = choices
        self._wire = wire
        self._state = connection.state
        self._unacknowledged: list[Data] = []
        self._given_up: set[int] = set()
        self._driver.start()
        self.drain()

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
        self.connection.receive_data(data, self.now)

    def receive_eof(self) -> None:
        self.connection.receive_eof(self.now)

    def lose(self) -> None:
        error = self.choices.pick((None, ConnectionResetError("reset")))
        self.connection.connection_lost(error, self.now)

    def obey_wants_close(self) -> None:
        if self.connection.wants_close >= CloseAction.CLOSE:
            self.connection.connection_lost(None, self.now)

    def wait(self) -> None:
        """Let time pass, at most to the next deadline, and tell the connection."""
        deadline = self.connection.next_timeout()
        self.clock.now += self.choices.byte() / 16
        if deadline is not None and self.now >= deadline:
            self.expire()
            return
        self.drain()
        before = self._look()
        self.connection.handle_timeout(self.now)
        self._check_unchanged(before, "a timeout with nothing due is a no-op")

    # -- commands -----------------------------------------------------------------

    def send(self) -> None:
        stream_id, options = self._stream_id(), self.choices.byte()
        events = [self.make_event(stream_id) for _ in range(1 + options % 4)]
        self._send(events, options)

    def send_message(self) -> None:
        """Send what is right, so that the rare step is not always lost on a refusal."""
        stream_id = self._stream_id()
        head = (
            Request(stream_id, "POST", "http", "a", "/", ())
            if self.connection.role is Role.CLIENT
            else Response(stream_id, 200)
        )
        events = [head, Data(stream_id, self.choices.pick(BODIES)), EndOfMessage(stream_id)]
        options = self.choices.byte()
        self._send(events[: 1 + options % 3], options)

    def _send(self, events: list[Sendable], options: int) -> None:
        """Send as one command, by a short path if ``options`` say so and there is one."""
        if not options & SHORT_PATH or not self._send_shortly(events):
            self.command_send(*events)

    def _send_shortly(self, events: list[Sendable]) -> bool:
        driver = self._driver
        match events:
            case [Response() as head, Data() as data, EndOfMessage(trailers=())]:
                path = partial(
                    driver.send_response, head.stream_id, head.status, head.headers, data.data
                )
            case [Data() as data]:
                path = partial(driver.send_data, data.stream_id, data.data)
            case _:
                return False
        self.drain()
        before = self._look()
        try:
            is_sent = path()
        except LocalProtocolError:
            check(not self.command_send(*events), "what a short path refuses, send refuses")
            return True
        if not is_sent:
            self._check_unchanged(before, "a short path that is not taken changes nothing", events)
            return False
        self.drain()
        self.note_sent(events)
        return True

    def command_send(self, *events: Sendable) -> bool:
        """Send as one command; return whether that was allowed."""
        self._order.note_sent(events)
        allowed = self._command(lambda: self.connection.send(*events, now=self.now), events)
        if allowed:
            self.drain()
            self.note_sent(events)
        return allowed

    def note_sent(self, events: Sequence[Sendable]) -> None:
        """A command with ``events`` was allowed."""
        self._given_up |= {e.stream_id for e in events if isinstance(e, StreamReset)}

    def acknowledge(self) -> None:
        if self._unacknowledged:
            data = self._unacknowledged.pop()
            stream_id, credit = data.stream_id, data.credit
        else:
            stream_id, credit = self._stream_id(), 0
        self._command(
            lambda: self.connection.acknowledge(stream_id, credit, self.now), stream_id, credit
        )

    def end(self) -> None:
        code = self.choices.pick((None, None, *CODES))
        self._command(lambda: self.connection.close(code, now=self.now), code)

    def ping(self) -> None:
        payload = self.choices.pick((b"12345678", b"", b"123456789"))
        self._command(lambda: self.connection.ping(payload, self.now), payload)

    def reserve(self) -> None:
        stream_id, size = self._stream_id(), self.choices.pick((0, 1, 5, 100))
        self._command(lambda: self.connection.reserve(stream_id, size, self.now), stream_id, size)

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
        super().on_event(event)
        stream_id = getattr(event, "stream_id", None)
        check(stream_id not in self._given_up, "a stream that was given up is silent", event)
        if isinstance(event, Data):
            self._unacknowledged.append(event)

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
            return Accept(stream_id, pick(HEADERS), pick(PROTOCOLS))
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
        self._run_timers()
        self._driver.can_write = True
        self._end()
        try:
            self.connection.send(Response(1, 200), now=self.now)
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
