"""A command that is not allowed raises, and then nothing changed and nothing was queued."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from plait_engine import (
    Accept,
    Data,
    EndOfMessage,
    InformationalResponse,
    LocalProtocolError,
    Request,
    Response,
)
from plait_engine.testing import Fragmenter, Pair, whole
from tests.engine.contract.messages import body, get, kinds, post, request, respond, taken


@pytest.fixture
def fragment() -> Fragmenter:
    """These tests are about what does not leave: how it would be cut makes no difference."""
    return whole


BAD_FIELDS = [
    ("", "value"),
    ("two words", "value"),
    ("name:", "value"),
    ("na\nme", "value"),
    ("\u212a", "value"),
    ("name", "a\r\nInjected: 1"),
    ("name", "a\nb"),
    ("name", "a\rb"),
    ("name", "a\x00b"),
    ("name", "a\x7fb"),
    ("name", "a\x0bb"),
    ("name", "\ud800"),
]


@pytest.mark.parametrize("field", BAD_FIELDS, ids=ascii)
def test_a_field_that_cannot_be_sent_in_a_request(pair: Pair, field: tuple[str, str]) -> None:
    head = request(pair, headers=[("x-good", "1"), field, ("x-more", "2")])
    before = pair.client.connection.next_stream_id()
    with pytest.raises(LocalProtocolError):
        pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    assert taken(pair.server) == []
    assert pair.client.connection.next_stream_id() == before
    # Nothing was left behind: not in the output, not in a compression table.
    for target in ("/one", "/two"):
        head = request(pair, target=target, headers=[("x-good", "1"), ("x-more", "2")])
        pair.client.send(head, EndOfMessage(head.stream_id))
        pair.run()
        received = taken(pair.server)
        assert (received[0].target, kinds(received)) == (target, [Request, EndOfMessage])
        respond(pair, head.stream_id)
        taken(pair.client)


@pytest.mark.parametrize("field", BAD_FIELDS, ids=ascii)
def test_a_field_that_cannot_be_sent_in_a_response(pair: Pair, field: tuple[str, str]) -> None:
    stream_id = get(pair)
    for event in (
        Response(stream_id, 200, [field]),
        InformationalResponse(stream_id, 103, [field]),
    ):
        with pytest.raises(LocalProtocolError):
            pair.server.send(event)
    pair.run()
    assert taken(pair.client) == []
    respond(pair, stream_id, b"good")
    assert body(taken(pair.client)) == b"good"


@pytest.mark.parametrize("field", BAD_FIELDS, ids=ascii)
def test_a_field_that_cannot_be_sent_in_trailers(pair: Pair, field: tuple[str, str]) -> None:
    stream_id = get(pair)
    pair.server.send(Response(stream_id, 200), Data(stream_id, b"x"))
    with pytest.raises(LocalProtocolError):
        pair.server.send(EndOfMessage(stream_id, [field]))
    pair.server.send(EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.client)) == [Response, Data, EndOfMessage]


@pytest.mark.parametrize(
    ("method", "target", "authority"),
    [
        ("GET /evil HTTP/1.1\r\nX:", "/", "example.org"),
        ("", "/", "example.org"),
        ("G T", "/", "example.org"),
        ("GET", "/ HTTP/1.1\r\nX: y", "example.org"),
        ("GET", "/with space", "example.org"),
        ("GET", "", "example.org"),
        ("GET", "/\x00", "example.org"),
        ("GET", "/ü", "example.org"),
        ("GET", "/", "example.org\r\nX: y"),
        ("GET", "/", "two words"),
    ],
    ids=ascii,
)
def test_a_request_line_that_cannot_be_sent(
    pair: Pair, method: str, target: str, authority: str
) -> None:
    head = request(pair, method, target, authority=authority)
    with pytest.raises(LocalProtocolError):
        pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    assert taken(pair.server) == []
    respond(pair, get(pair), b"good")
    assert body(taken(pair.client)) == b"good"


@pytest.mark.parametrize("reason", ["OK\r\nX: y", "OK\nX", "OK\x00"])
def test_a_reason_phrase_cannot_end_the_line(pair: Pair, reason: str) -> None:
    stream_id = get(pair)
    if pair.server.connection.protocol == "h2":
        # HTTP/2 has no reason phrase: it is ignored.
        pair.server.send(Response(stream_id, 200, (), reason), EndOfMessage(stream_id))
    else:
        with pytest.raises(LocalProtocolError):
            pair.server.send(Response(stream_id, 200, (), reason), EndOfMessage(stream_id))
        pair.server.send(Response(stream_id, 200), EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.client)) == [Response, EndOfMessage]


@pytest.mark.parametrize(
    "make_events",
    [
        lambda s: [Data(s, b"x")],
        lambda s: [EndOfMessage(s)],
        lambda s: [Response(s, 200), Response(s, 200)],
        lambda s: [Response(s, 200), EndOfMessage(s), EndOfMessage(s)],
        lambda s: [Response(s, 200), EndOfMessage(s), Data(s, b"x")],
        lambda s: [Response(s, 200), InformationalResponse(s, 103)],
        lambda s: [Response(s, 103)],
        lambda s: [Response(s, 99)],
        lambda s: [Response(s, 1000)],
        lambda s: [InformationalResponse(s, 101)],
        lambda s: [InformationalResponse(s, 200)],
        lambda s: [Accept(s)],
        lambda s: [Request(s, "GET", "http", "example.org", "/", ())],
        lambda s: [Response(s, 200), Data(s + 2, b"x")],
        lambda s: [Response(s + 2, 200)],
        lambda s: [Response(s, 200, [("Content-Length", "3")]), Data(s, b"four")],
        lambda s: [Response(s, 200, [("Content-Length", "3")]), Data(s, b"2"), EndOfMessage(s)],
        lambda s: [Response(s, 200, [("Content-Length", "three")])],
        lambda s: [Response(s, 200, [("Content-Length", "-1")])],
    ],
)
def test_a_server_out_of_order(pair: Pair, make_events: Callable[[int], list]) -> None:
    stream_id = get(pair)
    with pytest.raises(LocalProtocolError):
        pair.server.send(*make_events(stream_id))
    pair.run()
    assert taken(pair.client) == []
    respond(pair, stream_id, b"in order")
    events = taken(pair.client)
    assert kinds(events) == [Response, Data, EndOfMessage]
    assert body(events) == b"in order"


@pytest.mark.parametrize(
    "make_events",
    [
        lambda s: [Data(s, b"x")],
        lambda s: [EndOfMessage(s)],
        lambda s: [Response(s, 200)],
        lambda s: [Accept(s)],
        lambda s: [Request(s + 2, "GET", "http", "example.org", "/", ())],
        lambda s: [Request(s, "GET", "http", "example.org", "/", ()), Data(s + 2, b"x")],
        lambda s: [Request(s, "GET", "http", "example.org", "/", ())] * 2,
    ],
)
def test_a_client_out_of_order(pair: Pair, make_events: Callable[[int], list]) -> None:
    stream_id = pair.client.connection.next_stream_id()
    with pytest.raises(LocalProtocolError):
        pair.client.send(*make_events(stream_id))
    pair.run()
    assert taken(pair.server) == []
    assert get(pair) == stream_id
    assert kinds(taken(pair.server)) == [Request, EndOfMessage]


def test_content_that_does_not_fit_its_length(pair: Pair) -> None:
    stream_id = post(pair, headers=[("Content-Length", "4")])
    with pytest.raises(LocalProtocolError):
        pair.client.send(Data(stream_id, b"12345"))
    pair.client.send(Data(stream_id, b"12"))
    with pytest.raises(LocalProtocolError):
        pair.client.send(EndOfMessage(stream_id))
    with pytest.raises(LocalProtocolError):
        pair.client.send(Data(stream_id, b"34"), Data(stream_id, b"5"))
    pair.client.send(Data(stream_id, b"34"), EndOfMessage(stream_id))
    pair.run()
    assert body(taken(pair.server)) == b"1234"


def test_a_command_of_nothing_does_nothing(pair: Pair) -> None:
    for endpoint in (pair.client, pair.server):
        endpoint.send()
        assert endpoint.take_sent() == b""
    pair.cut()
    pair.client.send()


def test_a_server_opens_no_stream(pair: Pair) -> None:
    with pytest.raises(LocalProtocolError):
        pair.server.connection.next_stream_id()
    assert pair.server.connection.available_streams == 0


def test_a_stream_that_has_ended_takes_nothing(pair: Pair) -> None:
    stream_id = get(pair)
    respond(pair, stream_id)
    for event in (Response(stream_id, 200), Data(stream_id, b"x"), EndOfMessage(stream_id)):
        with pytest.raises(LocalProtocolError):
            pair.server.send(event)
    assert pair.server.connection.send_capacity(stream_id) == 0
    assert pair.client.connection.send_capacity(stream_id) == 0


def test_a_closed_connection_takes_nothing(pair: Pair) -> None:
    pair.cut()
    for endpoint in (pair.client, pair.server):
        with pytest.raises(LocalProtocolError):
            endpoint.send(Data(1, b"x"))
    with pytest.raises(LocalProtocolError):
        pair.client.send(Request(1, "GET", "http", "example.org", "/", ()), EndOfMessage(1))
    with pytest.raises(LocalProtocolError):
        pair.client.connection.next_stream_id()
