"""Windows, push, concurrency, GOAWAY and settings out of bounds (T49-T55 of the attacks)."""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseReason,
    ConnectionClosed,
    ConnectionState,
    Data,
    Draining,
    EndOfMessage,
    Initiator,
    LocalProtocolError,
    Response,
    Role,
    StreamReset,
)
from plait_engine.testing import Fragmenter
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, FrameType
from tests.attacks.http2.vocabulary import BOTH, FLOW, PROTOCOL, Open
from tests.engine.http2.peers import (
    GET,
    OK,
    POST,
    Peer,
    assert_alive,
    assert_connection_error,
    assert_stream_error,
    kinds,
    make_config,
    of_type,
    raw,
)

# -- T49 to T51 flow control ---------------------------------------------------------------------------


@BOTH
def test_t49_increments_of_zero(open_peer: Open, role: Role) -> None:
    peer = open_peer(role)
    peer.say(wire.window_update(1, 0))
    assert_stream_error(peer, 1, PROTOCOL)
    peer.say(wire.window_update(0, 0))
    assert_connection_error(peer, PROTOCOL)


@BOTH
def test_t49_windows_that_overflow(open_peer: Open, role: Role) -> None:
    peer = open_peer(role)
    peer.say(wire.window_update(1, 2**31 - 1 - 65535))
    assert_alive(peer)
    peer.say(wire.window_update(1, 1))
    assert_stream_error(peer, 1, FLOW)
    peer.say(wire.window_update(0, 2**31 - 1 - 65535))
    assert_alive(peer)
    peer.say(wire.window_update(0, 1))
    assert_connection_error(peer, FLOW)


@BOTH
def test_t50_an_initial_window_that_is_too_large(open_peer: Open, role: Role) -> None:
    peer = open_peer(role)
    peer.say(wire.settings({4: 2**31}))
    assert_connection_error(peer, FLOW)


@BOTH
def test_t50_an_increase_that_overflows_a_stream(open_peer: Open, role: Role) -> None:
    peer = open_peer(role)
    peer.say(wire.window_update(1, 2**31 - 1 - 65535))
    peer.say(wire.settings({4: 65536}))
    assert_connection_error(peer, FLOW)


@BOTH
def test_t50_a_negative_window_still_lets_the_end_go(open_peer: Open, role: Role) -> None:
    peer = open_peer(role)
    head = [Response(1, 200)] if role is Role.SERVER else []
    peer.endpoint.send(*head, Data(1, b"x" * 1000))
    peer.say(wire.settings({4: 100}))  # the window is now 100 - 1000
    peer.hear()
    peer.endpoint.send(EndOfMessage(1))
    (data,) = of_type(peer.hear(), FrameType.DATA)
    assert (data.payload, data.flags) == (b"", Flag.END_STREAM)


@BOTH
def test_t50_a_negative_window_stops_data_until_it_is_positive(open_peer: Open, role: Role) -> None:
    peer = open_peer(role)
    head = [Response(1, 200)] if role is Role.SERVER else []
    peer.endpoint.send(*head, Data(1, b"x" * 1000))
    peer.say(wire.settings({4: 100}))
    peer.hear()
    peer.endpoint.send(Data(1, b"y" * 10), EndOfMessage(1))
    for increment in (899, 1):
        peer.say(wire.window_update(1, increment))
        assert of_type(peer.hear(), FrameType.DATA) == []
    peer.say(wire.window_update(1, 4))
    assert [frame.payload for frame in of_type(peer.hear(), FrameType.DATA)] == [b"yyyy"]
    peer.say(wire.window_update(1, 100))
    (data,) = of_type(peer.hear(), FrameType.DATA)
    assert (data.payload, data.flags) == (b"y" * 6, Flag.END_STREAM)


@BOTH
def test_t51_data_beyond_the_stream_window(open_peer: Open, role: Role) -> None:
    peer = open_peer(role, config=make_config(stream_window=65535), acknowledges=False)
    for _ in range(4):
        peer.say(wire.data(1, bytes(16383)))
    assert_alive(peer)
    peer.say(wire.data(1, b"abc", padding=0))  # 4 bytes with the pad length
    assert_stream_error(peer, 1, FLOW)
    assert peer.events()[-1].error.code == FLOW


@BOTH
def test_t51_data_beyond_the_connection_window(open_peer: Open, role: Role) -> None:
    peer = open_peer(role, config=make_config(connection_window=65535), acknowledges=False)
    for _ in range(4):
        peer.say(wire.data(1, bytes(16383)))
    assert_alive(peer)
    peer.say(wire.data(1, b"abcd"))
    assert_connection_error(peer, FLOW)


def test_t51_before_the_acknowledgement_the_old_window_holds(chop: Fragmenter) -> None:
    config = make_config(stream_window=10)
    peer = Peer(Role.SERVER, chop=chop, config=config, handshake=False, acknowledges=False)
    peer.say(wire.PREFACE, wire.settings(), wire.headers(1, POST), wire.data(1, bytes(1000)))
    assert peer.connection.open_streams == 1
    peer.say(wire.settings_ack())  # now the window is 10 - 1000
    peer.hear()
    peer.say(wire.data(1, b"x"))
    assert_stream_error(peer, 1, FLOW)


