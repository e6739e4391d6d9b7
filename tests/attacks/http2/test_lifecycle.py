"""Abuse of windows, priorities and the life of streams (T11-T27 of the list of attacks).

Each attack is run against the engine alone: it must stop by itself, with the documented
answer, within its budget.
"""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseReason,
    ConnectionClosed,
    Data,
    EndOfMessage,
    ErrorCode,
    Initiator,
    LocalProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
    Timeouts,
)
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Frame, FrameType
from tests.attacks.http2.vocabulary import CALM
from tests.engine.http2.peers import (
    GET,
    POST,
    Peer,
    assert_alive,
    assert_connection_error,
    assert_stream_error,
    error_code,
    kinds,
    make_config,
    of_type,
    open_and_reset,
)

# -- T11, T12 windows that do not open ---------------------------------------------------------

SLOW = Timeouts(write=60.0, keep_alive=None, head=None)


def stalled(settings: list[tuple[int, int]]) -> Peer:
    peer = Peer(Role.SERVER, config=make_config(SLOW), settings=settings)
    peer.say(wire.headers(1, GET, end_stream=True))
    peer.endpoint.send(Response(1, 200), Data(1, b"x" * 100_000), EndOfMessage(1))
    peer.hear()
    return peer


def test_t12_a_window_of_zero_ends_the_stream() -> None:
    peer = stalled([(4, 0)])
    assert peer.connection.next_timeout() == pytest.approx(peer.now + 60)
    peer.wait(59.9)
    assert peer.connection.open_streams == 1
    peer.wait(0.2)
    assert_stream_error(peer, 1, ErrorCode.CANCEL)
    reset = peer.endpoint.events[-1]
    assert isinstance(reset, StreamReset)
    assert (reset.code, reset.initiator) == (ErrorCode.CANCEL, Initiator.LOCAL)
    assert "window" in str(reset.error)


def test_t11_a_byte_now_and_then_is_no_progress() -> None:
    peer = stalled([(4, 0)])
    for _ in range(13):
        peer.wait(10)
        peer.say(wire.window_update(1, 1))
    assert peer.connection.open_streams == 0


def test_t11_real_progress_keeps_the_stream() -> None:
    peer = stalled([(4, 0)])
    for _ in range(20):
        peer.wait(10)
        peer.say(wire.window_update(1, 2000))
    assert peer.connection.open_streams == 1


def test_t11_the_connection_window_counts_too() -> None:
    peer = stalled([(4, 2**31 - 1)])
    assert peer.connection.open_streams == 1
    peer.wait(61)
    assert peer.connection.open_streams == 0


def test_t12_a_transport_that_takes_nothing_ends_the_connection() -> None:
    peer = Peer(Role.SERVER, config=make_config(SLOW))
    peer.say(wire.headers(1, GET, end_stream=True))
    peer.endpoint.can_write = False
    peer.endpoint.send(Response(1, 200))
    deadline = peer.connection.next_timeout()
    assert deadline is not None
    peer.wait(deadline - peer.now)
    closed = peer.endpoint.events[-1]
    assert isinstance(closed, ConnectionClosed)
    assert closed.reason is CloseReason.TIMEOUT


def test_t11_a_client_that_reads_no_answers_is_read_no_further() -> None:
    peer = Peer(Role.SERVER)
    peer.endpoint.can_write = False
    big = [("x-big", "y" * 4000)]
    stream = 1
    while peer.connection.wants_read:
        peer.say(wire.headers(stream, GET, end_stream=True))
        peer.endpoint.send(
            Response(stream, 200, [*big, ("x", str(stream))]),
            Data(stream, b"x"),
            EndOfMessage(stream),
        )
        stream += 2
        assert stream < 1000
    peer.endpoint.can_write = True
    peer.endpoint.drain()
    assert peer.connection.wants_read
    assert_alive(peer)


# -- T13 priorities ----------------------------------------------------------------------------


def test_t13_priority_updates_for_idle_streams_are_bounded() -> None:
    peer = Peer(Role.SERVER, config=make_config(max_concurrent_streams=10))
    for stream in range(1, 2001, 2):
        peer.say(wire.priority_update(stream, b"u=1"))
    assert_alive(peer)
    assert len(peer.connection._outflow.priorities) == 10


