"""100 Continue (RFC 9110 section 10.1.1): the client waits, the server says when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plait_engine import (
    Data,
    EndOfMessage,
    ErrorCode,
    InformationalResponse,
    Request,
    Response,
    StreamReset,
    Writable,
)
from plait_engine.testing import TEST_CONFIG, Pair
from tests.engine.contract.conftest import MakePair
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


@pytest.mark.parametrize("status", [100, 417])
def test_a_sender_that_waits_is_not_told_to_write(make_pair: MakePair, status: int) -> None:
    limits = replace(TEST_CONFIG.limits, write_high_water=200, write_low_water=100)
    pair = make_pair(client=replace(TEST_CONFIG, limits=limits))
    head = request(pair, "POST", headers=[*EXPECT[:1], ("X-Long", "x" * 500)])
    stream_id = head.stream_id
    pair.client.send(head)
    if pair.client.connection.send_capacity(stream_id) > 0:
        pair.client.send(Data(stream_id, bytes(200)))
    assert pair.client.connection.send_capacity(stream_id) <= 0
    pair.run()
    assert Writable not in kinds(pair.client.take())
    pair.server.send((InformationalResponse if status < 200 else Response)(stream_id, status))
    pair.run()
    assert Writable in kinds(pair.client.take())
    assert pair.client.connection.send_capacity(stream_id) > 0


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


def test_other_informational_responses_leave_the_content_held(pair: Pair) -> None:
    stream_id = begin(pair)
    taken(pair.server)
    for status in (103, 102):
        pair.server.send(InformationalResponse(stream_id, status))
        pair.run()
        assert taken(pair.server) == []
    pair.server.send(InformationalResponse(stream_id, 100))
    pair.run()
    assert body(taken(pair.server)) == b"content"


@pytest.mark.parametrize("is_complete", [True, False], ids=["complete", "in parts"])
@pytest.mark.parametrize("status", [417, 401, 200])
def test_a_final_response_drops_the_content(pair: Pair, status: int, is_complete: bool) -> None:
    head = request(pair, "POST", headers=EXPECT)
    stream_id = head.stream_id
    pair.client.send(head, Data(stream_id, b"con"))
    if is_complete:
        pair.client.send(Data(stream_id, b"tent"), EndOfMessage(stream_id))
    pair.run()
    taken(pair.server)
    pair.server.send(Response(stream_id, status))
    pair.run()
    if not is_complete:
        pair.client.send(Data(stream_id, b"tent"))  # it may not know yet
        pair.run()
    pair.server.send(Data(stream_id, b"no"), EndOfMessage(stream_id))
    pair.run()
    received = taken(pair.server)
    assert body(received) == b""
    assert EndOfMessage not in kinds(received)  # it would say that the content is complete
    events = taken(pair.client)
    expected = [Response, Data, EndOfMessage]
    if not is_complete:
        expected.append(StreamReset)
        assert events[-1].code == ErrorCode.NO_ERROR
    assert kinds(events) == expected
    assert pair.client.connection.open_streams == 0
    assert pair.server.connection.open_streams == 0


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
