"""Invariants of the HTTP/1.1 engine, over generated messages and bytes.

* However a valid sequence of messages is cut, the events are the same.
* Whatever bytes come, no input raises, events keep their order (the recorder checks
  that), and the connection comes to its end when the peer ends and time passes.
* What one engine sends, the other receives.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import assume, given
from hypothesis import strategies as st

from plait_engine import (
    ConnectionState,
    Data,
    EndOfMessage,
    LocalProtocolError,
    PriorKnowledge,
    Request,
    Response,
    Role,
    StreamReset,
    create_connection,
)
from plait_engine.events import Event
from plait_engine.http1 import HTTP1Client, HTTP1Server
from plait_engine.testing import Endpoint, Pair, at, coalesce
from plait_engine.testing import messages as raw
from tests.engine.http1.helpers import answer, client, config, server

NAMES = st.text("abcXYZ-!_09", min_size=1, max_size=8).map(lambda name: "X" + name)
VALUES = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]) | st.just("\t"), max_size=12
).map(lambda value: value.strip(" \t"))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
BODIES = st.lists(st.binary(min_size=1, max_size=20), max_size=4)
CUTS = st.lists(st.integers(0, 2000), max_size=30)


@dataclass(frozen=True)
class Message:
    """A message apart from its first line."""

    method: str
    target: str
    status: int
    fields: list[tuple[str, str]]
    chunks: list[bytes]
    chunked: bool
    trailers: list[tuple[str, str]]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def encode(self, first_line: str, *fields: tuple[str, str]) -> bytes:
        """Write the message out, by hand."""
        framing = (
            ("Transfer-Encoding", "chunked")
            if self.chunked
            else ("Content-Length", str(len(self.body)))
        )
        every = [*fields, *self.fields, framing]
        body = raw.chunked(self.chunks, _bytes(self.trailers)) if self.chunked else self.body
        return raw.head(first_line, _bytes(every)) + body

    def request(self) -> bytes:
        return self.encode(f"{self.method} {self.target} HTTP/1.1", ("Host", "a"))

    def response(self) -> bytes:
        return self.encode(f"HTTP/1.1 {self.status} OK")


def _bytes(fields: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in fields]


MESSAGES = st.builds(
    Message,
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "BREW"]),
    st.text("abc/?=&%20", max_size=10).map(lambda rest: "/" + rest),
    st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    FIELDS,
    BODIES,
    st.booleans(),
    FIELDS,
)


def _serve(data: bytes, cuts: list[int]) -> tuple[list[Event], bytes]:
    endpoint = server(at(cuts), config(detect_http2=True))
    endpoint.receive(data)
    while endpoint.connection.open_streams:
        before = len(endpoint.events)
        try:
            answer(endpoint, _stream_id(endpoint))
        except LocalProtocolError:
            break  # The request is not complete, and was answered already.
        if len(endpoint.events) == before:
            break
    return coalesce(endpoint.events), bytes(endpoint.sent)


def _stream_id(endpoint: Endpoint) -> int:
    return endpoint.recorder.of_type(Request)[-1].stream_id


@given(st.lists(MESSAGES, min_size=1, max_size=4), CUTS)
def test_cuts_do_not_change_what_a_server_sees(messages: list[Message], cuts: list[int]) -> None:
    data = b"".join(message.request() for message in messages)
    events, sent = _serve(data, [])
    assert _serve(data, cuts) == (events, sent)
    requests = [event for event in events if isinstance(event, Request)]
    assert [(request.method, request.target) for request in requests] == [
        (message.method, message.target) for message in messages
    ]
    bodies = {event.stream_id: event.data for event in events if isinstance(event, Data)}
    ends = [event for event in events if isinstance(event, EndOfMessage)]
    for message, request, end in zip(messages, requests, ends, strict=True):
        assert bodies.get(request.stream_id, b"") == message.body
        assert list(request.headers)[1:-1] == message.fields
        assert list(end.trailers) == (message.trailers if message.chunked else [])


def _fetch(messages: list[Message], cuts: list[int]) -> list[Event]:
    endpoint = client(at(cuts))
    for message in messages:
        stream_id = endpoint.connection.next_stream_id()
        endpoint.send(
            Request(stream_id, message.method, "http", "a", message.target, ()),
            EndOfMessage(stream_id),
        )
        endpoint.receive(message.response())
    return coalesce(endpoint.events)


@given(st.lists(MESSAGES, min_size=1, max_size=3), CUTS)
def test_cuts_do_not_change_what_a_client_sees(messages: list[Message], cuts: list[int]) -> None:
    events = _fetch(messages, [])
    assert _fetch(messages, cuts) == events
    responses = [event for event in events if isinstance(event, Response)]
    assert [response.status for response in responses] == [m.status for m in messages]
    bodies = {event.stream_id: event.data for event in events if isinstance(event, Data)}
    for message, response in zip(messages, responses, strict=True):
        assert bodies.get(response.stream_id, b"") == message.body
        assert list(response.headers)[:-1] == message.fields


# -- bytes that are no messages ---------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 204 No Content\n\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b":",
        b"\x00",
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return messages with pieces cut out, doubled and replaced, or any bytes at all."""
    data = bytearray(b"".join(draw(st.lists(FRAGMENTS | st.binary(max_size=8), max_size=6))))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 10)))
        data[start:end] = draw(FRAGMENTS | st.binary(max_size=4) | st.just(data[start:end] * 2))
    return bytes(data)