@pytest.mark.parametrize("value", [b"", b"u", b"u=8", b"u=-1", b"i=?2", b"\xff\xfe", b"," * 9000])
def test_t13_bad_priority_values_are_ignored(server: Peer, value: bytes) -> None:
    server.say(wire.headers(1, wire.request_block(fields=[("priority", value[:200])])))
    server.say(wire.priority_update(1, value))
    assert_alive(server)


# -- T14 to T16 names ----------------------------------------------------------------------------


def test_t14_empty_names(server: Peer) -> None:
    server.say(wire.headers(1, wire.request_block(fields=[("", "x")] * 5), end_stream=True))
    assert_stream_error(server, 1, ErrorCode.PROTOCOL_ERROR)


def test_t15_t16_distinct_names_fill_no_cache() -> None:
    peer = Peer(Role.SERVER)
    for index in range(2000):
        stream = 1 + 2 * index
        fields = [(f"x-{index}-{i}", "v" * 50) for i in range(3)]
        peer.say(wire.headers(stream, wire.request_block(fields=fields), end_stream=True))
        peer.endpoint.send(Response(stream, 200, fields), EndOfMessage(stream))
    heads, writer = peer.connection._heads, peer.connection._writer
    for cache in (heads._requests, heads._request_heads, writer._responses):
        assert len(cache) <= 64


# -- T17 to T21 lifecycle ----------------------------------------------------------------------------


def test_t17_streams_before_settings_are_acknowledged() -> None:
    config = make_config(max_concurrent_streams=1000)
    peer = Peer(Role.SERVER, config=config, handshake=False)
    peer.say(wire.PREFACE, wire.settings())
    for stream in range(1, 401, 2):
        peer.say(wire.headers(stream, GET, end_stream=True))
    resets = of_type(peer.hear(), FrameType.RST_STREAM)
    assert len(peer.endpoint.recorder.of_type(Request)) == 100
    assert {error_code(frame) for frame in resets} == {ErrorCode.REFUSED_STREAM}
    peer.say(wire.settings_ack())
    peer.say(wire.headers(401, GET, end_stream=True))
    assert isinstance(peer.endpoint.events[-1], EndOfMessage)


@pytest.mark.parametrize("role", list(Role))
def test_t17_settings_that_are_never_acknowledged(role: Role) -> None:
    peer = Peer(role, handshake=False)
    peer.say(wire.PREFACE if role is Role.SERVER else b"", wire.settings())
    peer.wait(9.9)
    assert not peer.endpoint.is_closed
    peer.wait(0.2)
    assert_connection_error(peer, ErrorCode.SETTINGS_TIMEOUT)


def test_t18_streams_after_goaway_are_refused_and_the_end_is_bounded() -> None:
    peer = Peer(Role.SERVER)
    peer.say(wire.headers(1, GET, end_stream=True))
    peer.endpoint.close()
    peer.wait(10.1)  # the PING between the phases is not answered
    goaways = of_type(peer.hear(), FrameType.GOAWAY)
    assert [int.from_bytes(f.payload[:4], "big") for f in goaways] == [2**31 - 1, 1]
    peer.events()
    peer.say(wire.headers(3, GET, end_stream=True))
    assert_stream_error(peer, 3, ErrorCode.REFUSED_STREAM)
    assert kinds(peer.events()) == [StreamReset]
    peer.endpoint.send(Response(1, 200), EndOfMessage(1))
    peer.wait(10.1)  # nor is the PING behind the last stream
    assert peer.endpoint.events[-1] == ConnectionClosed(CloseReason.LOCAL)


def test_t18_an_error_while_draining() -> None:
    peer = Peer(Role.SERVER)
    peer.say(wire.headers(1, GET, end_stream=True))
    peer.endpoint.close()
    peer.say(wire.data(0, b"x"))
    assert_connection_error(peer, ErrorCode.PROTOCOL_ERROR)
    assert kinds(peer.events())[-2:] == [StreamReset, ConnectionClosed]


@pytest.mark.parametrize("role", list(Role))
def test_t19_the_connection_window_overflows(chop, role: Role) -> None:
    peer = Peer(role, chop=chop)
    peer.say(wire.window_update(0, 2**31 - 1))
    assert_connection_error(peer, ErrorCode.FLOW_CONTROL_ERROR)
    assert peer.connection.open_streams == 0
    assert peer.connection.next_timeout() is None


