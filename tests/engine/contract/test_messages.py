"""Whole exchanges: what is sent on one side is what is reported on the other."""

from __future__ import annotations

import pytest

from plait_engine import Data, EndOfMessage, Headers, InformationalResponse, Request, Response
from plait_engine.testing import Pair
from tests.engine.contract.conftest import MakePair
from tests.engine.contract.messages import body, get, kinds, own, post, request, respond, taken

BODIES = [b"x", b"hello, world", bytes(range(256)) * 80]
FIELDS = [
    ("X-One", "1"),
    ("x-two", 'a, b;c="d\te"'),
    ("X-One", "again"),
    ("x-empty", ""),
    ("x-utf", "grüße ✓"),
    ("x-bytes", b"\xff\xfe\x80".decode("utf-8", "surrogateescape")),
]


def test_a_request_without_content(pair: Pair) -> None:
    stream_id = get(pair, "/path?query=1")
    head, end = taken(pair.server)
    assert isinstance(head, Request)
    assert (head.stream_id, head.method, head.target) == (stream_id, "GET", "/path?query=1")
    assert (head.scheme, head.authority) == ("http", "example.org")
    assert head.protocol is None
    assert not head.expect_continue
    assert end == EndOfMessage(stream_id, end.trailers)
    assert not end.trailers


@pytest.mark.parametrize("content", BODIES, ids=len)
def test_a_complete_request_with_content(pair: Pair, content: bytes) -> None:
    head = request(pair, "POST", "/upload")
    pair.client.send(head, Data(head.stream_id, content), EndOfMessage(head.stream_id))
    pair.run()
    received, data, end = taken(pair.server)
    assert isinstance(received, Request)
    assert (received.method, received.target) == ("POST", "/upload")
    assert dict(own_and_length(received))["content-length"] == str(len(content))
    assert isinstance(data, Data)
    assert data.data == content
    assert data.credit >= len(content)
    assert isinstance(end, EndOfMessage)


def own_and_length(message: Request | Response) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in message.headers]


def test_a_request_in_pieces_whose_length_nobody_knows(pair: Pair) -> None:
    stream_id = post(pair)
    assert kinds(taken(pair.server)) == [Request]
    for piece in (b"one", b"", b"two", b"three"):
        pair.client.send(Data(stream_id, piece))
        pair.run()
    assert body(taken(pair.server)) == b"onetwothree"
    pair.client.send(EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.server)) == [EndOfMessage]


def test_a_request_whose_length_the_application_says(pair: Pair) -> None:
    stream_id = post(pair, headers=[("Content-Length", "6")])
    pair.client.send(Data(stream_id, b"123"))
    pair.client.send(Data(stream_id, b"456"), EndOfMessage(stream_id))
    pair.run()
    events = taken(pair.server)
    assert kinds(events) == [Request, Data, EndOfMessage]
    assert body(events) == b"123456"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_empty_message_of_a_method_with_content_says_so(pair: Pair, method: str) -> None:
    # RFC 9110 section 8.6
    head = request(pair, method)
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received, end = taken(pair.server)
    assert isinstance(received, Request)
    assert ("content-length", "0") in own_and_length(received)
    assert isinstance(end, EndOfMessage)


@pytest.mark.parametrize("content", [b"", *BODIES], ids=len)
def test_a_complete_response(pair: Pair, content: bytes) -> None:
    stream_id = get(pair)
    respond(pair, stream_id, content, status=201)
    events = taken(pair.client)
    head = events[0]
    assert isinstance(head, Response)
    assert (head.stream_id, head.status) == (stream_id, 201)
    assert ("content-length", str(len(content))) in own_and_length(head)
    assert kinds(events[1:]) == ([Data, EndOfMessage] if content else [EndOfMessage])
    assert body(events) == content


def test_a_response_in_pieces(pair: Pair) -> None:
    stream_id = get(pair)
    pair.server.send(Response(stream_id, 200))
    pair.run()
    assert kinds(taken(pair.client)) == [Response]
    pair.server.send(Data(stream_id, b"one"))
    pair.server.send(Data(stream_id, b"two"))
    pair.run()
    assert body(taken(pair.client)) == b"onetwo"
    pair.server.send(EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.client)) == [EndOfMessage]


def test_fields_arrive_as_they_were_sent(pair: Pair) -> None:
    head = request(pair, headers=FIELDS)
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received = taken(pair.server)[0]
    assert isinstance(received, Request)
    expected = [(name.lower(), value) for name, value in FIELDS]
    assert own(received.headers) == expected
    pair.server.send(Response(head.stream_id, 200, FIELDS), EndOfMessage(head.stream_id))
    pair.run()
    answer = taken(pair.client)[0]
    assert isinstance(answer, Response)
    assert own(answer.headers) == expected


def test_white_space_around_a_value_is_not_part_of_it(pair: Pair) -> None:
    # RFC 9110 section 5.5
    head = request(pair, headers=[("x-padded", "  in side\t ")])
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received = taken(pair.server)[0]
    assert isinstance(received, Request)
    assert own(received.headers) == [("x-padded", "in side")]


