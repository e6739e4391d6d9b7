"""Violations of the protocol, by the ids of the project's list of attacks (T40-T48, T56-T58)."""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseReason,
    ConnectionClosed,
    ConnectionState,
    Data,
    Draining,
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
from plait_engine.http2.core import DRAINED_PING
from plait_engine.testing import Fragmenter
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, Frame, FrameType
from tests.attacks.http2.vocabulary import BOTH, CLOSED, PROTOCOL, SIZE, Open
from tests.engine.http2.peers import (
    GET,
    OK,
    Peer,
    assert_alive,
    assert_connection_error,
    assert_stream_error,
    error_code,
    kinds,
    make_config,
    of_type,
    raw,
)

# -- T40 prefaces ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"pri * http/2.0\r\n\r\nsm\r\n\r\n",
        wire.settings(),
        wire.PREFACE + wire.ping(),
        wire.PREFACE + wire.headers(1, GET, end_stream=True),
        wire.PREFACE + wire.settings_ack(),
        wire.PREFACE + wire.PREFACE + wire.settings(),
        wire.PREFACE + raw(0xFF, 0, 0, b""),
    ],
)
def test_t40_server(chop: Fragmenter, data: bytes) -> None:
    peer = Peer(Role.SERVER, chop=chop, handshake=False)
    peer.say(data)
    assert_connection_error(peer, PROTOCOL, SIZE)
    assert not peer.endpoint.recorder.of_type(Request)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        wire.settings_ack(),
        wire.ping(),
        wire.headers(1, OK),
        raw(0xFF, 0, 0, b""),
    ],
)
def test_t40_client(chop: Fragmenter, data: bytes) -> None:
    peer = Peer(Role.CLIENT, chop=chop, handshake=False)
    peer.request()
    peer.say(data)
    assert_connection_error(peer, PROTOCOL, SIZE)


def test_t40_a_preface_that_never_ends() -> None:
    config = make_config(Timeouts(head=30.0, settings=100.0))
    peer = Peer(Role.SERVER, config=config, handshake=False)
    peer.say(wire.PREFACE[:-1])
    peer.wait(29)
    assert not peer.endpoint.is_closed
    peer.wait(2)
    closed = peer.endpoint.events[-1]
    assert isinstance(closed, ConnectionClosed)
    assert closed.reason is CloseReason.TIMEOUT


# -- T41 to T44 the layout of frames ------------------------------------------------------


@BOTH
@pytest.mark.parametrize("kind", [FrameType.DATA, FrameType.HEADERS, FrameType.SETTINGS])
def test_t41_frames_that_are_too_large(open_peer: Open, role: Role, kind: int) -> None:
    peer = open_peer(role)
    stream = 0 if kind == FrameType.SETTINGS else 1
    peer.say(raw(kind, 0, stream, bytes(16385)))
    assert_connection_error(peer, SIZE)


@BOTH
@pytest.mark.parametrize(
    "data",
    [
        wire.data(0, b"x"),
        wire.headers(0, OK),
        wire.priority(0),
        wire.rst_stream(0, 8),
        wire.continuation(0, OK),
        raw(FrameType.SETTINGS, 0, 1, b""),
        raw(FrameType.SETTINGS, Flag.ACK, 1, b""),
        raw(FrameType.PING, 0, 1, bytes(8)),
        raw(FrameType.GOAWAY, 0, 1, bytes(8)),
    ],
)
def test_t42_the_wrong_kind_of_stream(open_peer: Open, role: Role, data: bytes) -> None:
    peer = open_peer(role)
    peer.say(data)
    assert_connection_error(peer, PROTOCOL)


@BOTH
@pytest.mark.parametrize(
    "data",
    [
        *(raw(FrameType.PING, 0, 0, bytes(size)) for size in (0, 7, 9)),
        *(raw(FrameType.RST_STREAM, 0, 1, bytes(size)) for size in (0, 3, 5)),
        *(raw(FrameType.WINDOW_UPDATE, 0, 1, bytes(size)) for size in (0, 3, 5)),
        *(raw(FrameType.SETTINGS, 0, 0, bytes(size)) for size in (1, 5, 7)),
        raw(FrameType.SETTINGS, Flag.ACK, 0, bytes(6)),
        raw(FrameType.GOAWAY, 0, 0, bytes(7)),
    ],
)
def test_t43_frames_of_the_wrong_size(open_peer: Open, role: Role, data: bytes) -> None:
    peer = open_peer(role)
    peer.say(data)
    assert_connection_error(peer, SIZE)


@BOTH
@pytest.mark.parametrize("size", [0, 4, 6])
def test_t43_priority_of_the_wrong_size(open_peer: Open, role: Role, size: int) -> None:
    peer = open_peer(role)
    peer.say(raw(FrameType.PRIORITY, 0, 1, bytes(size)))
    assert_stream_error(peer, 1, SIZE)


