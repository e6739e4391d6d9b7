"""100 Continue (RFC 9110 section 10.1.1): the client waits, the server says when."""

from __future__ import annotations

from plait_engine import Data, EndOfMessage, InformationalResponse, Request, Response
from plait_engine.testing import TEST_CONFIG, Pair
from tests.engine.contract.messages import body, get, kinds, request, respond, taken

EXPECT = [("Expect", "100-continue"), ("Content-Length", "7")]


def begin(pair: Pair) -> int:
    """Send a request that waits, and its content behind it."""
    head = request(pair, "POST", headers=EXPECT)
    pair.client.send(head, Data(head.stream_id, b"content"), EndOfMessage(head.stream_id))
    pair.run()
    return head.stream_id


def test_the_content_waits_for_100(pair: Pair) -> None:
    stream_id = begin(pair)
    events = taken(pair.server)
    assert kinds(events) == [Request]
    assert events[0].expect_continue
    pair.server.send(InformationalResponse(stream_id, 100))
    pair.run()
    assert kinds(taken(pair.client)) == [InformationalResponse]
    events = taken(pair.server)
    assert kinds(events) == [Data, EndOfMessage]
    assert body(events) == b"content"
    respond(pair, stream_id, b"thanks")
    assert body(taken(pair.client)) == b"thanks"
    respond(pair, get(pair))
    assert kinds(taken(pair.client)) == [Response, EndOfMessage]


def test_expect_is_a_list(pair: Pair) -> None:
    head = request(pair, "POST", headers=[("Expect", "x, 100-Continue"), ("Content-Length", "7")])
    pair.client.send(head)
    pair.run()
    (event,) = taken(pair.server)
    assert event.expect_continue


def test_the_client_does_not_wait_for_ever(pair: Pair) -> None:
    begin(pair)
    assert kinds(taken(pair.server)) == [Request]
    pair.advance(TEST_CONFIG.timeouts.expect_continue * 0.99)
    assert kinds(taken(pair.server)) == []
    pair.advance(TEST_CONFIG.timeouts.expect_continue * 0.02)
    pair.run()
    assert body(taken(pair.server)) == b"content"


def test_a_final_response_without_100_is_complete(pair: Pair) -> None:
    stream_id = begin(pair)
    respond(pair, stream_id, b"no", status=417)
    events = taken(pair.client)
    assert kinds(events) == [Response, Data, EndOfMessage]
    assert (events[0].status, body(events)) == (417, b"no")


def test_a_request_without_content_waits_for_nothing(pair: Pair) -> None:
    head = request(pair, "GET", headers=[("Expect", "100-continue")])
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    events = taken(pair.server)
    assert kinds(events) == [Request, EndOfMessage]
    assert not events[0].expect_continue


def test_other_content_is_written_after_100_too(pair: Pair) -> None:
    head = request(pair, "POST", headers=[("Expect", "100-continue")])
    stream_id = head.stream_id
    pair.client.send(head)
    pair.run()
    assert kinds(taken(pair.server)) == [Request]
    pair.client.send(Data(stream_id, b"one"))
    pair.run()
    assert taken(pair.server) == []
    pair.server.send(InformationalResponse(stream_id, 100))
    pair.run()
    assert body(taken(pair.server)) == b"one"
    pair.client.send(Data(stream_id, b"two"), EndOfMessage(stream_id))
    pair.run()
    events = taken(pair.server)
    assert kinds(events) == [Data, EndOfMessage]
    assert body(events) == b"two"