def test_trailers_in_both_directions(pair: Pair) -> None:
    stream_id = post(pair)
    pair.client.send(Data(stream_id, b"up"), EndOfMessage(stream_id, [("X-Sum", "1")]))
    pair.run()
    events = taken(pair.server)
    assert kinds(events) == [Request, Data, EndOfMessage]
    assert own(events[-1].trailers) == [("x-sum", "1")]
    pair.server.send(
        Response(stream_id, 200),
        Data(stream_id, b"down"),
        EndOfMessage(stream_id, [("X-Sum", "2"), ("x-time", "3")]),
    )
    pair.run()
    events = taken(pair.client)
    assert kinds(events) == [Response, Data, EndOfMessage]
    assert own(events[-1].trailers) == [("x-sum", "2"), ("x-time", "3")]


@pytest.mark.parametrize("fields", [[("Content-Length", "5")], []], ids=["given", "derived"])
def test_a_response_to_head_has_no_content(pair: Pair, fields: list[tuple[str, str]]) -> None:
    # RFC 9110 section 9.3.2: what a GET would send is said, and not sent.
    head = request(pair, "HEAD")
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    stream_id = head.stream_id
    pair.server.send(
        Response(stream_id, 200, fields),
        Data(stream_id, b"hello"),
        EndOfMessage(stream_id),
    )
    pair.run()
    events = taken(pair.client)
    assert kinds(events) == [Response, EndOfMessage]
    assert ("content-length", "5") in own_and_length(events[0])
    respond(pair, get(pair), b"next")
    assert body(taken(pair.client)) == b"next"


@pytest.mark.parametrize("content", [b"", b"dropped"], ids=["none", "dropped"])
@pytest.mark.parametrize("in_pieces", [False, True], ids=["complete", "pieces"])
@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (204, ()),
        (205, ()),
        (304, ()),
        (204, [("Content-Length", "7")]),
        (205, [("Content-Length", "7")]),
    ],
)
def test_a_status_without_content(
    pair: Pair, status: int, fields: Headers, in_pieces: bool, content: bytes
) -> None:
    # RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5
    stream_id = get(pair)
    head = Response(stream_id, status, fields)
    rest = Data(stream_id, content), EndOfMessage(stream_id)
    if in_pieces:
        for event in (head, *rest):
            pair.server.send(event)
    else:
        pair.server.send(head, *rest)
    pair.run()
    events = taken(pair.client)
    assert kinds(events) == [Response, EndOfMessage]
    assert isinstance(events[0], Response)
    assert events[0].status == status
    length = dict(own_and_length(events[0])).get("content-length")
    if status == 204:
        assert length is None  # section 8.6
    elif status == 205:
        assert length == "0"
    respond(pair, get(pair), b"next")
    assert body(taken(pair.client)) == b"next"


def test_informational_responses_come_before_the_final_one(pair: Pair) -> None:
    stream_id = get(pair)
    for status in (102, 103, 199):
        link = ("Link", f"</{status}>")
        pair.server.send(InformationalResponse(stream_id, status, [link]))
    pair.run()
    events = taken(pair.client)
    assert kinds(events) == [InformationalResponse] * 3
    assert [event.status for event in events] == [102, 103, 199]
    assert own(events[1].headers) == [("link", "</103>")]
    respond(pair, stream_id, b"final")
    assert kinds(taken(pair.client)) == [Response, Data, EndOfMessage]


def test_an_informational_and_a_final_response_in_one_command(pair: Pair) -> None:
    stream_id = get(pair)
    pair.server.send(
        InformationalResponse(stream_id, 103),
        Response(stream_id, 200),
        Data(stream_id, b"x"),
        EndOfMessage(stream_id),
    )
    pair.run()
    assert kinds(taken(pair.client)) == [InformationalResponse, Response, Data, EndOfMessage]


def test_a_response_may_begin_before_the_request_ends(pair: Pair) -> None:
    stream_id = post(pair)
    pair.server.send(Response(stream_id, 200), Data(stream_id, b"early"))
    pair.run()
    assert body(taken(pair.client)) == b"early"
    pair.client.send(Data(stream_id, b"late"), EndOfMessage(stream_id))
    pair.run()
    assert body(taken(pair.server)) == b"late"
    pair.server.send(EndOfMessage(stream_id))
    pair.run()
    assert kinds(taken(pair.client)) == [EndOfMessage]
    assert pair.client.connection.open_streams == 0
    assert pair.server.connection.open_streams == 0


def test_exchanges_follow_each_other(pair: Pair) -> None:
    for number in range(1, 6):
        stream_id = get(pair, f"/{number}")
        assert stream_id == 2 * number - 1
        received = taken(pair.server)
        assert received[0].target == f"/{number}"
        respond(pair, stream_id, b"%d" % number)
        assert body(taken(pair.client)) == b"%d" % number
        assert pair.client.connection.open_streams == 0
        assert pair.server.connection.open_streams == 0
    assert not pair.client.is_closed
    assert not pair.server.is_closed


def test_a_link_with_latency_changes_nothing_but_the_time(make_pair: MakePair) -> None:
    pair = make_pair(latency=0.25)
    before = pair.now
    stream_id = get(pair)
    respond(pair, stream_id, b"far")
    assert body(taken(pair.client)) == b"far"
    assert pair.now >= before + 0.5


def test_the_asterisk_form(pair: Pair) -> None:
    # RFC 9112 section 3.2.4, RFC 9113 section 8.3.1
    head = request(pair, "OPTIONS", "*")
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received = taken(pair.server)[0]
    assert (received.method, received.target) == ("OPTIONS", "*")


def test_a_host_field_takes_the_place_of_the_authority(pair: Pair) -> None:
    head = request(pair, headers=[("Host", "other.example:8080")])
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received = taken(pair.server)[0]
    assert isinstance(received, Request)
    assert received.authority == "other.example:8080"