@BOTH
@pytest.mark.parametrize("kind", [FrameType.DATA, FrameType.HEADERS])
@pytest.mark.parametrize("payload", [b"\x05OKOK", b"\xffx", b"\x01"])
def test_t44_padding_as_long_as_the_frame(
    open_peer: Open, role: Role, kind: int, payload: bytes
) -> None:
    peer = open_peer(role)
    peer.say(raw(kind, Flag.PADDED | Flag.END_HEADERS, 1, payload))
    assert_connection_error(peer, PROTOCOL)


@BOTH
def test_t44_padding_counts_for_the_windows(open_peer: Open, role: Role) -> None:
    peer = open_peer(role, config=make_config(stream_window=65535), acknowledges=False)
    for _ in range(65535 // 256):
        peer.say(wire.data(1, b"", padding=255))  # credit of its own accord
    peer.say(wire.data(1, b"x", padding=200))
    (data,) = [event for event in peer.events() if isinstance(event, Data)]
    assert (data.data, data.credit) == (b"x", 202)
    assert_alive(peer)


# -- T45, T46 stream ids ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "streams", [[2], [1, 3, 3], [5, 3], [7, 1], [1, 2**31 - 2], [9, 5, 7]], ids=str
)
def test_t45_ids_that_a_client_must_not_use(server: Peer, streams: list[int]) -> None:
    for stream in streams:
        server.say(wire.headers(stream, GET, end_stream=True))
        for event in server.events():
            if isinstance(event, EndOfMessage):
                server.endpoint.send(Response(stream, 200), EndOfMessage(stream))
    assert_connection_error(server, PROTOCOL, CLOSED)


def test_t45_the_last_id(server: Peer) -> None:
    server.say(wire.headers(2**31 - 1, GET, end_stream=True))
    assert kinds(server.events()) == [Request, EndOfMessage]
    server.endpoint.send(Response(2**31 - 1, 200), EndOfMessage(2**31 - 1))
    assert_alive(server)


def test_t45_a_client_runs_out_of_ids() -> None:
    peer = Peer(Role.CLIENT)
    peer.connection._streams.highest = 2**31 - 5
    assert peer.request() == 2**31 - 3
    assert peer.connection.available_streams == 1
    assert peer.request() == 2**31 - 1
    assert peer.connection.available_streams == 0
    assert peer.connection.state is ConnectionState.DRAINING
    assert [event.last_stream_id for event in peer.events() if isinstance(event, Draining)]
    with pytest.raises(LocalProtocolError):
        peer.connection.next_stream_id()
    for stream in (2**31 - 3, 2**31 - 1):  # what is open goes on
        peer.say(wire.headers(stream, OK, end_stream=True))
    assert kinds(peer.events()) == [Response, EndOfMessage] * 2
    peer.say(wire.ping(DRAINED_PING, ack=True))
    assert kinds(peer.events()) == [ConnectionClosed]


@BOTH
@pytest.mark.parametrize("stream", [2, 5, 101, 2**31 - 1])
@pytest.mark.parametrize(
    "make",
    [
        lambda s: wire.data(s, b"x"),
        lambda s: wire.rst_stream(s, 8),
        lambda s: wire.window_update(s, 1),
        lambda s: wire.continuation(s, OK),
    ],
    ids=["data", "rst", "window", "continuation"],
)
def test_t46_idle_streams(open_peer: Open, role: Role, stream: int, make) -> None:
    peer = open_peer(role)
    peer.say(make(stream))
    assert_connection_error(peer, PROTOCOL)


@pytest.mark.parametrize("stream", [2, 5, 2**31 - 1])
def test_t46_a_server_opens_no_stream(open_peer: Open, stream: int) -> None:
    peer = open_peer(Role.CLIENT)
    peer.say(wire.headers(stream, OK))
    assert_connection_error(peer, PROTOCOL)


# -- T47 streams that have ended ---------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "late", [wire.data(1, b"x"), wire.headers(1, wire.header_block([("x", "y")]))]
)
def test_t47_after_the_end_of_the_message(open_peer: Open, role: Role, late: bytes) -> None:
    peer = open_peer(role)
    peer.say(wire.data(1, b"", end_stream=True), late)
    assert_stream_error(peer, 1, CLOSED)
    events = peer.events()
    assert kinds(events) == [EndOfMessage, StreamReset]
    assert events[-1].initiator is Initiator.LOCAL


@BOTH
@pytest.mark.parametrize(
    "late", [wire.data(1, b"x"), wire.headers(1, wire.header_block([("x", "y")]))]
)
def test_t47_after_both_messages(open_peer: Open, role: Role, late: bytes) -> None:
    peer = open_peer(role)
    peer.say(wire.data(1, b"", end_stream=True))
    if role is Role.SERVER:
        peer.endpoint.send(Response(1, 200), EndOfMessage(1))
    else:
        peer.endpoint.send(EndOfMessage(1))
    assert peer.connection.open_streams == 0
    peer.say(late)
    assert_connection_error(peer, CLOSED)


