"""How a connection drains: GOAWAY in two phases, and what the transport can do meanwhile."""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseAction,
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
)
from plait_engine.http2.core import DRAINED_PING, GOAWAY_PING
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import FrameType
from tests.engine.http2.peers import (
    GET,
    OK,
    POST,
    Peer,
    assert_stream_error,
    error_code,
    kinds,
    of_type,
)

LAST = 2**31 - 1


def goaways(peer: Peer) -> list[tuple[int, int]]:
    """Return last stream and code of each GOAWAY since the last call."""
    return [
        (int.from_bytes(frame.payload[:4], "big"), error_code(frame))
        for frame in of_type(peer.hear(), FrameType.GOAWAY)
    ]


def respond(peer: Peer, stream: int) -> None:
    peer.endpoint.send(Response(stream, 200), EndOfMessage(stream))


def pings(peer: Peer) -> list[bytes]:
    """Return the payload of each PING since the last call."""
    return [frame.payload for frame in of_type(peer.hear(), FrameType.PING)]


def test_a_server_lets_an_idle_client_close_first(server: Peer) -> None:
    server.say(wire.goaway(0) + wire.ping(b"bye-bye!"))
    assert [frame.type for frame in server.hear()] == [FrameType.GOAWAY, FrameType.PING]
    assert not server.connection.wants_close
    server.endpoint.receive_eof()
    assert server.connection.wants_close is CloseAction.CLOSE
    assert server.endpoint.events[-1] == ConnectionClosed(CloseReason.PEER)


def test_a_client_that_says_goaway_and_does_not_close(server: Peer) -> None:
    server.say(wire.goaway(0))
    assert goaways(server) == [(0, ErrorCode.NO_ERROR)]
    server.wait(server.connection.config.timeouts.close)
    assert goaways(server) == []
    assert server.connection.wants_close is CloseAction.CLOSE


