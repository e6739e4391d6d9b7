"""HTTP/2 only: many streams, PING, SETTINGS, GOAWAY."""

from __future__ import annotations

import pytest

from plait_engine import (
    Config,
    Data,
    Draining,
    EndOfMessage,
    ErrorCode,
    Initiator,
    Limits,
    LocalProtocolError,
    PingAcknowledged,
    Request,
    Response,
    SettingsChanged,
    StreamReset,
    Timeouts,
)
from plait_engine.testing import Pair, counting_random, frames
from tests.engine.contract.conftest import MakePair
from tests.engine.contract.messages import body, get, request, respond, taken


@pytest.fixture(params=["h2"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_settings_are_announced(make_pair: MakePair) -> None:
    config = Config(
        random=counting_random, limits=Limits(max_concurrent_streams=7, stream_window=70000)
    )
    pair = make_pair(server=config)
    changes: dict[int, int] = {}
    for event in pair.client.recorder.of_type(SettingsChanged):
        changes.update(event.settings)
    assert changes[0x3] == 7
    assert changes[0x4] == 70000
    assert changes[0x8] == 1
    assert pair.client.connection.available_streams == 7


def test_answers_in_any_order(pair: Pair) -> None:
    ids = [get(pair, f"/{n}") for n in range(5)]
    assert ids == [1, 3, 5, 7, 9]
    assert pair.client.connection.open_streams == 5
    for stream_id in reversed(ids):
        respond(pair, stream_id, b"%d" % stream_id)
        events = taken(pair.client)
        assert {event.stream_id for event in events} == {stream_id}
        assert body(events) == b"%d" % stream_id
    assert pair.client.connection.open_streams == 0
    assert pair.server.connection.open_streams == 0


def test_a_slow_stream_does_not_stop_another(make_pair: MakePair) -> None:
    config = Config(random=counting_random, limits=Limits(stream_window=2000))
    pair = make_pair(client=config)
    slow, fast = get(pair, "/slow"), get(pair, "/fast")
    pair.client.acknowledges = False
    pair.server.send(Response(slow, 200), Data(slow, b"s" * 10_000))
    pair.run()
    respond(pair, fast, b"f" * 1500)
    assert pair.client.recorder.body(fast) == b"f" * 1500
    assert len(pair.client.recorder.body(slow)) <= 2000


def test_no_more_streams_than_the_server_takes(make_pair: MakePair) -> None:
    config = Config(random=counting_random, limits=Limits(max_concurrent_streams=2))
    pair = make_pair(server=config)
    first = get(pair)
    get(pair)
    assert pair.client.connection.available_streams == 0
    with pytest.raises(LocalProtocolError):
        pair.client.connection.next_stream_id()
    respond(pair, first)
    assert pair.client.connection.available_streams == 1
    respond(pair, get(pair), b"third")
    assert body(taken(pair.client)) == b"third"


def test_a_stream_too_many_is_refused(make_pair: MakePair) -> None:
    config = Config(random=counting_random, limits=Limits(max_concurrent_streams=1))
    pair = make_pair(server=config)
    get(pair)
    taken(pair.server)
    block = frames.request_block("GET", "/too-many")
    pair.server.receive(frames.headers(3, block, end_stream=True))
    resets = [
        frame
        for frame in frames.split_frames(pair.server.take_sent())
        if frame.type == frames.FrameType.RST_STREAM
    ]
    assert [(frame.stream_id, frame.payload) for frame in resets] == [
        (3, ErrorCode.REFUSED_STREAM.to_bytes(4, "big"))
    ]
    assert [e for e in taken(pair.server) if isinstance(e, Request)] == []
    assert not pair.server.is_closed


def test_ping(make_pair: MakePair) -> None:
    pair = make_pair(latency=0.5)
    for endpoint in (pair.client, pair.server):
        endpoint.ping(b"8 bytes.")
        pair.run()
        (event,) = endpoint.recorder.of_type(PingAcknowledged)
        assert event.payload == b"8 bytes."
        assert event.round_trip == pytest.approx(1.0)


@pytest.mark.parametrize("payload", [b"", b"7 byte", b"nine octe"])
def test_a_ping_has_8_bytes(pair: Pair, payload: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        pair.client.ping(payload)


def test_silence_is_answered_by_ping(make_pair: MakePair) -> None:
    config = Config(random=counting_random, timeouts=Timeouts(ping_interval=5.0, pong=2.0))
    pair = make_pair(client=config)
    get(pair)
    pair.advance(30.0)
    assert not pair.client.is_closed
    # The peer is gone, and nobody said so.
    pair.client.handle_timeout()
    client = pair.client
    client.clock.now += 5.1
    client.handle_timeout()
    assert not client.is_closed
    client.clock.now += 2.1
    client.handle_timeout()
    assert client.is_closed
    assert StreamReset in [type(event) for event in client.events]


def test_a_request_after_silence_comes_with_a_ping(make_pair: MakePair) -> None:
    config = Config(random=counting_random, timeouts=Timeouts(probe=10.0, pong=2.0))
    pair = make_pair(client=config)
    counts = []
    for seconds in (0, 9.0, 11.0, 1.0, 40.0):
        pair.advance(seconds)
        respond(pair, get(pair))
        sent = frames.split_frames(bytes(pair.client.sent).removeprefix(frames.PREFACE))
        counts.append([(f.type, f.flags) for f in sent].count((frames.FrameType.PING, 0)))
    assert counts == [0, 0, 1, 1, 2]
    pair.advance(30.0)
    assert not pair.client.is_closed


@pytest.mark.parametrize("answers", [False, True])
def test_a_peer_that_sends_something_lives(make_pair: MakePair, answers: bool) -> None:
    """Its answer to PING may come behind much else."""
    config = Config(random=counting_random, timeouts=Timeouts(probe=10.0, pong=2.0))
    client = make_pair(client=config).client
    client.clock.now += 60.0
    head = Request(client.connection.next_stream_id(), "GET", "http", "host", "/", ())
    client.send(head, EndOfMessage(head.stream_id))
    for _ in range(5):
        client.clock.now += 1.9
        if answers:
            client.receive(frames.settings())
        client.handle_timeout()
    assert client.is_closed is not answers
    resets = client.recorder.of_type(StreamReset)
    assert [reset.error and reset.error.status_hint for reset in resets] == [408] * (not answers)


def test_settings_that_are_not_acknowledged(make_pair: MakePair) -> None:
    template = make_pair().client.connection
    config = Config(random=counting_random, timeouts=Timeouts(settings=3.0))
    connection = type(template)(template.role, config)
    connection.connection_made(0.0)
    connection.receive_data(frames.settings(), 0.1)
    connection.data_to_send()
    connection.handle_timeout(2.9)
    assert not connection.wants_close
    connection.handle_timeout(3.1)
    assert connection.wants_close
    goaway = frames.split_frames(connection.data_to_send())[-1]
    assert goaway.type == frames.FrameType.GOAWAY
    assert goaway.payload[4:8] == ErrorCode.SETTINGS_TIMEOUT.to_bytes(4, "big")


def test_streams_above_goaway_may_be_sent_again(pair: Pair) -> None:
    ids = [get(pair) for _ in range(3)]
    pair.client.receive(frames.goaway(ids[0], ErrorCode.NO_ERROR, b"restart"))
    draining = pair.client.recorder.of_type(Draining)
    assert (draining[0].last_stream_id, draining[0].debug_data) == (ids[0], b"restart")
    resets = pair.client.recorder.of_type(StreamReset)
    assert [(reset.stream_id, reset.retryable) for reset in resets] == [
        (ids[1], True),
        (ids[2], True),
    ]
    assert pair.client.connection.available_streams == 0
    respond(pair, ids[0], b"the last")
    assert pair.client.recorder.body(ids[0]) == b"the last"


def test_a_refused_stream_may_be_sent_again(pair: Pair) -> None:
    stream_id = get(pair)
    pair.server.send(StreamReset(stream_id, ErrorCode.REFUSED_STREAM))
    pair.run()
    (reset,) = taken(pair.client)
    assert reset == StreamReset(stream_id, ErrorCode.REFUSED_STREAM, Initiator.REMOTE, True)
    respond(pair, get(pair), b"again")
    assert body(taken(pair.client)) == b"again"


def test_the_codes_of_resets_arrive(pair: Pair) -> None:
    for code in (ErrorCode.CANCEL, ErrorCode.INTERNAL_ERROR, 0x1234):
        stream_id = get(pair)
        taken(pair.server)
        pair.client.send(StreamReset(stream_id, code))
        pair.run()
        (reset,) = taken(pair.server)
        assert reset.code == code


def test_a_graceful_close_serves_what_crosses_it(make_pair: MakePair) -> None:
    """RFC 9113 section 6.8: a request on its way when GOAWAY leaves is not lost."""
    pair = make_pair(latency=0.1)
    pair.server.close()
    head = request(pair)
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received = [event for event in taken(pair.server) if isinstance(event, Request)]
    assert [event.stream_id for event in received] == [head.stream_id]
    respond(pair, head.stream_id, b"served")
    assert body(taken(pair.client)) == b"served"
    pair.run()
    assert pair.client.is_closed
    assert pair.server.is_closed


def test_large_header_sections_need_continuation(pair: Pair) -> None:
    fields = [(f"x-field-{n}", f"{n}" * 500) for n in range(60)]
    head = request(pair, headers=fields)
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received = taken(pair.server)[0]
    assert list(received.headers) == fields


def test_cookies_arrive_in_one_field(pair: Pair) -> None:
    # RFC 9113 section 8.2.3
    head = request(pair, headers=[("cookie", "a=1; b=2"), ("cookie", "c=3")])
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received = taken(pair.server)[0]
    assert list(received.headers) == [("cookie", "a=1; b=2; c=3")]


def test_fields_of_the_http1_connection_are_left_out(pair: Pair) -> None:
    # RFC 9113 section 8.2.2
    fields = [
        ("Connection", "keep-alive"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "close"),
        ("Upgrade", "websocket"),
        ("TE", "trailers"),
        ("X-Kept", "1"),
    ]
    head = request(pair, headers=fields)
    pair.client.send(head, EndOfMessage(head.stream_id))
    pair.run()
    received = taken(pair.server)[0]
    assert list(received.headers) == [("te", "trailers"), ("x-kept", "1")]


def test_a_reset_throws_away_a_queued_end_as_well(make_pair: MakePair) -> None:
    """Else the peer would meet the end of a message in the middle of its content."""
    small = Config(random=counting_random, limits=Limits(stream_window=65535))
    pair = make_pair(client=small, server=small)
    pair.client.acknowledges = False
    stream_id = get(pair)
    head = Response(stream_id, 200, (("Content-Length", "200000"),))
    pair.server.send(head, Data(stream_id, b"x" * 200_000), EndOfMessage(stream_id))
    pair.run()
    pair.server.send(StreamReset(stream_id, ErrorCode.CANCEL))
    pair.run()
    events = taken(pair.client)
    assert isinstance(events[-1], StreamReset)
    assert (events[-1].code, events[-1].initiator) == (ErrorCode.CANCEL, Initiator.REMOTE)
    assert 0 < len(body(events)) < 200_000
    respond(pair, get(pair))
    assert not pair.client.is_closed