@BOTH
@pytest.mark.parametrize("frame", [wire.window_update(1, 5), wire.rst_stream(1, 8)])
def test_t47_window_update_and_reset_may_cross_our_end(
    open_peer: Open, role: Role, frame: bytes
) -> None:
    peer = open_peer(role)
    peer.say(wire.data(1, b"", end_stream=True))
    if role is Role.SERVER:
        peer.endpoint.send(Response(1, 200), EndOfMessage(1))
    else:
        peer.endpoint.send(EndOfMessage(1))
    peer.say(frame)
    assert_alive(peer)


@BOTH
def test_t47_after_our_reset_late_frames_are_ignored_and_counted(
    open_peer: Open, role: Role
) -> None:
    peer = open_peer(role, config=make_config(connection_window=100_000))
    peer.endpoint.send(StreamReset(1))
    peer.hear()
    late = wire.header_block([("x-late", "1")])
    peer.say(wire.headers(1, b"\x40\x01k\x01v"), wire.headers(1, late, end_stream=True))
    for _ in range(10):  # 160 kB, more than the connection's window
        peer.say(wire.data(1, bytes(16000)))
    updates = [f for f in of_type(peer.hear(), FrameType.WINDOW_UPDATE) if f.stream_id == 0]
    assert updates
    assert all(frame.stream_id == 0 for frame in updates)
    assert peer.events() == []
    # The late header block has changed the table, as the peer thinks.
    if role is Role.SERVER:
        peer.say(wire.headers(3, GET + b"\xbe", end_stream=True))
        assert ("k", "v") in peer.events()[0].headers


# -- T48 header blocks ------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "inside",
    [
        wire.headers(1, OK),
        wire.headers(3, OK),
        wire.priority(1),
        wire.data(1, b"x"),
        wire.ping(),
        wire.settings(),
        wire.window_update(0, 1),
        wire.rst_stream(1, 8),
        wire.goaway(0),
        wire.continuation(3, b""),
        raw(0xFF, 0, 1, b""),
    ],
)
def test_t48_other_frames_inside_a_header_block(open_peer: Open, role: Role, inside: bytes) -> None:
    peer = open_peer(role)
    peer.say(wire.headers(1, wire.header_block([("x", "y")]), end_headers=False), inside)
    assert_connection_error(peer, PROTOCOL)


# -- T56 to T58 ------------------------------------------------------------------------------------------------


def test_t56_headers_that_depend_on_themselves(server: Peer) -> None:
    flags = Flag.PRIORITY | Flag.END_HEADERS | Flag.END_STREAM
    server.say(raw(FrameType.HEADERS, flags, 1, b"\x00\x00\x00\x01\x10" + GET))
    assert_stream_error(server, 1, PROTOCOL)
    assert kinds(server.events()) == [StreamReset]


@BOTH
def test_t57_what_is_unknown_is_ignored(open_peer: Open, role: Role) -> None:
    peer = open_peer(role)
    peer.say(
        raw(FrameType.PING, 0xF0, 1 << 31, b"reserved"),
        wire.settings({0xABCD: 2**32 - 1}),
        raw(FrameType.DATA, 0xF6, 1 | 1 << 31, b"flags"),
    )
    assert Frame(FrameType.PING, Flag.ACK, 0, b"reserved") in peer.hear()
    assert [event.data for event in peer.events() if isinstance(event, Data)] == [b"flags"]
    peer.say(wire.rst_stream(1, 0xDEADBEEF))
    (reset,) = peer.events()
    assert (reset.code, reset.retryable) == (0xDEADBEEF, False)


@BOTH
def test_t57_http_1_1_required_passes_through(open_peer: Open, role: Role) -> None:
    peer = open_peer(role)
    peer.say(wire.rst_stream(1, ErrorCode.HTTP_1_1_REQUIRED))
    assert peer.events()[0].code == ErrorCode.HTTP_1_1_REQUIRED


def test_refused_streams_may_be_sent_again(client: Peer) -> None:
    client.request()
    client.say(wire.rst_stream(1, ErrorCode.REFUSED_STREAM))
    (reset,) = client.events()
    assert reset.retryable


@BOTH
@pytest.mark.parametrize("code", [None, ErrorCode.INTERNAL_ERROR])
def test_t58_frames_after_the_end_are_dropped(open_peer: Open, role: Role, code) -> None:
    peer = open_peer(role)
    peer.endpoint.close(ErrorCode.NO_ERROR if code is None else code)
    peer.hear()
    before = list(peer.endpoint.events)
    assert isinstance(before[-1], ConnectionClosed)
    peer.say(wire.data(1, b"x"), wire.headers(3, GET), wire.ping(), b"\x00" * 100)
    peer.endpoint.receive_eof()
    peer.endpoint.handle_timeout()
    peer.endpoint.lose()
    assert peer.hear() == []
    assert peer.endpoint.events == before


def test_t58_what_comes_with_the_error_is_dropped(server: Peer) -> None:
    server.say(wire.ping(b"before!!"), raw(FrameType.PING, 0, 1, bytes(8)), wire.ping(b"after!!!"))
    heard = server.hear()
    assert [frame.type for frame in heard] == [FrameType.PING, FrameType.GOAWAY]
    assert error_code(heard[-1]) == PROTOCOL
