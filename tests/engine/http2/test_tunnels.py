"""CONNECT and extended CONNECT on the wire (RFC 9113 section 8.5, RFC 8441)."""

from __future__ import annotations

import pytest

from plait_engine import (
    Accept,
    Data,
    EndOfMessage,
    ErrorCode,
    LocalProtocolError,
    Request,
    Response,
    StreamReset,
)
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, Frame, FrameType
from tests.engine.http2.peers import (
    OK,
    Peer,
    assert_alive,
    assert_stream_error,
    error_code,
    kinds,
    of_type,
)

WEBSOCKET = wire.header_block(
    [
        (":method", "CONNECT"),
        (":protocol", "WebSocket"),
        (":scheme", "https"),
        (":path", "/chat?a=b"),
        (":authority", "example.org"),
        ("sec-websocket-version", "13"),
    ]
)
CONNECT = wire.header_block([(":method", "CONNECT"), (":authority", "example.org:443")])


def ask(client: Peer, protocol: str | None = "websocket") -> None:
    client.say(wire.settings({8: 1}))
    client.hear()
    client.events()
    authority = "example.org" if protocol else "example.org:443"
    target = "/chat" if protocol else authority
    head = Request(1, "CONNECT", "http", authority, target, (), protocol)
    client.endpoint.send(head)
    (frame,) = of_type(client.hear(), FrameType.HEADERS)
    assert not frame.flags & Flag.END_STREAM


# -- server -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (WEBSOCKET, ("CONNECT", "https", "example.org", "/chat?a=b", "websocket")),
        (CONNECT, ("CONNECT", "http", "example.org:443", "example.org:443", None)),
    ],
)
def test_a_request_for_a_tunnel(server: Peer, block: bytes, expected: tuple) -> None:
    server.say(wire.headers(1, block))
    (request,) = server.events()
    assert isinstance(request, Request)
    assert expected == (
        request.method,
        request.scheme,
        request.authority,
        request.target,
        request.protocol,
    )


def test_bytes_flow_after_accept(server: Peer) -> None:
    server.say(wire.headers(1, WEBSOCKET))
    with pytest.raises(LocalProtocolError):
        server.endpoint.send(Data(1, b"too early"))
    fields = [("sec-websocket-protocol", "x"), ("Content-Length", "0"), ("Upgrade", "websocket")]
    server.endpoint.send(Accept(1, fields))
    (head,) = of_type(server.hear(), FrameType.HEADERS)
    assert server.fields(head) == [(":status", "200"), ("sec-websocket-protocol", "x")]
    assert not head.flags & Flag.END_STREAM
    server.say(wire.data(1, b"ping"))
    server.endpoint.send(Data(1, b"pong"))
    assert of_type(server.hear(), FrameType.DATA) == [Frame(FrameType.DATA, 0, 1, b"pong")]
    server.say(wire.data(1, b"bye", end_stream=True))
    server.endpoint.send(EndOfMessage(1))
    assert kinds(server.events()) == [Request, Data, Data, EndOfMessage]
    assert server.connection.open_streams == 0


@pytest.mark.parametrize("end", [False, True])
def test_bytes_that_came_too_early_are_held(server: Peer, end: bool) -> None:
    server.say(wire.headers(1, WEBSOCKET), wire.data(1, b"early "))
    server.say(wire.data(1, b"bird", padding=3, end_stream=end))
    assert kinds(server.events()) == [Request]
    server.endpoint.send(Accept(1))
    events = server.events()
    assert kinds(events) == [Data, Data] + [EndOfMessage] * end
    assert [(event.data, event.credit) for event in events[:2]] == [(b"early ", 6), (b"bird", 8)]


def test_a_tunnel_that_ends_before_it_was_accepted(server: Peer) -> None:
    server.say(wire.headers(1, WEBSOCKET, end_stream=True))
    assert kinds(server.events()) == [Request]
    server.endpoint.send(Accept(1), Data(1, b"anyone?"), EndOfMessage(1))
    assert kinds(server.events()) == [EndOfMessage]
    assert server.connection.open_streams == 0


@pytest.mark.parametrize("end", [False, True])
def test_a_content_length_means_nothing_for_a_tunnel(server: Peer, end: bool) -> None:
    length = wire.header_block([("content-length", "3")])
    server.say(wire.headers(1, CONNECT + length, end_stream=end))
    server.endpoint.send(Accept(1))
    if not end:
        server.say(wire.data(1, b"more than three", end_stream=True))
    assert isinstance(server.events()[-1], EndOfMessage)


