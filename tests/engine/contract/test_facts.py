"""What the engine has read stands on the event; what it is told on the command is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plait_engine import (
    Data,
    Draining,
    EndOfMessage,
    Event,
    Request,
    Response,
    Role,
    create_connection,
)
from plait_engine.testing import TEST_CONFIG, Endpoint, Fragmenter, Pair, messages
from tests.engine.contract.conftest import MakePair
from tests.engine.contract.messages import body, get, kinds, request, respond, taken

CONTENT = b"content"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_a_request_without_content_ends_with_its_head(pair: Pair, method: str) -> None:
    head = request(pair, method)
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received, end = taken(pair.server)
    assert isinstance(received, Request)
    assert received.ends
    assert received.keep_alive
    assert received.expect is None
    assert received.content_encoding is None
    assert isinstance(end, EndOfMessage)


def test_the_end_of_a_request_without_content_may_be_implied(
    make_pair: MakePair, engines: tuple[str, str]
) -> None:
    pair = make_pair(server=replace(TEST_CONFIG, implied_end=True))
    for _ in range(3):
        stream_id = get(pair)
        received, *end = taken(pair.server)
        assert isinstance(received, Request)
        assert received.ends
        # An engine may leave it out.
        assert kinds(end) == ([] if engines[1] == "native" else [EndOfMessage])
        respond(pair, stream_id, b"answer")
        assert body(taken(pair.client)) == b"answer"
        head = request(pair, "POST")
        pair.client.send(head, Data(head.stream_id, CONTENT), EndOfMessage(head.stream_id))
        pair.run()
        assert kinds(taken(pair.server)) == [Request, Data, EndOfMessage]
        respond(pair, head.stream_id)


def test_a_request_with_content_does_not_end_with_its_head(pair: Pair) -> None:
    head = request(pair, "POST")
    pair.client.send(head, Data(head.stream_id, CONTENT), EndOfMessage(head.stream_id))
    pair.run()
    received = taken(pair.server)[0]
    assert isinstance(received, Request)
    assert not received.ends
    assert received.keep_alive


def test_a_request_for_a_tunnel_does_not_end_with_its_head(pair: Pair) -> None:
    stream_id = pair.client.connection.next_stream_id()
    pair.client.send(
        Request(stream_id, "CONNECT", "http", "host.example:443", "host.example:443", ())
    )
    pair.run()
    (received,) = taken(pair.server)
    assert isinstance(received, Request)
    assert not received.ends


@pytest.mark.parametrize("value", ["100-continue", "100-Continue", "x, 100-continue", "other"])
def test_expect_is_told_as_it_came(pair: Pair, value: str) -> None:
    head = request(pair, "POST", headers=[("Expect", value), ("Content-Length", "7")])
    pair.client.send(head)
    pair.run()
    received = taken(pair.server)[0]
    assert isinstance(received, Request)
    assert received.expect == value
    assert received.expect_continue is ("100-continue" in value.lower())


def test_expect_is_told_without_content_too(pair: Pair) -> None:
    head = request(pair, headers=[("Expect", "100-continue")])
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received = taken(pair.server)[0]
    assert isinstance(received, Request)
    assert (received.expect, received.expect_continue) == ("100-continue", False)
    assert received.ends


@pytest.mark.parametrize("values", [["gzip"], ["GZip, br"], ["gzip", "br, x"], [""]])
@pytest.mark.parametrize("content", [b"", CONTENT])
def test_the_coding_of_content_is_told_as_it_came(
    pair: Pair, values: list[str], content: bytes
) -> None:
    head = request(pair, "POST", headers=[("Content-Encoding", value) for value in values])
    for _ in range(2):  # What is known from before is read as it was.
        head = replace(head, stream_id=pair.client.connection.next_stream_id())
        pair.client.send(head, Data(head.stream_id, content), EndOfMessage(head.stream_id))
        pair.run()
        received = taken(pair.server)[0]
        assert isinstance(received, Request)
        assert received.content_encoding == ", ".join(values)
        respond(pair, head.stream_id)
        taken(pair.client)


@pytest.mark.parametrize("complete", [True, False], ids=["complete", "pieces"])
def test_a_response_that_ends_the_connection(pair: Pair, complete: bool) -> None:
    stream_id = get(pair)
    head = Response(stream_id, 200, [("X-One", "1")], close=True)
    rest = Data(stream_id, CONTENT), EndOfMessage(stream_id)
    if complete:
        pair.server.send(head, *rest)
    else:
        pair.server.send(head)
        pair.server.send(*rest)
    pair.run()
    over_http1 = pair.server.connection.protocol == "http/1.1"
    events = taken(pair.client)
    assert kinds(events) == [Response, Data, EndOfMessage]
    assert isinstance(events[0], Response)
    assert body(events) == CONTENT
    # RFC 9112 section 9.6; HTTP/2 has other streams on the connection.
    assert events[0].close is over_http1
    fields = [(name.lower(), value) for name, value in events[0].headers]
    assert fields.count(("connection", "close")) == over_http1
    assert pair.client.is_closed is over_http1


def test_close_is_said_once(pair: Pair) -> None:
    stream_id = get(pair)
    pair.server.send(
        Response(stream_id, 200, [("Connection", "close")], close=True), EndOfMessage(stream_id)
    )
    pair.run()
    received = taken(pair.client)[0]
    assert isinstance(received, Response)
    over_http1 = pair.server.connection.protocol == "http/1.1"
    assert [name.lower() for name, _ in received.headers].count("connection") == over_http1


def test_a_response_that_keeps_the_connection(pair: Pair) -> None:
    respond(pair, get(pair), CONTENT)
    received = taken(pair.client)[0]
    assert isinstance(received, Response)
    assert not received.close


# -- HTTP/1.1 alone: what the bytes say about the connection (RFC 9112 section 9.3) ----------


def receive(role: Role, engine: str, fragment: Fragmenter, data: bytes) -> list[Event]:
    endpoint = Endpoint(create_connection(role, "http/1.1", TEST_CONFIG, engine=engine))
    endpoint.fragment = fragment
    endpoint.start()
    if role is Role.CLIENT:
        endpoint.send(Request(1, "GET", "http", "a", "/", ()), EndOfMessage(1))
    endpoint.receive(data)
    return endpoint.take()


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", None, True),
        ("1.1", "keep-alive", True),
        ("1.1", "close", False),
        ("1.1", "x, Close", False),
        ("1.1", "keep-alive, close", False),
        ("1.0", None, False),
        ("1.0", "close", False),
    ],
)
def test_whether_a_request_keeps_the_connection(
    engine: str, fragment: Fragmenter, version: str, connection: str | None, kept: bool
) -> None:
    fields = [("Host", "a")] + ([] if connection is None else [("Connection", connection)])
    data = messages.request(fields=fields, version=f"HTTP/{version}")
    head = receive(Role.SERVER, engine, fragment, data)[0]
    assert isinstance(head, Request)
    assert head.keep_alive is kept


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False),
    ],
)
def test_whether_a_response_ends_the_connection(
    engine: str, fragment: Fragmenter, head: bytes, closes: bool
) -> None:
    events = receive(Role.CLIENT, engine, fragment, head)
    response = next(event for event in events if isinstance(event, Response))
    assert response.close is closes
    assert any(isinstance(event, Draining) for event in events) is closes
