"""A client and a server that talk to each other, with random calls on both.

What one engine lets its application send, the other must understand:

* neither side finds fault with what the other sends: no stream is reset and no connection
  closed for a broken protocol;
* a body arrives as it was sent: what was received of it is always the beginning of what
  was sent;
* when both applications have finished what they began, and all bytes have arrived, no
  message is left half received.

Besides, each side is a ``fuzz.operations.Machine`` with all its checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fuzz.choices import Choices
from fuzz.harness import check
from fuzz.operations import BODIES, Machine
from plait_engine.connection import CloseAction, Connection
from plait_engine.events import (
    Accept,
    CloseReason,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    Initiator,
    Request,
    Response,
    Sendable,
    StreamReset,
)

REQUESTS = (
    ("GET", "a", "/", (), None),
    ("HEAD", "a:80", "/a?b", (("Accept", "*/*"),), None),
    ("POST", "a", "/", (("Content-Length", "5"),), None),
    ("POST", "a", "/", (("Transfer-Encoding", "chunked"),), None),
    ("PUT", "a", "/", (("Expect", "100-continue"), ("Content-Length", "1000")), None),
    ("PUT", "a", "/", (("Expect", "100-continue"),), None),
    ("OPTIONS", "a", "*", (), None),
    ("GET", "a", "/", (("Connection", "close"),), None),
    ("CONNECT", "a:1", "a:1", (), None),
    ("GET", "a", "/", (("Cookie", "a=1"), ("Cookie", "b=2")), "websocket"),
    ("GET", "a", "/\u00e9", (("X", "\u00e9\udcff"), ("X", "")), None),
)
STATUSES = (200, 201, 204, 205, 302, 304, 404, 500, 599)
RESPONSE_HEADERS = (
    (),
    (("Content-Length", "5"),),
    (("Content-Length", "0"),),
    (("Transfer-Encoding", "chunked"),),
    (("Connection", "close"),),
    (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X", "y" * 3000)),
)
TRAILERS = ((), (), (("X-Trailer", "a"),))
MAX_CALLS = 100
MAX_ROUNDS = 200
SIZES = (1, 2, 7, 30, 100, 1000, 10_000_000)


class Side(Machine):
    """One end: a machine that keeps what it sends for the other end."""

    def __init__(self, connection: Connection, choices: Choices) -> None:
        self.wire = bytearray()
        """Sent and not yet delivered."""
        self.sent: dict[int, bytearray] = {}
        self.received: dict[int, bytearray] = {}
        self.half_received: set[int] = set()
        self.half_sent: set[int] = set()
        self.unanswered: set[int] = set()
        self.said_end = False
        self.other: Side | None = None
        super().__init__(connection, choices, self._arriving)

    def _arriving(self, choices: Choices) -> bytes:
        assert self.other is not None
        wire = self.other.wire
        size = choices.pick(SIZES)
        data = bytes(wire[:size])
        del wire[:size]
        return data

    def write(self, data: bytes, /) -> None:
        self.wire += data

    def note_sent(self, events: Sequence[Sendable]) -> None:
        super().note_sent(events)
        for event in events:
            if isinstance(event, Data):
                self.sent.setdefault(event.stream_id, bytearray()).extend(event.data)
            elif isinstance(event, Request | Response | Accept):
                self.half_sent.add(event.stream_id)
                self.unanswered.discard(event.stream_id)
            elif isinstance(event, EndOfMessage):
                self.half_sent.discard(event.stream_id)
            elif isinstance(event, StreamReset):
                self.half_sent.discard(event.stream_id)
                self.half_received.discard(event.stream_id)

    def on_event(self, event: Event) -> None:
        super().on_event(event)
        if isinstance(event, Request | Response | Accept):
            self.half_received.add(event.stream_id)
            if isinstance(event, Request):
                self.unanswered.add(event.stream_id)
        elif isinstance(event, EndOfMessage):
            self.half_received.discard(event.stream_id)
        elif isinstance(event, Data):
            self._take(event)
        elif isinstance(event, StreamReset):
            self.half_received.discard(event.stream_id)
            check(
                event.initiator is Initiator.REMOTE or event.error is None,
                "no fault is found with a stream of our own engine",
                event,
                event.error,
            )
        elif isinstance(event, ConnectionClosed):
            self.half_received.clear()
            check(
                event.reason is not CloseReason.PROTOCOL_ERROR,
                "no fault is found with a connection of our own engine",
                event.error,
            )

    def _take(self, data: Data) -> None:
        assert self.other is not None
        received = self.received.setdefault(data.stream_id, bytearray())
        received.extend(data.data)
        sent = self.other.sent.get(data.stream_id, b"")
        check(sent[: len(received)] == received, "a body arrives as it was sent", data)

    def make_event(self, stream_id: int) -> Sendable:
        """Return an event to send, with nothing wrong but perhaps its time."""
        pick = self.choices.pick
        kind = self.choices.byte() % 8
        if kind == 0:
            method, authority, target, headers, protocol = pick(REQUESTS)
            return Request(stream_id, method, "http", authority, target, headers, protocol)
        if kind == 1:
            return Response(stream_id, pick(STATUSES), pick(RESPONSE_HEADERS))
        if kind == 2:
            return InformationalResponse(stream_id, pick((100, 102, 103)))
        if kind == 3:
            return Accept(stream_id)
        if kind == 4:
            return StreamReset(stream_id, pick((0, 8)))
        if kind == 5:
            return EndOfMessage(stream_id, pick(TRAILERS))
        return Data(stream_id, pick(BODIES))

    def close_gracefully(self) -> None:
        self.connection.close(now=self.now)

    def hear_the_end(self) -> bool:
        """Learn that the other side ended its half of the transport, if it has just done so."""
        assert self.other is not None
        other = self.other
        action = other.connection.wants_close
        if not action or other.said_end or (other.wire and action is not CloseAction.ABORT):
            return False
        other.said_end = True
        if action is CloseAction.ABORT:
            other.wire.clear()
            self.connection.connection_lost(ConnectionResetError("aborted"), self.now)
        else:
            self.connection.receive_eof(self.now)
        return True

    def finish_messages(self) -> None:
        """End what was begun, answer and acknowledge everything."""
        self._driver.can_write = True
        while self._unacknowledged:
            self.acknowledge()
            self.drain()
        for stream_id in sorted(self.unanswered):
            self.command_send(InformationalResponse(stream_id, 100))
            self.command_send(Response(stream_id, 200))
            self.drain()
        for stream_id in sorted(self.half_sent):
            if not self.command_send(EndOfMessage(stream_id)):
                self.command_send(StreamReset(stream_id))  # less than its Content-Length
            self.drain()


OPERATIONS: tuple[Callable[[Side], object], ...] = (
    Side.receive_data,
    Side.receive_data,
    Side.receive_data,
    Side.send_message,
    Side.send_message,
    Side.send,
    Side.acknowledge,
    Side.block,
    Side.hear_the_end,
    Side.close_gracefully,
)


def run(client: Side, server: Side, choices: Choices) -> None:
    """Make calls on both sides, then let both finish."""
    client.other, server.other = server, client
    for _ in range(MAX_CALLS):
        if choices.exhausted:
            break
        side = choices.pick((client, server))
        choices.pick(OPERATIONS)(side)
        side.drain()
    _settle(client, server)
    for side in (client, server):
        left = side.half_received - (side.other or side).half_sent
        check(not left, "no message is left half received", left)


def _settle(client: Side, server: Side) -> None:
    """Deliver everything and finish every message, until nothing happens any more."""
    silent = 0
    for _ in range(MAX_ROUNDS):
        silent += 1
        for side, other in ((client, server), (server, client)):
            side.finish_messages()
            data = bytes(other.wire)
            other.wire.clear()
            side.receive(data)
            side.drain()
            if side.hear_the_end() or data:
                silent = 0
            side.drain()
        if silent == 2:  # what the server did in the first, the client may hear in the second
            return
    check(False, "two engines that have nothing to say are silent at last")