def test_a_tunnel_that_is_declined(server: Peer) -> None:
    server.say(wire.headers(1, WEBSOCKET), wire.data(1, b"early"))
    server.endpoint.send(Response(1, 403), Data(1, b"no"), EndOfMessage(1))
    assert kinds(server.events()) == [Request, EndOfMessage]
    assert [f.type for f in server.hear()] == [FrameType.HEADERS, FrameType.DATA]
    server.say(wire.data(1, b"late", end_stream=True))
    assert server.events() == []
    assert server.connection.open_streams == 0
    window = server.connection._inflow.window
    assert window.available + window.released == window.size


def test_a_client_that_gives_up_before_the_answer(server: Peer) -> None:
    server.say(wire.headers(1, WEBSOCKET), wire.data(1, b"early"), wire.rst_stream(1, 8))
    assert kinds(server.events()) == [Request, StreamReset]
    window = server.connection._inflow.window
    assert window.available + window.released == window.size


def test_headers_in_a_tunnel(server: Peer) -> None:
    server.say(wire.headers(1, WEBSOCKET))
    server.endpoint.send(Accept(1))
    server.say(wire.headers(1, wire.header_block([("x", "y")]), end_stream=True))
    assert_stream_error(server, 1, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "event", [Response(1, 200), Response(1, 299), EndOfMessage(1), Data(1, b"x")]
)
def test_what_is_no_answer_to_connect(server: Peer, event) -> None:
    server.say(wire.headers(1, CONNECT))
    with pytest.raises(LocalProtocolError):
        server.endpoint.send(event)
    assert of_type(server.hear(), FrameType.HEADERS) == []


def test_accept_where_no_tunnel_was_asked_for(server: Peer) -> None:
    server.say(wire.headers(1, wire.request_block(), end_stream=True))
    with pytest.raises(LocalProtocolError):
        server.endpoint.send(Accept(1))


def test_a_tunnel_has_no_trailers(server: Peer) -> None:
    server.say(wire.headers(1, CONNECT))
    server.endpoint.send(Accept(1))
    with pytest.raises(LocalProtocolError):
        server.endpoint.send(EndOfMessage(1, [("x", "y")]))


# -- client ---------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["websocket", None])
@pytest.mark.parametrize("status", [200, 204])
def test_a_client_may_talk_after_the_2xx(client: Peer, protocol: str | None, status: int) -> None:
    ask(client, protocol)
    for early in (Data(1, b"x"), EndOfMessage(1)):
        with pytest.raises(LocalProtocolError):
            client.endpoint.send(early)
    client.say(wire.headers(1, wire.response_block(status, [("content-length", "9")])))
    client.say(wire.data(1, b"hello"))
    client.endpoint.send(Data(1, b"hi"), EndOfMessage(1))
    assert of_type(client.hear(), FrameType.DATA) == [
        Frame(FrameType.DATA, Flag.END_STREAM, 1, b"hi")
    ]
    client.say(wire.data(1, b"", end_stream=True))
    assert kinds(client.events()) == [Accept, Data, EndOfMessage]


def test_a_tunnel_that_ends_at_once(client: Peer) -> None:
    ask(client)
    client.say(wire.headers(1, OK, end_stream=True))
    assert kinds(client.events()) == [Accept, EndOfMessage]
    client.endpoint.send(EndOfMessage(1))
    assert client.connection.open_streams == 0


def test_a_server_that_declines(client: Peer) -> None:
    ask(client)
    client.say(wire.headers(1, wire.response_block(404)), wire.data(1, b"no", end_stream=True))
    assert kinds(client.events()) == [Response, Data, EndOfMessage]
    # Our half is ended for the application, which has nothing to say.
    (data,) = of_type(client.hear(), FrameType.DATA)
    assert (data.payload, data.flags) == (b"", Flag.END_STREAM)
    assert client.connection.open_streams == 0
    with pytest.raises(LocalProtocolError):
        client.endpoint.send(Data(1, b"x"))


def test_a_reset_tells_the_code(client: Peer) -> None:
    ask(client)
    client.say(wire.rst_stream(1, ErrorCode.HTTP_1_1_REQUIRED))
    (reset,) = client.events()
    assert (reset.code, reset.retryable) == (ErrorCode.HTTP_1_1_REQUIRED, False)
    assert_alive(client)


def test_giving_up_a_tunnel(client: Peer) -> None:
    ask(client)
    client.say(wire.headers(1, OK))
    client.endpoint.send(StreamReset(1))
    (reset,) = of_type(client.hear(), FrameType.RST_STREAM)
    assert error_code(reset) == ErrorCode.CANCEL
