"""Timers of an HTTP/2 connection, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plait_engine import (
    CloseAction,
    CloseReason,
    ConnectionClosed,
    Data,
    EndOfMessage,
    ErrorCode,
    InformationalResponse,
    LocalProtocolError,
    PingAcknowledged,
    Request,
    Response,
    Role,
    StreamReset,
    Timeouts,
    Writable,
)
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, Frame, FrameType
from tests.engine.http2.peers import (
    GET,
    OK,
    POST,
    Peer,
    assert_alive,
    error_code,
    kinds,
    make_config,
    of_type,
)

NONE = Timeouts(head=None, body=None, keep_alive=None, write=None)
BOTH = pytest.mark.parametrize("role", list(Role))


def quiet(role: Role = Role.SERVER, **timeouts: float | None) -> Peer:
    """A peer of an engine where only the given timers run."""
    return Peer(role, config=make_config(replace(NONE, **timeouts)))


def assert_timed_out(peer: Peer, reason: CloseReason = CloseReason.TIMEOUT) -> None:
    closed = peer.endpoint.events[-1]
    assert isinstance(closed, ConnectionClosed)
    assert closed.reason is reason
    assert of_type(peer.hear(), FrameType.GOAWAY)
    assert peer.connection.wants_close is CloseAction.CLOSE
    assert peer.connection.next_timeout() is None


def assert_idle_end(peer: Peer) -> None:
    """A server says GOAWAY and waits for what is on its way in both directions."""
    if peer.connection.role is Role.SERVER:
        for last_said in (2**31 - 1, peer.connection._streams.highest):
            assert not peer.connection.wants_close
            (goaway, ping) = peer.hear()
            assert int.from_bytes(goaway.payload[:4], "big") == max(last_said, 0)
            peer.say(wire.ping(ping.payload, ack=True))
    else:
        assert of_type(peer.hear(), FrameType.GOAWAY)
    assert peer.endpoint.events[-1] == ConnectionClosed(CloseReason.KEEP_ALIVE)
    assert peer.connection.wants_close is CloseAction.CLOSE
    assert peer.connection.next_timeout() is None


def step(peer: Peer) -> float:
    """Go to the next deadline and return how long that took."""
    deadline = peer.connection.next_timeout()
    assert deadline is not None
    passed = deadline - peer.now
    peer.wait(passed)
    return passed


@BOTH
def test_no_timer_no_deadline(role: Role) -> None:
    assert quiet(role).connection.next_timeout() is None


@BOTH
def test_a_timeout_with_nothing_due_does_nothing(role: Role) -> None:
    peer = Peer(role)
    before = peer.connection.next_timeout()
    peer.endpoint.handle_timeout()
    assert peer.hear() == []
    assert peer.connection.next_timeout() == before


# -- keep-alive -----------------------------------------------------------------------------


@BOTH
def test_keep_alive(role: Role) -> None:
    peer = quiet(role, keep_alive=75.0)
    assert step(peer) == pytest.approx(75)
    assert_idle_end(peer)


def test_an_idle_client_that_answers_nothing_is_left() -> None:
    peer = quiet(keep_alive=75.0, close=10.0)  # which it has had since its last stream
    assert step(peer) == pytest.approx(75)
    assert step(peer) == pytest.approx(1)
    assert_timed_out(peer, CloseReason.KEEP_ALIVE)


def test_a_request_that_meets_the_end_of_an_idle_connection_is_answered() -> None:
    peer = quiet(keep_alive=75.0)
    step(peer)
    (_, ping) = peer.hear()
    peer.say(wire.headers(1, GET, end_stream=True), wire.ping(ping.payload, ack=True))
    assert kinds(peer.events()) == [Request, EndOfMessage]
    (goaway,) = of_type(peer.hear(), FrameType.GOAWAY)
    assert int.from_bytes(goaway.payload[:4], "big") == 1
    peer.endpoint.send(Response(1, 200), EndOfMessage(1))
    heard = peer.hear()
    assert [frame.type for frame in heard] == [FrameType.HEADERS, FrameType.PING]
    assert not peer.connection.wants_close
    peer.say(wire.ping(heard[1].payload, ack=True))
    assert peer.endpoint.events[-1] == ConnectionClosed(CloseReason.KEEP_ALIVE)


def test_keep_alive_counts_from_the_end_of_the_last_exchange() -> None:
    peer = quiet(keep_alive=75.0)
    peer.wait(70)
    peer.say(wire.headers(1, GET, end_stream=True))
    assert peer.connection.next_timeout() is None
    peer.wait(200)
    peer.endpoint.send(Response(1, 200), EndOfMessage(1))
    assert step(peer) == pytest.approx(75)
    peer.hear()
    assert step(peer) == pytest.approx(1)
    assert peer.endpoint.is_closed


def test_a_first_request_has_the_time_of_a_head() -> None:
    peer = quiet(keep_alive=0.0, head=30.0)
    assert step(peer) == pytest.approx(30)
    peer = quiet(keep_alive=0.0, head=30.0)
    peer.wait(20)
    peer.say(wire.headers(1, GET, end_stream=True))
    peer.endpoint.send(Response(1, 200), EndOfMessage(1))
    peer.hear()
    assert step(peer) == 0
    assert_idle_end(peer)


# -- SETTINGS, head --------------------------------------------------------------------------


def test_a_header_block_that_is_not_completed() -> None:
    peer = quiet(head=30.0)
    peer.say(wire.headers(1, GET, end_headers=False))
    peer.wait(29)
    peer.say(wire.continuation(1, b"", end_headers=False))  # does not buy time
    assert step(peer) == pytest.approx(1)
    assert_timed_out(peer)


def test_a_header_block_may_take_for_ever_without_a_timeout() -> None:
    peer = quiet()
    peer.say(wire.headers(1, GET[:5], end_stream=True, end_headers=False))
    assert peer.connection.next_timeout() is None
    peer.wait(1e6)
    peer.say(wire.continuation(1, GET[5:]))
    assert kinds(peer.events()) == [Request, EndOfMessage]


def test_a_header_block_that_is_completed() -> None:
    peer = quiet(head=30.0)
    peer.say(wire.headers(1, GET, end_headers=False), wire.continuation(1, b""))
    assert peer.connection.next_timeout() is None


# -- bodies ----------------------------------------------------------------------------------


def test_a_body_that_does_not_come() -> None:
    peer = quiet(body=60.0)
    peer.say(wire.headers(1, POST))
    peer.wait(50)
    peer.say(wire.headers(3, POST), wire.data(1, b"x"))
    assert step(peer) == pytest.approx(10)  # looks, and finds nothing due
    assert peer.connection.open_streams == 2
    assert step(peer) == pytest.approx(50)
    resets = of_type(peer.hear(), FrameType.RST_STREAM)
    assert [(f.stream_id, error_code(f)) for f in resets] == [
        (1, ErrorCode.CANCEL),
        (3, ErrorCode.CANCEL),
    ]
    reset = peer.events()[-1]
    assert isinstance(reset, StreamReset)
    assert reset.error.status_hint == 408
    assert_alive(peer)
    assert peer.connection.next_timeout() is None


def test_a_stalled_body_ends_its_own_stream_only() -> None:
    """Not a request that has ended, nor a tunnel that nobody has answered yet."""
    peer = quiet(body=60.0)
    tunnel = wire.header_block([(":method", "CONNECT"), (":authority", "example.org:443")])
    peer.say(wire.headers(1, GET, end_stream=True), wire.headers(3, tunnel), wire.headers(5, POST))
    assert step(peer) == pytest.approx(60)
    assert [frame.stream_id for frame in of_type(peer.hear(), FrameType.RST_STREAM)] == [5]
    assert peer.connection.open_streams == 2
    assert peer.connection.next_timeout() is None


def test_a_closed_window_ends_the_streams_that_wait_for_it_only() -> None:
    peer = Peer(Role.SERVER, config=make_config(replace(NONE, write=60.0)), settings=[(4, 0)])
    peer.say(*(wire.headers(stream, GET, end_stream=True) for stream in (1, 3)))
    peer.endpoint.send(Response(1, 200), Data(1, b"x"))
    peer.hear()
    peer.wait(60)
    assert [frame.stream_id for frame in of_type(peer.hear(), FrameType.RST_STREAM)] == [1]
    peer.endpoint.send(Response(3, 204), EndOfMessage(3))
    assert [frame.stream_id for frame in peer.hear()] == [3]


def test_empty_data_is_no_body() -> None:
    peer = quiet(body=60.0)
    peer.say(wire.headers(1, POST))
    for _ in range(2):
        peer.wait(40)
        peer.say(wire.data(1, b""))
    assert peer.connection.open_streams == 0


def test_a_body_that_the_application_does_not_take() -> None:
    peer = quiet(body=60.0)
    peer.endpoint.acknowledges = False
    peer.say(wire.headers(1, POST), wire.data(1, b"x"))
    for _ in range(5):
        step(peer)
    assert peer.connection.open_streams == 1
    peer.endpoint.acknowledge(1, 1)
    peer.wait(59)
    assert peer.connection.open_streams == 1
    peer.wait(2)
    assert peer.connection.open_streams == 0


def test_tunnels_and_responses_may_be_silent() -> None:
    client = quiet(Role.CLIENT, body=60.0)
    client.request()
    client.say(wire.headers(1, OK))
    assert client.connection.next_timeout() is None


def test_a_request_that_is_not_wanted_any_more_may_end_by_itself() -> None:
    peer = quiet(close=10.0)
    peer.say(wire.headers(1, POST))
    peer.endpoint.send(Response(1, 200), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR))
    assert of_type(peer.hear(), FrameType.RST_STREAM) == []
    peer.events()
    assert step(peer) == pytest.approx(10)
    (reset,) = of_type(peer.hear(), FrameType.RST_STREAM)
    assert error_code(reset) == ErrorCode.NO_ERROR
    assert peer.events() == []
    assert peer.connection.open_streams == 0


def test_a_request_that_is_not_wanted_any_more_and_ends() -> None:
    peer = quiet(close=10.0)
    peer.say(wire.headers(1, POST), wire.data(1, b"some"))
    peer.endpoint.send(Response(1, 200), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR))
    peer.hear()
    peer.events()
    peer.say(wire.data(1, b"more", end_stream=True))
    assert of_type(peer.hear(), FrameType.RST_STREAM) == []
    assert peer.events() == []
    assert peer.connection.open_streams == 0


def test_a_request_that_is_not_wanted_any_more_and_goes_wrong() -> None:
    peer = quiet(close=10.0)
    peer.say(wire.headers(1, POST))
    peer.endpoint.send(Response(1, 200), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR))
    peer.hear()
    peer.events()
    peer.say(wire.data(1, b"more"), wire.headers(1, GET))
    (reset,) = of_type(peer.hear(), FrameType.RST_STREAM)
    assert error_code(reset) == ErrorCode.PROTOCOL_ERROR
    assert peer.events() == []


def test_a_request_with_much_left_is_stopped_before_it_has_to_wait() -> None:
    peer = quiet()
    peer.say(wire.headers(1, POST), wire.data(1, bytes(16000)))
    peer.endpoint.send(Response(1, 413), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR))
    peer.hear()
    sent = 16000
    while peer.connection.open_streams:
        peer.say(wire.data(1, bytes(16000)))
        sent += 16000
    assert 262144 // 2 <= sent < 262144 // 2 + 16000
    heard = peer.hear()
    assert [error_code(f) for f in of_type(heard, FrameType.RST_STREAM)] == [ErrorCode.NO_ERROR]
    assert all(f.stream_id == 0 for f in of_type(heard, FrameType.WINDOW_UPDATE))


def test_the_answer_goes_out_before_the_request_is_stopped() -> None:
    peer = Peer(Role.SERVER, settings=[(4, 3)], acknowledges=False)
    peer.say(wire.headers(1, POST), *(wire.data(1, bytes(16000)) for _ in range(9)))
    peer.endpoint.send(Response(1, 413), Data(1, b"too much"), EndOfMessage(1), StreamReset(1, 0))
    assert of_type(peer.hear(), FrameType.RST_STREAM) == []
    peer.say(wire.window_update(1, 5))
    heard = peer.hear()
    assert [f.type for f in heard] == [FrameType.DATA, FrameType.RST_STREAM]
    assert heard[0].flags & Flag.END_STREAM


# -- PING ---------------------------------------------------------------------------------------


@BOTH
def test_an_application_asks_for_the_round_trip(role: Role) -> None:
    peer = quiet(role)
    peer.endpoint.ping(b"12345678")
    assert peer.hear() == [Frame(FrameType.PING, 0, 0, b"12345678")]
    peer.wait(0.25)
    peer.say(wire.ping(b"12345678", ack=True))
    assert peer.events() == [PingAcknowledged(b"12345678", 0.25)]
    assert peer.connection.next_timeout() is None
    peer.say(wire.ping(b"12345678", ack=True))
    assert peer.events() == []


def test_a_closed_connection_sends_no_ping() -> None:
    peer = quiet()
    peer.endpoint.lose()
    with pytest.raises(LocalProtocolError, match="closed"):
        peer.connection.ping(b"12345678", 0.0)


@BOTH
def test_a_ping_that_is_not_answered(role: Role) -> None:
    peer = quiet(role, pong=20.0)
    peer.endpoint.ping(b"aaaaaaaa")
    peer.wait(15)
    peer.endpoint.ping(b"bbbbbbbb")
    peer.say(wire.ping(b"aaaaaaaa", ack=True))
    assert step(peer) == pytest.approx(20)
    assert_timed_out(peer)


@pytest.mark.parametrize("payload", [b"", b"1234567", b"123456789"])
def test_a_ping_has_eight_bytes(payload: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        quiet().endpoint.ping(payload)


@BOTH
def test_silence_with_open_streams_is_asked_about(role: Role) -> None:
    peer = quiet(role, ping_interval=15.0, pong=20.0)
    assert peer.connection.next_timeout() is None
    if role is Role.CLIENT:
        peer.request()
    else:
        peer.say(wire.headers(1, GET, end_stream=True))
    peer.hear()
    peer.events()
    peer.wait(10)
    peer.say(wire.window_update(0, 100))  # not silent
    assert step(peer) == pytest.approx(15)
    (ping,) = of_type(peer.hear(), FrameType.PING)
    peer.say(wire.ping(ping.payload, ack=True))
    assert peer.events() == []  # it was not the application that asked
    assert step(peer) == pytest.approx(15)
    assert step(peer) == pytest.approx(20)
    assert_timed_out(peer)
    assert kinds(peer.events()) == [StreamReset, ConnectionClosed]


# -- 100 Continue --------------------------------------------------------------------------------


def expecting(*streams: int) -> Peer:
    peer = Peer(Role.CLIENT, config=make_config(Timeouts(expect_continue=1.0)))
    for stream in streams:
        head = Request(stream, "POST", "http", "example.org", "/", [("expect", "100-continue")])
        peer.endpoint.send(head, Data(stream, b"content"), EndOfMessage(stream))
        peer.endpoint.clock.now += 0.5
    assert of_type(peer.hear(), FrameType.DATA) == []
    return peer


def test_each_request_waits_its_own_time_for_100() -> None:
    peer = expecting(1, 3)
    peer.wait(0)
    assert [f.stream_id for f in of_type(peer.hear(), FrameType.DATA)] == [1]
    peer.wait(0.5)
    assert [f.stream_id for f in of_type(peer.hear(), FrameType.DATA)] == [3]


def test_who_waits_to_send_more_of_what_is_dropped_is_told() -> None:
    config = make_config(Timeouts(expect_continue=1.0), write_high_water=10, write_low_water=5)
    peer = Peer(Role.CLIENT, config=config)
    head = Request(1, "POST", "http", "example.org", "/", [("expect", "100-continue")])
    peer.endpoint.send(head, Data(1, b"x" * 10))
    assert peer.connection.send_capacity(1) == 0
    peer.events()
    peer.say(wire.headers(1, wire.response_block(417)))
    assert kinds(peer.events()) == [Writable, Response]
    peer.hear()
    peer.endpoint.send(Data(1, b"more"), EndOfMessage(1))
    assert peer.hear() == []


@pytest.mark.parametrize(
    ("status", "content"), [(100, [b"content"]), (103, []), (200, []), (417, [])]
)
def test_what_ends_the_waiting(status: int, content: list[bytes]) -> None:
    """RFC 9110 section 10.1.1: 100 does; a final response makes the content unwanted."""
    peer = expecting(1)
    peer.say(wire.headers(1, wire.response_block(status)))
    assert [f.payload for f in of_type(peer.hear(), FrameType.DATA)] == content
    assert type(peer.events()[0]) in (InformationalResponse, Response)
    peer.wait(5)
    late = [b"content"] if status == 103 else []
    assert [f.payload for f in of_type(peer.hear(), FrameType.DATA)] == late
