"""Tunnels: CONNECT, Upgrade on HTTP/1.1, extended CONNECT on HTTP/2 (RFC 8441)."""

from __future__ import annotations

import pytest

from plait_engine import (
    Accept,
    Config,
    Data,
    EndOfMessage,
    Limits,
    LocalProtocolError,
    Request,
    Response,
)
from plait_engine.testing import Pair, counting_random
from tests.engine.contract.conftest import MakePair
from tests.engine.contract.messages import body, get, kinds, own, respond, taken


def connect_request(pair: Pair) -> Request:
    stream_id = pair.client.connection.next_stream_id()
    return Request(stream_id, "CONNECT", "http", "host.example:443", "host.example:443", ())


def websocket_request(pair: Pair) -> Request:
    stream_id = pair.client.connection.next_stream_id()
    method = "GET" if pair.client.connection.protocol == "http/1.1" else "CONNECT"
    return Request(stream_id, method, "http", "example.org", "/chat", (), protocol="websocket")


REQUESTS = pytest.mark.parametrize("make_request", [connect_request, websocket_request])


def ask(pair: Pair, make_request: object) -> int:
    """Ask for a tunnel and deliver the request."""
    assert callable(make_request)
    event = make_request(pair)
    pair.client.send(event)
    pair.run()
    return event.stream_id


def test_a_connect_request_arrives(pair: Pair) -> None:
    ask(pair, connect_request)
    (received,) = taken(pair.server)
    assert isinstance(received, Request)
    assert received.method == "CONNECT"
    assert (received.target, received.authority) == ("host.example:443", "host.example:443")
    assert received.protocol is None


def test_a_websocket_request_arrives(pair: Pair) -> None:
    ask(pair, websocket_request)
    (received,) = taken(pair.server)
    assert isinstance(received, Request)
    assert (received.target, received.authority) == ("/chat", "example.org")
    assert received.protocol == "websocket"


@REQUESTS
def test_bytes_go_both_ways_after_accept(pair: Pair, make_request: object) -> None:
    stream_id = ask(pair, make_request)
    taken(pair.server)
    pair.server.send(Accept(stream_id, [("x-extra", "1")]))
    pair.run()
    (accept,) = taken(pair.client)
    assert isinstance(accept, Accept)
    assert ("x-extra", "1") in own(accept.headers)
    pair.client.send(Data(stream_id, b"GET / HTTP/1.1\r\n\r\n"))
    pair.server.send(Data(stream_id, b"\x00\x01\r\n"))
    pair.run()
    assert body(taken(pair.server)) == b"GET / HTTP/1.1\r\n\r\n"
    assert body(taken(pair.client)) == b"\x00\x01\r\n"


@REQUESTS
def test_the_first_bytes_may_come_with_accept(pair: Pair, make_request: object) -> None:
    stream_id = ask(pair, make_request)
    pair.server.send(Accept(stream_id), Data(stream_id, b"banner"))
    pair.run()
    events = taken(pair.client)
    assert kinds(events) == [Accept, Data]
    assert body(events) == b"banner"


@REQUESTS
def test_each_side_ends_a_tunnel_for_itself(pair: Pair, make_request: object) -> None:
    stream_id = ask(pair, make_request)
    pair.server.send(Accept(stream_id))
    pair.run()
    taken(pair.server)
    pair.client.send(Data(stream_id, b"last words"), EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.server)) == [Data, EndOfMessage]
    pair.server.send(Data(stream_id, b"an answer"), EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.client)) == [Accept, Data, EndOfMessage]
    assert pair.client.connection.open_streams == 0
    assert pair.server.connection.open_streams == 0


@REQUESTS
def test_a_server_may_end_a_tunnel_first(pair: Pair, make_request: object) -> None:
    stream_id = ask(pair, make_request)
    pair.server.send(Accept(stream_id), EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.client)) == [Accept, EndOfMessage]
    taken(pair.server)
    pair.client.send(Data(stream_id, b"still here"), EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.server)) == [Data, EndOfMessage]


@REQUESTS
def test_a_declined_tunnel_is_an_ordinary_exchange(pair: Pair, make_request: object) -> None:
    stream_id = ask(pair, make_request)
    assert kinds(taken(pair.server)) == [Request]
    respond(pair, stream_id, b"no tunnel here", status=403)
    events = taken(pair.client)
    assert kinds(events) == [Response, Data, EndOfMessage]
    assert (events[0].status, body(events)) == (403, b"no tunnel here")
    # The request's end follows the response that declines.
    assert kinds(taken(pair.server)) == [EndOfMessage]
    assert pair.client.connection.open_streams == 0
    assert pair.server.connection.open_streams == 0


def test_the_connection_goes_on_after_a_declined_tunnel(pair: Pair) -> None:
    stream_id = ask(pair, websocket_request)
    respond(pair, stream_id, status=404)
    taken(pair.client)
    taken(pair.server)
    respond(pair, get(pair, "/plain"), b"plain")
    assert body(taken(pair.client)) == b"plain"
    assert taken(pair.server)[0].target == "/plain"


@REQUESTS
def test_nothing_is_sent_before_the_answer(pair: Pair, make_request: object) -> None:
    stream_id = ask(pair, make_request)
    with pytest.raises(LocalProtocolError):
        pair.client.send(Data(stream_id, b"too early"))
    with pytest.raises(LocalProtocolError):
        pair.server.send(Data(stream_id, b"too early"))
    pair.run()
    assert kinds(taken(pair.server)) == [Request]
    assert taken(pair.client) == []


def test_2xx_to_connect_is_said_by_accept(pair: Pair) -> None:
    stream_id = ask(pair, connect_request)
    with pytest.raises(LocalProtocolError):
        pair.server.send(Response(stream_id, 200))


def test_a_request_for_no_tunnel_cannot_be_accepted(pair: Pair) -> None:
    stream_id = get(pair)
    with pytest.raises(LocalProtocolError):
        pair.server.send(Accept(stream_id))
    respond(pair, stream_id, b"as usual")
    assert body(taken(pair.client)) == b"as usual"


def test_more_than_a_window_flows_through_a_tunnel(make_pair: MakePair) -> None:
    config = Config(random=counting_random, limits=Limits(stream_window=2000))
    pair = make_pair(client=config, server=config)
    stream_id = ask(pair, websocket_request)
    pair.server.send(Accept(stream_id))
    pair.run()
    taken(pair.server)
    content = bytes(range(256)) * 40
    pair.client.send(Data(stream_id, content))
    pair.server.send(Data(stream_id, content))
    pair.run()
    assert body(taken(pair.server)) == content
    assert body(taken(pair.client)) == content


def test_a_protocol_that_the_server_does_not_offer(make_pair: MakePair) -> None:
    pair = make_pair(server=Config(random=counting_random, upgrade_protocols=frozenset()))
    stream_id = ask(pair, websocket_request)
    if pair.client.connection.protocol == "h2":
        # The engine answers by itself: 501, and the application never sees the request.
        assert [e for e in taken(pair.server) if isinstance(e, Request)] == []
        response = taken(pair.client)[0]
        assert isinstance(response, Response)
        assert response.status == 501
    else:
        # RFC 9110 section 7.8: Upgrade is ignored, the request is an ordinary one.
        head, end = taken(pair.server)
        assert isinstance(head, Request)
        assert head.protocol is None
        assert isinstance(end, EndOfMessage)
        respond(pair, stream_id, b"no upgrade")
        assert body(taken(pair.client)) == b"no upgrade"
