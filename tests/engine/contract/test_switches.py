"""Switching protocols behind an ordinary request: HTTP/1.1 can (RFC 9110 section 7.8), HTTP/2
has no 101 (RFC 9113 section 8.6)."""

from __future__ import annotations

import pytest

from plait_engine import (
    Accept,
    CloseAction,
    Data,
    EndOfMessage,
    ErrorCode,
    LocalProtocolError,
    Request,
    StreamReset,
)
from plait_engine.testing import Pair
from tests.engine.contract.messages import body, get, kinds, respond, taken

FIELDS = [("connection", "Upgrade"), ("upgrade", "tcp, foo")]


over_http1 = pytest.mark.parametrize("protocol", ["http/1.1"])
over_http2 = pytest.mark.parametrize("protocol", ["h2"])


def ask(pair: Pair, content: bytes = b"") -> int:
    """Send a request that offers to switch."""
    stream_id = pair.client.connection.next_stream_id()
    head = Request(stream_id, "POST", "http", "example.org", "/", FIELDS)
    pair.client.send(head, *([Data(stream_id, content)] if content else []))
    pair.client.send(EndOfMessage(stream_id))
    pair.run()
    return stream_id


@over_http1
@pytest.mark.parametrize("content", [b"", b"content"])
def test_bytes_go_both_ways_behind_a_switch(pair: Pair, content: bytes) -> None:
    stream_id = ask(pair, content)
    events = taken(pair.server)
    assert isinstance(events[0], Request)
    assert events[0].protocol is None
    assert body(events) == content
    pair.server.send(Accept(stream_id, (), "tcp"), Data(stream_id, b"banner"))
    pair.run()
    events = taken(pair.client)
    assert kinds(events) == [Accept, Data]
    assert body(events) == b"banner"
    pair.client.send(Data(stream_id, b"GET / HTTP/1.1\r\n\r\n"), EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.server)) == [Data, EndOfMessage]
    pair.server.send(Data(stream_id, b"bye"), EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.client)) == [Data, EndOfMessage]
    assert pair.client.connection.open_streams == pair.server.connection.open_streams == 0
    assert pair.client.is_closed
    assert pair.server.is_closed


@over_http1
def test_a_client_accepts_nothing(pair: Pair) -> None:
    stream_id = ask(pair)
    with pytest.raises(LocalProtocolError):
        pair.client.send(Accept(stream_id, (), "tcp"))


@over_http1
def test_a_switch_that_nobody_waits_for_ends_the_connection(pair: Pair) -> None:
    stream_id = ask(pair)
    pair.client.send(StreamReset(stream_id, ErrorCode.NO_ERROR))
    pair.server.send(Accept(stream_id, (), "tcp"), Data(stream_id, b"banner"))
    pair.run()
    assert taken(pair.client) == []
    assert pair.client.is_closed


@over_http1
@pytest.mark.parametrize("ended", [False, True])
def test_a_client_may_leave_behind_what_it_sent(pair: Pair, ended: bool) -> None:
    stream_id = ask(pair)
    pair.server.send(Accept(stream_id, (), "tcp"), Data(stream_id, b"down"))
    pair.run()
    if ended:
        pair.server.send(EndOfMessage(stream_id))
        pair.run()
    taken(pair.server)
    pair.client.send(
        Data(stream_id, b"last"),
        EndOfMessage(stream_id),
        StreamReset(stream_id, ErrorCode.NO_ERROR),
    )
    assert pair.client.connection.wants_close is CloseAction.CLOSE
    assert pair.client.is_closed
    pair.run()
    assert body(taken(pair.server)) == b"last"


@over_http1
def test_the_connection_goes_on_without_a_switch(pair: Pair) -> None:
    stream_id = ask(pair, b"content")
    respond(pair, stream_id, b"no")
    assert body(taken(pair.client)) == b"no"
    taken(pair.server)
    respond(pair, get(pair, "/next"), b"next")
    assert body(taken(pair.client)) == b"next"


@over_http1
@pytest.mark.parametrize("switch", ["websocket", "", "tcp, foo", "\u212a"])
def test_only_what_was_asked_for(pair: Pair, switch: str) -> None:
    stream_id = ask(pair)
    with pytest.raises(LocalProtocolError):
        pair.server.send(Accept(stream_id, (), switch))
    respond(pair, stream_id, b"no")
    assert body(taken(pair.client)) == b"no"


@over_http1
def test_only_behind_the_request(pair: Pair) -> None:
    stream_id = pair.client.connection.next_stream_id()
    head = Request(stream_id, "POST", "http", "example.org", "/", FIELDS)
    pair.client.send(head, Data(stream_id, b"content"))
    pair.run()
    with pytest.raises(LocalProtocolError):
        pair.server.send(Accept(stream_id, (), "tcp"))
    pair.client.send(EndOfMessage(stream_id))
    pair.run()
    pair.server.send(Accept(stream_id, (), "tcp"))
    pair.run()
    assert kinds(taken(pair.client)) == [Accept]


def test_a_request_that_offers_nothing(pair: Pair) -> None:
    stream_id = get(pair)
    with pytest.raises(LocalProtocolError):
        pair.server.send(Accept(stream_id, (), "tcp"))
    respond(pair, stream_id, b"as usual")
    assert body(taken(pair.client)) == b"as usual"


@over_http2
def test_http2_has_no_101(pair: Pair) -> None:
    pair.client.send(Request(1, "CONNECT", "http", "a", "/", (), protocol="websocket"))
    pair.run()
    with pytest.raises(LocalProtocolError, match="101"):
        pair.server.send(Accept(1, (), "websocket"))
    pair.server.send(Accept(1))
    pair.run()
    assert kinds(taken(pair.client)) == [Accept]