def _finish(endpoint: Endpoint) -> None:
    """Answer what is open, end the peer's side, let time pass; then all must be over."""
    connection = endpoint.connection
    if PriorKnowledge in map(type, endpoint.events):
        return
    for _ in range(200):
        if not connection.open_streams:
            break
        try:
            answer(endpoint, endpoint.recorder.of_type(Request)[-1].stream_id)
        except (LocalProtocolError, IndexError):
            break
    endpoint.receive_eof()
    for _ in range(10):
        deadline = connection.next_timeout()
        if deadline is None:
            break
        endpoint.clock.now = deadline
        endpoint.handle_timeout()
    if connection.open_streams:
        endpoint.close(0)
    assert connection.state is ConnectionState.CLOSED
    assert connection.next_timeout() is None
    assert connection.open_streams == 0
    assert not connection.wants_read
    assert connection.wants_close


@given(mutated(), CUTS, st.booleans())
def test_no_bytes_upset_a_server(data: bytes, cuts: list[int], detect: bool) -> None:
    endpoint = server(at(cuts), config(detect_http2=detect, max_fields=4, max_line_size=40))
    endpoint.receive(data)
    _finish(endpoint)


@given(mutated(), CUTS, st.sampled_from(["GET", "HEAD", "CONNECT", "upgrade", "expect", "none"]))
def test_no_bytes_upset_a_client(data: bytes, cuts: list[int], kind: str) -> None:
    endpoint = client(at(cuts), config(max_fields=4, max_line_size=40))
    if kind == "CONNECT":
        endpoint.send(Request(1, "CONNECT", "http", "a:1", "a:1", ()))
    elif kind == "upgrade":
        endpoint.send(Request(1, "GET", "http", "a", "/", (), "websocket"))
    elif kind == "expect":
        fields = (("Expect", "100-continue"), ("Content-Length", "5"))
        endpoint.send(Request(1, "POST", "http", "a", "/", fields), Data(1, b"hello"))
    elif kind != "none":
        endpoint.send(Request(1, kind, "http", "a", "/", ()), EndOfMessage(1))
    endpoint.receive(data)
    _finish(endpoint)


@given(mutated(), CUTS)
def test_cuts_do_not_change_how_a_server_judges(data: bytes, cuts: list[int]) -> None:
    """Not even bytes that are wrong: the same requests, the same answers."""
    events, sent = _serve(data, [])
    cut_events, cut_sent = _serve(data, cuts)
    assert cut_sent.split(b" ")[1:2] == sent.split(b" ")[1:2]
    assert [event for event in cut_events if isinstance(event, Request)] == [
        event for event in events if isinstance(event, Request)
    ]


# -- both roles ------------------------------------------------------------------------------------


@given(MESSAGES, MESSAGES, CUTS, st.booleans(), st.booleans())
def test_what_one_engine_sends_the_other_receives(
    asked: Message, answered: Message, cuts: list[int], at_once: bool, with_trailers: bool
) -> None:
    assume(answered.status != 205)  # A server sends no content with it, nor trailers.
    pair = Pair(fragment=at(cuts))
    framing = [] if at_once else [("Transfer-Encoding", "chunked")]
    trailers = answered.trailers if with_trailers else []
    for stream_id in (1, 3):
        request = Request(
            stream_id, asked.method, "http", "a", asked.target, [*asked.fields, *framing]
        )
        _send(pair.client, asked, request, at_once, [])
        pair.run()
        response = Response(stream_id, answered.status, answered.fields, "Fine")
        _send(pair.server, answered, response, at_once, trailers)
        pair.run()
        assert pair.server.recorder.body(stream_id) == asked.body
        assert pair.client.recorder.body(stream_id) == answered.body
    received = pair.server.recorder.of_type(Request)[-1]
    assert (received.method, received.target) == (asked.method, asked.target)
    assert [pair for pair in received.headers if pair[0][0] == "X"] == asked.fields
    came = pair.client.recorder.of_type(Response)[-1]
    assert (came.status, came.reason) == (answered.status, "Fine")
    assert [pair for pair in came.headers if pair[0][0] == "X"] == answered.fields
    assert list(pair.client.recorder.of_type(EndOfMessage)[-1].trailers) == trailers
    assert pair.client.recorder.of_type(StreamReset) == []
    assert pair.client.connection.available_streams == 1


def _send(
    endpoint: Endpoint,
    message: Message,
    head: Request | Response,
    at_once: bool,
    trailers: list[tuple[str, str]],
) -> None:
    stream_id = head.stream_id
    events = [
        head,
        *[Data(stream_id, chunk) for chunk in message.chunks],
        EndOfMessage(stream_id, trailers),
    ]
    if at_once:
        endpoint.send(*events)
    else:
        for event in events:
            endpoint.send(event)


def test_each_role_has_its_class() -> None:
    for role, kind in ((Role.CLIENT, HTTP1Client), (Role.SERVER, HTTP1Server)):
        connection = create_connection(role, "http/1.1")
        assert type(connection) is kind
        assert connection.role is role
        assert connection.protocol == "http/1.1"