def test_t20_nothing_is_left_of_streams_that_were_reset() -> None:
    peer = Peer(Role.SERVER, config=make_config(reset_burst=10**6))
    for segment in range(100):
        peer.say(open_and_reset(1 + 100 * segment, 50))
    assert peer.connection.open_streams == 0
    assert not peer.connection._outflow.scheduler.ready
    for segment in range(100, 150):  # the same, reset by this side
        start = 1 + 100 * segment
        for stream in range(start, start + 100, 2):
            peer.say(wire.headers(stream, GET, end_stream=True))
            peer.endpoint.send(StreamReset(stream))
    assert peer.connection.open_streams == 0
    assert len(peer.connection._streams.closed._reset) <= 1000


def test_t20_what_was_forgotten_is_still_ignored() -> None:
    peer = Peer(Role.SERVER, config=make_config(reset_burst=10**6))
    for stream in range(1, 4001, 2):
        peer.say(wire.headers(stream, POST))
        peer.endpoint.send(StreamReset(stream))
    peer.hear()
    peer.say(wire.data(1, b"late"), wire.headers(3, GET, end_stream=True))
    assert_alive(peer)


def test_t21_the_application_writes_after_the_reset(server: Peer) -> None:
    server.say(wire.headers(1, POST), wire.rst_stream(1, ErrorCode.CANCEL))
    assert kinds(server.events()) == [Request, StreamReset]
    for event in (Response(1, 200), Data(1, b"x"), EndOfMessage(1)):
        with pytest.raises(LocalProtocolError):
            server.endpoint.send(event)
    server.endpoint.send(StreamReset(1))  # giving up what has ended is no error
    assert server.hear() == []


def test_t21_a_reset_drops_what_is_queued() -> None:
    peer = stalled([(4, 10)])
    peer.say(wire.rst_stream(1, ErrorCode.CANCEL))
    peer.say(wire.window_update(0, 1000))
    assert of_type(peer.hear(), FrameType.DATA) == []
    assert peer.connection.send_capacity(1) == 0


# -- T22 to T27 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*range(0x0A, 0x10), 0x11, 0xFF])
@pytest.mark.parametrize("stream", [0, 1, 2])
def test_t22_unknown_types_are_ignored(server: Peer, kind: int, stream: int) -> None:
    server.say(Frame(kind, 0xFF, stream, b"payload").encode())
    assert_alive(server)


@pytest.mark.parametrize("kind", [0x0A, 0xFF])
def test_t22_unknown_types_inside_a_header_block(server: Peer, kind: int) -> None:
    server.say(wire.headers(1, GET, end_headers=False), Frame(kind, 0, 1, b"").encode())
    assert_connection_error(server, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("size", [0, 16383, 2**24])
@pytest.mark.parametrize("role", list(Role))
def test_t23_max_frame_size_out_of_range(chop, role: Role, size: int) -> None:
    peer = Peer(role, chop=chop)
    peer.say(wire.settings({5: size}))
    assert_connection_error(peer, ErrorCode.PROTOCOL_ERROR)


def test_t24_interim_responses_without_end() -> None:
    peer = Peer(Role.CLIENT)
    peer.request()
    interim = wire.headers(1, wire.response_block(103))
    for _ in range(100):
        peer.say(interim)
    assert not peer.endpoint.is_closed
    peer.say(interim)
    assert_connection_error(peer, CALM)


@pytest.mark.parametrize("role", list(Role))
def test_t25_a_header_block_that_is_no_hpack(chop, role: Role) -> None:
    peer = Peer(role, chop=chop)
    peer.say(wire.headers(1, b"\xff" * 1000, end_stream=True))
    assert_connection_error(peer, ErrorCode.COMPRESSION_ERROR)
    peer.endpoint.lose(ConnectionResetError())


def test_t27_answers_and_requests_do_not_cross() -> None:
    peer = Peer(Role.SERVER)
    for stream in range(1, 2001, 2):
        path = f"/{stream}"
        peer.say(wire.headers(stream, wire.request_block(path=path), end_stream=True))
        if stream % 4 == 1:
            peer.say(wire.rst_stream(stream, ErrorCode.CANCEL))
        for event in peer.events():
            if isinstance(event, Request):
                assert event.target == f"/{event.stream_id}"
        if stream % 4 != 1:
            body = f"/{stream}".encode()
            peer.endpoint.send(Response(stream, 200), Data(stream, body), EndOfMessage(stream))
    for frame in of_type(peer.hear(), FrameType.DATA):
        assert frame.payload == f"/{frame.stream_id}".encode()
