"""HTTP/2: one connection of either engine, and frames that its peer may send."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plait_engine import (
    Accept,
    CloseAction,
    CloseReason,
    Config,
    ConnectionClosed,
    ConnectionState,
    Data,
    EndOfMessage,
    ErrorCode,
    Initiator,
    LocalProtocolError,
    PingAcknowledged,
    RemoteProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
    Timeouts,
    Writable,
    create_connection,
)
from plait_engine.engines import EngineName
from plait_engine.preface import PREFACE
from plait_engine.semantics.fields import SINGLETON_FIELDS
from plait_engine.testing import TEST_CONFIG, Endpoint, Fragmenter, frames
from plait_engine.testing.frames import Flag, FrameType
from tests.engine.contract.messages import body, kinds, taken

GET = frames.request_block()
POST = frames.request_block("POST")
CONNECT = frames.header_block([(":method", "CONNECT"), (":authority", "a:1")])
OK = frames.response_block()
REQUEST = Request(1, "GET", "http", "a", "/", ())


def connect(
    role: Role, engine: EngineName, fragment: Fragmenter, config: Config = TEST_CONFIG
) -> Endpoint:
    """Return a connection that has exchanged SETTINGS with its peer."""
    connection = create_connection(role, "h2", config, engine=engine)
    endpoint = Endpoint(connection, fragment=fragment)
    endpoint.start()
    if role is Role.SERVER:
        endpoint.receive(PREFACE)
    endpoint.receive(frames.settings() + frames.settings_ack())
    endpoint.take()
    endpoint.take_sent()
    return endpoint


@pytest.fixture
def server(engine: EngineName, fragment: Fragmenter) -> Endpoint:
    return connect(Role.SERVER, engine, fragment)


@pytest.fixture
def client(engine: EngineName, fragment: Fragmenter) -> Endpoint:
    return connect(Role.CLIENT, engine, fragment)


def answer_pings(endpoint: Endpoint) -> None:
    """Answer each PING that ``endpoint`` has sent since the last look."""
    for frame in frames.split_frames(endpoint.take_sent()):
        if frame.type == FrameType.PING and not frame.flags & Flag.ACK:
            endpoint.receive(frames.ping(frame.payload, ack=True))


def assert_refused(endpoint: Endpoint, stream_id: int) -> None:
    """The stream was reset for what the peer sent, and the connection goes on."""
    reset = taken(endpoint)[-1]
    assert isinstance(reset, StreamReset)
    assert (reset.stream_id, reset.code) == (stream_id, ErrorCode.PROTOCOL_ERROR)
    assert reset.initiator is Initiator.LOCAL
    assert reset.error is not None
    assert not endpoint.is_closed
    assert endpoint.connection.open_streams == 0


# -- requests ---------------------------------------------------------------------------------


def extended_connect(protocol: str = "websocket") -> bytes:
    fields = [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http")]
    return frames.header_block([*fields, (":path", "/"), (":authority", "a")])


@pytest.mark.parametrize(
    "block",
    [
        frames.request_block("GET", "no-slash"),
        frames.request_block("GET", "*"),
        frames.request_block(fields=[("a(b", "1")]),
        frames.request_block(fields=[("a", "1\x7f")]),
        *(
            frames.request_block(fields=[(name, "1"), ("a", "1"), (name, "1")])
            for name in sorted(SINGLETON_FIELDS - {"host"})  # for which h2 ends the connection
        ),
    ],
)
def test_a_malformed_request_is_reset(server: Endpoint, block: bytes) -> None:
    # RFC 9113 sections 8.1.1, 8.2.1 and 8.3.1; RFC 9110 section 5.3
    server.receive(frames.headers(1, block, end_stream=True))
    assert [event for event in server.events if isinstance(event, Request)] == []
    assert_refused(server, 1)


def test_a_list_may_have_many_lines(server: Endpoint) -> None:
    fields = [("accept", "a"), ("cookie", "a=1"), ("accept", "b"), ("cookie", "b=2"), ("x", "1")]
    server.receive(frames.headers(1, frames.request_block(fields=[*fields, ("x", "2")])))
    (request,) = taken(server)
    assert isinstance(request, Request)
    assert [value for name, value in request.headers if name == "accept"] == ["a", "b"]
    assert [value for name, value in request.headers if name == "x"] == ["1", "2"]


def test_extended_connect_that_was_not_announced(engine: EngineName, fragment: Fragmenter) -> None:
    # RFC 8441 section 3
    config = replace(TEST_CONFIG, enable_connect_protocol=False)
    server = connect(Role.SERVER, engine, fragment, config)
    server.receive(frames.headers(1, extended_connect()))
    assert_refused(server, 1)
    client = connect(Role.CLIENT, engine, fragment)
    with pytest.raises(LocalProtocolError):
        client.send(Request(1, "CONNECT", "http", "a", "/", (), "websocket"))
    assert client.take_sent() == b""


def test_a_protocol_needs_connect(engine: EngineName, fragment: Fragmenter) -> None:
    client = connect(Role.CLIENT, engine, fragment)
    client.receive(frames.settings({0x8: 1}))
    client.take_sent()
    with pytest.raises(LocalProtocolError):
        client.send(Request(1, "GET", "http", "a", "/", (), "websocket"))
    assert client.take_sent() == b""


@pytest.mark.parametrize("field", [("a(b", "1"), ("a", "1\x7f")])
def test_malformed_trailers_reset_the_stream(server: Endpoint, field: tuple[str, str]) -> None:
    server.receive(frames.headers(1, POST))
    server.receive(frames.headers(1, frames.header_block([field]), end_stream=True))
    assert_refused(server, 1)


# -- tunnels ----------------------------------------------------------------------------------


def test_what_comes_before_a_tunnel_is_accepted(server: Endpoint) -> None:
    server.receive(frames.headers(1, CONNECT) + frames.data(1, b"early", end_stream=True))
    assert kinds(taken(server)) == [Request]
    server.send(Accept(1))
    events = taken(server)
    assert (kinds(events), body(events)) == ([Data, EndOfMessage], b"early")
    server.send(EndOfMessage(1))
    assert server.connection.open_streams == 0


def test_a_tunnel_is_declined_whose_client_has_ended(server: Endpoint) -> None:
    server.receive(frames.headers(1, CONNECT, end_stream=True))
    server.send(Response(1, 403), EndOfMessage(1))
    assert kinds(taken(server)) == [Request, EndOfMessage]
    sent = frames.split_frames(server.take_sent())
    assert FrameType.RST_STREAM not in [frame.type for frame in sent]
    assert server.connection.open_streams == 0


@pytest.mark.parametrize("is_accepted", [False, True])
def test_a_tunnel_has_no_trailers(server: Endpoint, is_accepted: bool) -> None:
    # RFC 9113 section 8.5
    server.receive(frames.headers(1, CONNECT))
    if is_accepted:
        server.send(Accept(1))
    server.receive(frames.headers(1, frames.header_block([("a", "1")]), end_stream=True))
    assert_refused(server, 1)


# -- responses --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["20x", "2000", "20", "\xb2\xb2\xb2", "101"])
def test_a_malformed_status_resets_the_stream(client: Endpoint, status: str) -> None:
    # RFC 9113 sections 8.3.2 and 8.6
    client.send(REQUEST, EndOfMessage(1))
    client.receive(frames.headers(1, frames.response_block(status)))
    assert_refused(client, 1)


def give_up(client: Endpoint) -> None:
    """Let the server say that of two requests it takes the first only."""
    for stream_id in (1, 3):
        client.send(replace(REQUEST, stream_id=stream_id), EndOfMessage(stream_id))
    client.receive(frames.goaway(1))
    (reset,) = taken(client)
    assert isinstance(reset, StreamReset)
    assert (reset.stream_id, reset.retryable) == (3, True)


def test_a_reset_of_a_stream_that_goaway_gave_up(client: Endpoint) -> None:
    # RFC 9113 section 6.8
    give_up(client)
    client.receive(frames.rst_stream(3, ErrorCode.CANCEL))
    assert taken(client) == []
    client.receive(frames.headers(1, OK) + frames.data(1, b"the last", end_stream=True))
    events = taken(client)
    assert kinds(events) == [Response, Data, EndOfMessage]
    assert body(events) == b"the last"


LATE = {
    "content": frames.headers(3, OK) + frames.data(3, b"late", end_stream=True),
    "trailers": frames.headers(3, frames.response_block(103))
    + frames.headers(3, OK)
    + frames.data(3, b"late")
    + frames.headers(3, frames.header_block([("a", "1")]), end_stream=True),
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_a_response_on_a_stream_that_goaway_gave_up(client: Endpoint, late: bytes) -> None:
    """The caller, who was told to send the request again, sees nothing of it; what the server
    still answers comes as ever."""
    give_up(client)
    client.receive(late)
    assert taken(client) == []
    client.receive(frames.headers(1, OK) + frames.data(1, b"the last", end_stream=True))
    events = taken(client)
    assert kinds(events) == [Response, Data, EndOfMessage]
    assert body(events) == b"the last"


def test_content_on_a_stream_that_goaway_gave_up_returns_to_the_window(
    engine: EngineName, fragment: Fragmenter
) -> None:
    limits = replace(TEST_CONFIG.limits, connection_window=65535)
    client = connect(Role.CLIENT, engine, fragment, replace(TEST_CONFIG, limits=limits))
    give_up(client)
    content = frames.data(3, bytes(16384))
    client.receive(frames.headers(3, OK))
    for _ in range(65535 // 16384 + 1):
        client.receive(content)
    assert taken(client) == []
    assert client.connection.state is ConnectionState.DRAINING


def test_a_final_response_frees_a_sender_that_waits(client: Endpoint) -> None:
    head = Request(1, "POST", "http", "a", "/", [("Expect", "100-continue")])
    client.send(head, Data(1, b"x" * TEST_CONFIG.limits.write_high_water))
    assert client.connection.send_capacity(1) == 0
    client.receive(frames.headers(1, frames.response_block(417)))
    assert client.connection.send_capacity(1) > 0
    assert Writable(1) in client.take()


# -- the connection ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "data"),
    [
        (Role.SERVER, frames.headers(1, GET[:5], end_headers=False) + frames.goaway(0)),
        (Role.CLIENT, frames.headers(2, GET)),
    ],
)
def test_a_frame_that_ends_the_connection(
    engine: EngineName, fragment: Fragmenter, role: Role, data: bytes
) -> None:
    # RFC 9113 sections 6.10 and 5.1.1
    endpoint = connect(role, engine, fragment)
    endpoint.receive(data)
    (closed,) = endpoint.take()
    assert isinstance(closed, ConnectionClosed)
    assert closed.reason is CloseReason.PROTOCOL_ERROR
    assert isinstance(closed.error, RemoteProtocolError)
    goaway = frames.split_frames(endpoint.take_sent())[-1]
    assert goaway.type == FrameType.GOAWAY
    assert int.from_bytes(goaway.payload[4:8], "big") == ErrorCode.PROTOCOL_ERROR


def test_the_answer_to_a_ping_that_was_not_sent(client: Endpoint) -> None:
    client.receive(frames.ping(b"not sent", ack=True))
    assert client.take() == []
    client.ping(b"was sent")
    client.receive(frames.ping(b"was sent", ack=True))
    assert kinds(client.take()) == [PingAcknowledged]


def test_a_closed_connection_pings_nobody(client: Endpoint) -> None:
    client.lose()
    with pytest.raises(LocalProtocolError):
        client.ping(b"12345678")


def test_a_server_that_drained_waits_for_the_peer_to_have_read(server: Endpoint) -> None:
    server.receive(frames.headers(1, GET, end_stream=True))
    server.close()
    answer_pings(server)
    server.send(Response(1, 200), EndOfMessage(1))
    assert not server.is_closed
    answer_pings(server)
    assert server.is_closed
    closed = server.events[-1]
    assert isinstance(closed, ConnectionClosed)
    assert (closed.reason, closed.error) == (CloseReason.LOCAL, None)


# -- time -------------------------------------------------------------------------------------


def pass_time(endpoint: Endpoint, seconds: float) -> None:
    endpoint.clock.now += seconds
    endpoint.handle_timeout()


def test_a_server_drains_beside_a_peer_that_answers_no_ping(server: Endpoint) -> None:
    server.receive(frames.headers(1, GET, end_stream=True))
    server.close()
    pass_time(server, TEST_CONFIG.timeouts.close + 0.1)
    assert not server.is_closed  # a stream is open
    server.send(Response(1, 200), EndOfMessage(1))
    pass_time(server, TEST_CONFIG.timeouts.close + 0.1)
    assert server.is_closed
    sent = frames.split_frames(server.take_sent())
    last = [int.from_bytes(f.payload[:4], "big") for f in sent if f.type == FrameType.GOAWAY]
    assert last == [0x7FFFFFFF, 1]


def test_a_window_that_stays_closed(engine: EngineName, fragment: Fragmenter) -> None:
    config = replace(TEST_CONFIG, timeouts=Timeouts(write=10.0))
    server = connect(Role.SERVER, engine, fragment, config)
    server.receive(frames.settings({0x4: 0}))
    server.receive(frames.headers(1, GET, end_stream=True))
    server.receive(frames.headers(3, GET, end_stream=True))  # has nothing to send
    server.send(Response(1, 200), Data(1, b"x"), EndOfMessage(1))
    pass_time(server, 10.1)
    pass_time(server, 10.1)
    reset = taken(server)[-1]
    assert isinstance(reset, StreamReset)
    assert (reset.stream_id, reset.code) == (1, ErrorCode.CANCEL)
    assert reset.error is not None
    assert reset.error.status_hint == 408
    assert server.connection.open_streams == 1


def test_each_stream_waits_for_100_by_itself(client: Endpoint) -> None:
    fields = [("Expect", "100-continue"), ("Content-Length", "1")]
    wait = TEST_CONFIG.timeouts.expect_continue
    for stream_id in (1, 3):
        head = Request(stream_id, "POST", "http", "a", "/", fields)
        client.send(head, Data(stream_id, b"x"), EndOfMessage(stream_id))
        client.take_sent()
        client.clock.now += wait / 2
    for expected in ([1], [3]):
        client.handle_timeout()
        sent = frames.split_frames(client.take_sent())
        assert [frame.stream_id for frame in sent if frame.type == FrameType.DATA] == expected
        client.clock.now += wait / 2


def test_several_deadlines_at_once_close_once(engine: EngineName) -> None:
    connection = create_connection(Role.SERVER, "h2", TEST_CONFIG, engine=engine)
    connection.connection_made(0.0)
    connection.handle_timeout(10_000.0)
    assert kinds(list(iter(connection.next_event, None))) == [ConnectionClosed]
    assert connection.state is ConnectionState.CLOSED
    assert connection.wants_close is not CloseAction.NONE