# -- T52 push ----------------------------------------------------------------------------------------


@BOTH
def test_t52_push_promise(open_peer: Open, role: Role) -> None:
    peer = open_peer(role)
    peer.say(raw(FrameType.PUSH_PROMISE, Flag.END_HEADERS, 1, b"\x00\x00\x00\x02" + GET))
    assert_connection_error(peer, PROTOCOL)


@pytest.mark.parametrize(("role", "value"), [(Role.CLIENT, 1), (Role.CLIENT, 2), (Role.SERVER, 2)])
def test_t52_enable_push(open_peer: Open, role: Role, value: int) -> None:
    peer = open_peer(role)
    peer.say(wire.settings({2: value}))
    assert_connection_error(peer, PROTOCOL)


@BOTH
def test_t52_push_may_be_switched_off(open_peer: Open, role: Role) -> None:
    peer = open_peer(role)
    peer.say(wire.settings({2: 0}))
    assert_alive(peer)


# -- T53 concurrency ------------------------------------------------------------------------------------


def test_t53_the_limit_is_lowered_below_what_is_open(client: Peer) -> None:
    for _ in range(5):
        client.request()
    client.say(wire.settings({3: 2}))
    assert client.connection.available_streams == 0
    assert client.connection.open_streams == 5
    assert client.connection.state is ConnectionState.OPEN
    with pytest.raises(LocalProtocolError):
        client.connection.next_stream_id()
    client.events()
    for stream in (1, 3, 5):
        client.say(wire.headers(stream, OK, end_stream=True))
        assert client.connection.available_streams == 0
    client.say(wire.headers(7, OK, end_stream=True))
    assert client.connection.available_streams == 1
    assert client.request() == 11
    assert StreamReset not in kinds(client.events())


def test_t53_no_stream_at_all_and_then_some(client: Peer) -> None:
    client.say(wire.settings({3: 0}))
    assert client.connection.available_streams == 0
    with pytest.raises(LocalProtocolError):
        client.request()
    client.say(wire.settings({3: 7}))
    assert client.connection.available_streams == 7
    assert client.request() == 1


# -- T54 GOAWAY --------------------------------------------------------------------------------------------


def test_t54_streams_above_the_last_were_not_processed(client: Peer) -> None:
    for _ in range(3):
        client.request()
    client.say(wire.goaway(3))
    events = client.events()
    assert kinds(events) == [Draining, StreamReset]
    assert events[0].last_stream_id == 3
    reset = events[1]
    assert (reset.stream_id, reset.retryable, reset.initiator) == (5, True, Initiator.REMOTE)
    assert client.connection.state is ConnectionState.DRAINING
    assert client.connection.available_streams == 0
    for stream in (1, 3):
        client.say(wire.headers(stream, OK, end_stream=True))
    events = client.events()
    assert kinds(events) == [Response, EndOfMessage] * 2 + [ConnectionClosed]
    assert events[-1].reason is CloseReason.PEER


def test_t54_the_two_phases(client: Peer) -> None:
    for _ in range(2):
        client.request()
    client.say(wire.goaway(2**31 - 1), wire.ping())
    assert kinds(client.events()) == [Draining]
    client.say(wire.goaway(1))
    assert kinds(client.events()) == [Draining, StreamReset]
    client.say(wire.headers(1, OK, end_stream=True))
    assert client.endpoint.is_closed


def test_t54_the_last_id_never_grows(client: Peer) -> None:
    for _ in range(2):
        client.request()
    client.say(wire.goaway(1), wire.goaway(2**31 - 1))
    drainings = [event for event in client.events() if isinstance(event, Draining)]
    assert [event.last_stream_id for event in drainings] == [1, 1]
    assert client.connection.open_streams == 1


def test_t54_unknown_codes_and_long_debug_data(client: Peer) -> None:
    client.request()
    client.say(wire.goaway(1, 0xFFFF, b"why " * 4000))
    (draining,) = client.events()
    assert draining.code == 0xFFFF
    assert draining.debug_data == b"why " * 256
    client.say(wire.headers(1, OK, end_stream=True))
    assert client.endpoint.is_closed


# -- T55 settings that are fixed ---------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("values", [[{9: 1}], [{9: 2}], [{8: 2}], [{8: 1}, {8: 0}]], ids=str)
def test_t55_settings_that_must_not_change(open_peer: Open, role: Role, values: list) -> None:
    peer = open_peer(role)
    for value in values:
        peer.say(wire.settings(value))
    assert_connection_error(peer, PROTOCOL)


@BOTH
def test_t55_the_same_again_is_no_change(open_peer: Open, role: Role) -> None:
    peer = open_peer(role, settings=[(9, 1), (8, 1)])
    peer.say(wire.settings({9: 1, 8: 1}))
    assert_alive(peer)