def test_a_server_goes_away_in_two_phases(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    server.endpoint.close()
    assert server.connection.state is ConnectionState.DRAINING
    heard = server.hear()
    assert [frame.type for frame in heard] == [FrameType.GOAWAY, FrameType.PING]
    assert int.from_bytes(heard[0].payload[:4], "big") == LAST
    # A request that was under way is served.
    server.say(wire.headers(3, GET, end_stream=True))
    server.say(wire.ping(GOAWAY_PING, ack=True))
    assert goaways(server) == [(3, 0)]
    server.say(wire.headers(5, GET, end_stream=True))
    assert_stream_error(server, 5, ErrorCode.REFUSED_STREAM)
    respond(server, 1)
    assert pings(server) == []
    respond(server, 3)
    # The client may still have much to read, and say things that a closed socket resets.
    assert pings(server) == [DRAINED_PING]
    server.say(wire.window_update(0, 1000))
    assert not server.connection.wants_close
    server.say(wire.ping(DRAINED_PING, ack=True))
    assert server.endpoint.events[-1] == ConnectionClosed(CloseReason.LOCAL)
    assert server.connection.wants_close is CloseAction.CLOSE
    requests = server.endpoint.recorder.of_type(Request)
    assert [request.stream_id for request in requests] == [1, 3]


def test_an_idle_server_waits_for_what_is_under_way(server: Peer) -> None:
    server.endpoint.close()
    assert goaways(server) == [(LAST, 0)]
    assert not server.endpoint.is_closed
    server.say(wire.ping(GOAWAY_PING, ack=True))
    heard = server.hear()
    assert [frame.type for frame in heard] == [FrameType.GOAWAY, FrameType.PING]
    assert not server.endpoint.is_closed
    server.say(wire.ping(DRAINED_PING, ack=True))
    assert server.endpoint.is_closed


def test_an_answer_to_the_first_ping_is_none_to_the_last(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    server.endpoint.close()
    server.wait(server.connection.config.timeouts.close)
    respond(server, 1)
    server.say(wire.ping(GOAWAY_PING, ack=True))
    assert not server.endpoint.is_closed
    server.say(wire.ping(DRAINED_PING, ack=True))
    assert server.endpoint.is_closed


def test_a_client_that_answers_no_ping_is_left(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    server.endpoint.close()
    server.say(wire.ping(GOAWAY_PING, ack=True))
    respond(server, 1)
    assert not server.endpoint.is_closed
    server.wait(server.connection.config.timeouts.close)
    assert server.endpoint.events[-1] == ConnectionClosed(CloseReason.LOCAL)
    assert server.connection.wants_close is CloseAction.CLOSE


def test_a_client_that_closes_needs_no_ping(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    server.endpoint.close()
    server.say(wire.ping(GOAWAY_PING, ack=True))
    respond(server, 1)
    server.endpoint.receive_eof()
    assert server.endpoint.events[-1] == ConnectionClosed(CloseReason.LOCAL)


@pytest.mark.parametrize(("idle", "patience"), [(0, 10), (7.5, 2.5), (9.5, 1), (60, 1)])
def test_an_idle_client_has_had_time_to_read(server: Peer, idle: float, patience: float) -> None:
    server.say(wire.headers(1, GET, end_stream=True))
    respond(server, 1)
    server.wait(idle)
    server.endpoint.close()
    server.wait(patience - 0.1)
    assert not server.endpoint.is_closed
    server.wait(0.1)
    assert server.endpoint.events[-1] == ConnectionClosed(CloseReason.LOCAL)


def test_closing_again_says_nothing_new(server: Peer) -> None:
    server.endpoint.close()
    server.hear()
    server.endpoint.close()
    assert server.hear() == []


def test_a_client_finishes_and_goes(client: Peer) -> None:
    client.request()
    client.endpoint.close()
    assert goaways(client) == [(0, 0)]
    assert client.connection.available_streams == 0
    with pytest.raises(LocalProtocolError):
        client.request()
    client.say(wire.headers(1, OK, end_stream=True))
    assert kinds(client.events()) == [Response, EndOfMessage]
    # What the server says before it answers this PING is read, and answered.
    assert pings(client) == [DRAINED_PING]
    client.say(wire.ping(b"not dead"))
    assert [frame.payload for frame in client.hear()] == [b"not dead"]
    assert not client.connection.wants_close
    client.say(wire.ping(DRAINED_PING, ack=True))
    assert client.events() == [ConnectionClosed(CloseReason.LOCAL)]
    assert client.connection.wants_close is CloseAction.CLOSE


def test_a_client_waits_for_its_last_ping_only_a_moment(client: Peer) -> None:
    client.endpoint.close()
    assert not client.connection.wants_close
    client.wait(0.1)
    assert client.connection.wants_close is CloseAction.CLOSE
    assert client.events()[-1] == ConnectionClosed(CloseReason.LOCAL)


def test_a_client_whose_server_ends_the_connection_waits_no_more(client: Peer) -> None:
    client.endpoint.close()
    client.endpoint.receive_eof()
    assert client.connection.wants_close is CloseAction.CLOSE


def test_a_client_that_leaves_still_counts_what_the_server_refuses(client: Peer) -> None:
    for _ in range(2):
        client.request()
    client.endpoint.close()
    client.say(wire.goaway(1))
    events = client.events()
    assert kinds(events) == [Draining, StreamReset]
    assert events[1].stream_id == 3
    client.say(wire.headers(1, OK, end_stream=True))
    assert client.endpoint.events[-1] == ConnectionClosed(CloseReason.LOCAL)


@pytest.mark.parametrize("role", list(Role))
def test_closing_with_a_code_resets_what_is_open(chop, role: Role) -> None:
    peer = Peer(role, chop=chop)
    if role is Role.SERVER:
        peer.say(wire.headers(1, POST))
    else:
        peer.request()
    peer.hear()
    peer.events()
    peer.endpoint.close(ErrorCode.INTERNAL_ERROR)
    assert goaways(peer) == [(1 if role is Role.SERVER else 0, 2)]
    reset, closed = peer.events()
    assert (reset.code, reset.initiator) == (ErrorCode.INTERNAL_ERROR, Initiator.LOCAL)
    assert closed == ConnectionClosed(CloseReason.LOCAL)


def test_a_client_says_goodbye(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_stream=True), wire.goaway(0))
    assert kinds(server.events()) == [Request, EndOfMessage, Draining]
    server.say(wire.headers(3, GET, end_stream=True))  # it may still ask
    respond(server, 1)
    respond(server, 3)
    assert goaways(server) == [(3, 0)]
    server.endpoint.close()
    assert server.hear() == []  # All is said.
    assert not server.connection.wants_close
    server.endpoint.receive_eof()
    assert server.endpoint.events[-1] == ConnectionClosed(CloseReason.LOCAL)


def test_a_client_that_says_goodbye_and_stays(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_stream=True), wire.goaway(0))
    respond(server, 1)
    server.wait(server.connection.config.timeouts.close)
    assert server.endpoint.events[-1] == ConnectionClosed(CloseReason.PEER)
    assert server.connection.wants_close is CloseAction.CLOSE


# -- the transport ------------------------------------------------------------------------


def test_half_a_request_at_the_end_of_input(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_stream=True), wire.headers(3, POST))
    server.endpoint.receive_eof()
    resets = server.endpoint.recorder.of_type(StreamReset)
    assert [(reset.stream_id, reset.initiator) for reset in resets] == [(3, Initiator.REMOTE)]
    respond(server, 1)
    assert of_type(server.hear(), FrameType.HEADERS)
    assert server.endpoint.events[-1] == ConnectionClosed(CloseReason.PEER)


def test_nothing_is_read_behind_the_end_of_input() -> None:
    peer = Peer(Role.SERVER)
    peer.say(wire.headers(1, GET, end_stream=True))
    peer.endpoint.can_write = False
    for stream in range(3, 2003, 2):
        peer.say(wire.headers(stream, GET, end_stream=True))
        if not peer.connection.wants_read:
            break
        big = [("x", f"{stream} " + "y" * 4000)]
        peer.endpoint.send(Response(stream, 200, big), Data(stream, b"x"), EndOfMessage(stream))
    assert not peer.connection.wants_read
    peer.endpoint.receive_eof()
    peer.endpoint.can_write = True
    peer.endpoint.drain()
    assert not peer.connection.wants_read


@pytest.mark.parametrize("role", list(Role))
def test_the_end_of_input_on_an_idle_connection(role: Role) -> None:
    peer = Peer(role)
    peer.endpoint.receive_eof()
    assert peer.events() == [ConnectionClosed(CloseReason.PEER)]
    assert peer.connection.wants_close is CloseAction.CLOSE


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("error", [None, ConnectionResetError("gone")])
def test_the_transport_is_lost(role: Role, error: Exception | None) -> None:
    peer = Peer(role)
    if role is Role.SERVER:
        peer.say(wire.headers(1, GET, end_stream=True))
    else:
        peer.request()
    peer.events()
    peer.endpoint.lose(error)
    reset, closed = peer.events()
    assert (reset.initiator, reset.retryable) == (Initiator.REMOTE, False)
    reason = CloseReason.PEER if error is None else CloseReason.LOST
    assert closed == ConnectionClosed(reason, error)
    assert peer.connection.data_to_send() == b""


def test_a_request_that_never_left_may_be_sent_again() -> None:
    peer = Peer(Role.CLIENT)
    peer.request()
    peer.endpoint.can_write = False
    peer.request()
    peer.endpoint.lose(ConnectionResetError())
    resets = peer.endpoint.recorder.of_type(StreamReset)
    assert [(reset.stream_id, reset.retryable) for reset in resets] == [(1, False), (3, True)]
