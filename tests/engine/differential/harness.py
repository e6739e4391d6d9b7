"""Run the same bytes through two engines and say what each made of them.

A run ends with the end of input, so that an engine that refuses a broken message at once
and one that waits for the rest of it come to the same answer: it was refused.

What is compared is what the contract promises: the messages, in order, with their fields,
content and trailers; how each ended; whether the peer was refused and with which status.
What is not compared is how content was cut into ``Data``, what an application never sees,
and the text of errors.

Where in the bytes things happened is noted beside that, in a ``Trace``: the rules on known
differences look there for what they say, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from plait_engine import (
    Accept,
    Connection,
    ConnectionState,
    Data,
    EndOfMessage,
    Event,
    Headers,
    InformationalResponse,
    Initiator,
    LocalProtocolError,
    Request,
    Response,
    StreamReset,
)
from plait_engine.engines import EngineName
from plait_engine.testing import Endpoint, Fragmenter

Head: TypeAlias = tuple[object, ...]
Informational: TypeAlias = tuple[int, tuple[tuple[str, str], ...]]
ENGINES: tuple[EngineName, ...] = ("native", "reference")
STOPPED = (ConnectionState.CLOSING, ConnectionState.CLOSED)


@dataclass
class Message:
    """What became of one message of the peer."""

    head: Head
    headers: list[tuple[str, str]]
    informational: list[Informational] = field(default_factory=list)
    content: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    end: str = "open"
    """``complete``, ``reset`` or ``open``."""

    def comparable(self) -> tuple[object, ...]:
        # A message that was cut short may have brought more or less of its content.
        content = self.content if self.end == "complete" else b""
        headers = sorted(self.headers) if self.head[0] == "h2" else self.headers
        return (self.head, headers, self.informational, content, self.trailers, self.end)


@dataclass
class Trace:
    """How many bytes had come when something happened; exact when they came one by one.

    What the end of input brought about is not here.
    """

    begun: dict[int, int] = field(default_factory=dict)
    """The head of a message was told."""
    ended: dict[int, int] = field(default_factory=dict)
    """A message was complete, or given up."""
    stopped: int | None = None
    """The connection took no more."""


@dataclass
class Outcome:
    """What an engine made of the bytes."""

    messages: dict[int, Message] = field(default_factory=dict)
    refused: int | None = None
    """The status of the refusal, 0 for one without a status."""
    failed: bool = False
    """The connection ended because the peer broke the protocol."""
    trace: Trace = field(default_factory=Trace)

    def comparable(self) -> tuple[object, ...]:
        messages = [(key, self.messages[key].comparable()) for key in sorted(self.messages)]
        return (messages, self.refused, self.failed)

    def same_as(self, other: Outcome) -> bool:
        return self.comparable() == other.comparable()


def plain(headers: Headers) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers]


class Run:
    """Drives one engine and collects its outcome.

    A server's application answers a request as soon as it is complete, or, if it
    ``answers_late``, when all bytes have come.
    """

    def __init__(
        self, connection: Connection, fragment: Fragmenter, *, answers_late: bool = False
    ) -> None:
        self.endpoint = Endpoint(connection, fragment=fragment)
        self._answers_late = answers_late
        self._owed: list[tuple[int, int]] = []
        self.outcome = Outcome()
        self._informational: list[Informational] = []
        self._received: int | None = 0
        """Bytes that have come; ``None`` behind the last."""
        self.endpoint.start()

    def receive(self, data: bytes) -> None:
        connection, trace = self.endpoint.connection, self.outcome.trace
        received = 0
        for piece in self.endpoint.fragment(data):
            received = self._received = received + len(piece)
            connection.receive_data(piece, self.endpoint.clock.now)
            self._settle()
            if trace.stopped is None and connection.state in STOPPED:
                trace.stopped = received

    def finish(self) -> Outcome:
        self._received = None
        self._answers_late = False
        for stream_id, status in self._owed:
            self.answer(stream_id, status)
        self._settle()
        self.endpoint.connection.receive_eof(self.endpoint.clock.now)
        self._settle()
        self.outcome.failed = any(
            getattr(event, "error", None) is not None for event in self.endpoint.events
        )
        return self.outcome

    def _settle(self) -> None:
        """Drain, and answer what is complete, until nothing moves."""
        self.endpoint.drain()
        while events := self.endpoint.take():
            for event in events:
                self.see(event)
            self.endpoint.drain()

    def see(self, event: Event) -> None:
        """Take one event into the outcome."""
        messages = self.outcome.messages
        if isinstance(event, Request):
            head: Head = (
                "h2" if event.http_version == "2" else "h1",
                event.method,
                event.scheme,
                event.authority,
                event.target,
                event.protocol,
                event.expect_continue,
                event.expect,
                event.content_encoding,
                event.ends,
                event.http_version,
            )
            messages[event.stream_id] = Message(head, plain(event.headers))
            self._note(self.outcome.trace.begun, event.stream_id)
            if event.method == "CONNECT" or event.protocol is not None:
                self.answer(event.stream_id, 404)
        elif isinstance(event, InformationalResponse):
            self._informational.append((event.status, tuple(plain(event.headers))))
        elif isinstance(event, Response | Accept):
            head = ("accept",)
            if isinstance(event, Response):
                kind = "h2" if event.http_version == "2" else "h1"
                head = (kind, event.status, event.reason, event.http_version)
            message = Message(head, plain(event.headers), self._informational)
            self._informational = []
            messages[event.stream_id] = message
            self._note(self.outcome.trace.begun, event.stream_id)
        elif isinstance(event, Data):
            messages[event.stream_id].content += event.data
        elif isinstance(event, EndOfMessage):
            message = messages[event.stream_id]
            message.trailers = plain(event.trailers)
            message.end = "complete"
            self._note(self.outcome.trace.ended, event.stream_id)
            self.on_complete(event.stream_id)
        elif isinstance(event, StreamReset):
            self._note(self.outcome.trace.ended, event.stream_id)
            self.on_reset(event)

    def _note(self, places: dict[int, int], stream_id: int) -> None:
        if self._received is not None:
            places.setdefault(stream_id, self._received)

    def on_complete(self, stream_id: int) -> None:
        """A message of the peer is complete."""
        if self.endpoint.connection.role.value == "server":
            self.answer(stream_id, 200)

    def on_reset(self, event: StreamReset) -> None:
        message = self.outcome.messages.get(event.stream_id)
        if message is not None and message.end != "complete":
            message.end = "reset"
            # On HTTP/1.1 the culprit depends on who first gives up a message that is broken:
            # this side when it sees it, or the peer by the end of input.
            if message.head[0] == "h2" and event.initiator is Initiator.REMOTE:
                message.end = f"reset by the peer with {event.code}"

    def answer(self, stream_id: int, status: int) -> None:
        if self._answers_late:
            self._owed.append((stream_id, status))
            return
        try:
            self.endpoint.connection.send(
                Response(stream_id, status), EndOfMessage(stream_id), now=self.endpoint.clock.now
            )
        except LocalProtocolError:
            # Answered before (a declined tunnel), or ended by what came behind it.
            return


def differences(one: Outcome, other: Outcome) -> str:
    """Return the two outcomes for a failure's message."""
    return f"\nnative:    {one.comparable()}\nreference: {other.comparable()}"
