"""Receive windows: when they are handed out again, and how they grow (RFC 9113 section 6.9)."""

from __future__ import annotations

import pytest

from plait_engine import (
    Config,
    Data,
    EndOfMessage,
    ErrorCode,
    Limits,
    LocalProtocolError,
    Request,
    Response,
    Role,
    StreamReset,
)
from plait_engine.http2.flow import PROBE, ReceiveWindow, WindowTuner
from plait_engine.testing import Pair, counting_random, whole
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import FrameType
from tests.engine.http2.peers import (
    POST,
    Peer,
    assert_alive,
    assert_connection_error,
    make_config,
    of_type,
)


def updates(peer: Peer) -> list[tuple[int, int]]:
    """Return stream and increment of the WINDOW_UPDATEs since the last call."""
    return [
        (frame.stream_id, int.from_bytes(frame.payload, "big"))
        for frame in of_type(peer.hear(), FrameType.WINDOW_UPDATE)
    ]


@pytest.fixture
def slow(chop) -> Peer:
    """A server with windows of 100,000 whose application takes nothing by itself."""
    config = make_config(
        stream_window=100_000,
        connection_window=100_000,
        max_stream_window=100_000,
        max_connection_window=100_000,
    )
    peer = Peer(Role.SERVER, chop=chop, config=config, acknowledges=False)
    peer.say(wire.headers(1, POST), wire.headers(3, POST))
    peer.hear()
    return peer


def test_the_windows_are_announced_with_the_preface(chop) -> None:
    config = make_config(stream_window=123_456, connection_window=654_321)
    peer = Peer(Role.SERVER, chop=chop, config=config, handshake=False)
    settings, update = peer.hear()
    assert b"\x00\x04" + (123_456).to_bytes(4, "big") in settings.payload
    assert int.from_bytes(update.payload, "big") == 654_321 - 65_535


def test_a_window_is_announced_when_half_of_it_was_taken(slow: Peer) -> None:
    slow.say(wire.data(1, bytes(16000)) * 4)
    slow.endpoint.acknowledge(1, 16000)
    slow.endpoint.acknowledge(1, 33999)
    assert updates(slow) == []
    slow.endpoint.acknowledge(1, 1)
    assert updates(slow) == [(0, 50000), (1, 50000)]
    slow.endpoint.acknowledge(1, 14000)
    assert updates(slow) == []


def test_a_slow_stream_does_not_stop_the_others(slow: Peer) -> None:
    slow.say(wire.data(1, bytes(10_000)))  # never taken
    for _ in range(50):
        slow.say(wire.data(3, bytes(10_000)))
        slow.endpoint.acknowledge(3, 10_000)
    assert_alive(slow)
    assert slow.connection.open_streams == 2


def test_what_was_not_received_cannot_be_acknowledged(slow: Peer) -> None:
    slow.say(wire.data(1, b"12345"), wire.data(3, b"1"))
    for stream, credit in [(1, 6), (3, 2), (1, -1), (99, -1)]:
        with pytest.raises(LocalProtocolError):
            slow.endpoint.acknowledge(stream, credit)
    slow.endpoint.acknowledge(1, 5)
    with pytest.raises(LocalProtocolError):
        slow.endpoint.acknowledge(1, 1)


def test_what_was_received_before_the_end_can_be_acknowledged_behind_it(slow: Peer) -> None:
    slow.say(wire.data(1, b"12345"), wire.data(1, b"678", end_stream=True))
    slow.say(wire.data(3, b"123", end_stream=True))
    for stream_id in (1, 3):
        slow.endpoint.send(Response(stream_id, 204), EndOfMessage(stream_id))
    assert slow.connection.open_streams == 0
    for stream, credit in [(1, 9), (3, 4)]:
        with pytest.raises(LocalProtocolError):
            slow.endpoint.acknowledge(stream, credit)
    slow.endpoint.acknowledge(1, 6)
    with pytest.raises(LocalProtocolError):
        slow.endpoint.acknowledge(1, 3)
    slow.endpoint.acknowledge(1, 2)
    slow.endpoint.acknowledge(3, 3)


def test_what_was_received_of_an_unwanted_request_is_given_back_without_an_acknowledgement(
    slow: Peer,
) -> None:
    """The handler may still take it; that gives nothing back a second time."""
    slow.say(*(wire.data(1, bytes(10_000)) for _ in range(3)))
    slow.endpoint.send(Response(1, 204), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR))
    assert slow.connection.open_streams == 2, "a short rest is let in"
    for _ in range(3):
        slow.endpoint.acknowledge(1, 10_000)
    slow.say(*(wire.data(3, bytes(10_000)) for _ in range(2)))
    slow.endpoint.acknowledge(3, 20_000)
    assert updates(slow) == [(0, 50_000)]


def test_no_update_for_a_stream_that_has_ended(slow: Peer) -> None:
    slow.say(*(wire.data(1, bytes(16000)) for _ in range(4)), wire.data(1, b"", end_stream=True))
    slow.endpoint.acknowledge(1, 64000)
    assert updates(slow) == [(0, 64000)]


def test_long_data_of_one_read_is_one_event(slow: Peer) -> None:
    slow.say(wire.data(1, b"a"))
    slow.events()
    slow.endpoint.fragment = whole
    slow.say(*(wire.data(1, bytes(5000)) for _ in range(6)), wire.data(1, b"", end_stream=True))
    assert slow.events() == [
        Data(1, bytes(25000), 25000),  # a quarter of the window
        Data(1, bytes(5000), 5000),
        EndOfMessage(1),
    ]


def test_data_that_does_not_fit_is_not_joined_to_what_does(slow: Peer) -> None:
    slow.say(wire.data(1, b"a"))
    slow.events()
    slow.say(*(wire.data(1, bytes(16000)) for _ in range(7)))
    taken = sum(event.credit for event in slow.events() if isinstance(event, Data))
    assert taken == 6 * 16000
    assert_connection_error(slow, ErrorCode.FLOW_CONTROL_ERROR)


def test_credit_counts_padding(slow: Peer) -> None:
    slow.say(wire.data(1, b"body", padding=50))
    (data,) = [event for event in slow.events() if isinstance(event, Data)]
    assert (data.data, data.credit) == (b"body", 55)


@pytest.mark.parametrize("size", [1, 10, 65535, 100_000])
def test_the_parts_of_a_window_add_up(size: int) -> None:
    window = ReceiveWindow(size, size * 4)
    for step in range(200):
        data = min(window.available, 1 + step % 7)
        assert window.receive(data)
        window.release(window.unacknowledged // 2)
        if step % 50 == 49:
            window.grow()
        assert window.available + window.unacknowledged + window.released == window.size
    assert window.size == size * 4
    assert window.grow() == 0


def test_a_client_may_give_back_each_small_data_at_once() -> None:
    peer = Peer(Role.SERVER, config=make_config(glitch_burst=20, glitch_rate=1))
    peer.say(wire.window_update(0, 10**6), wire.headers(1, POST))
    peer.endpoint.send(Response(1, 200))
    for _ in range(200):
        peer.endpoint.send(Data(1, b"tick"))
        peer.say(wire.window_update(0, 4), wire.window_update(1, 4))
    assert_alive(peer)


# -- growing ------------------------------------------------------------------------------


def transfer(latency: float, **limits: int) -> tuple[Pair, float]:
    """Send 20 MB to a client over a link; return the pair and the seconds it took."""
    config = Config(random=counting_random, limits=Limits(**{"write_high_water": 10**8, **limits}))
    pair = Pair("h2", client_config=config, server_config=config, latency=latency)
    pair.run()
    stream = pair.client.connection.next_stream_id()
    pair.client.send(Request(stream, "GET", "http", "example.org", "/", ()), EndOfMessage(stream))
    pair.run()
    started = pair.now
    pair.server.send(Response(stream, 200), Data(stream, bytes(20_000_000)), EndOfMessage(stream))
    pair.run()
    assert isinstance(pair.client.events[-1], EndOfMessage)
    return pair, pair.now - started


def test_windows_grow_to_what_the_link_carries() -> None:
    _, fixed = transfer(0.05, max_stream_window=262144, max_connection_window=1048576)
    pair, grown = transfer(0.05)
    assert grown < fixed / 4
    window = pair.client.connection._inflow.window
    assert 1048576 < window.size <= 15728640


def test_windows_stay_where_the_application_is_the_limit() -> None:
    peer = Peer(Role.SERVER, acknowledges=False)
    peer.say(wire.headers(1, POST))
    probes = 0
    for _ in range(400):
        peer.say(wire.data(1, bytes(16000)))
        peer.endpoint.acknowledge(1, 16000)
        pings = [f for f in of_type(peer.hear(), FrameType.PING) if f.payload == PROBE]
        probes += len(pings)
        for _ in pings:  # the round trip takes no time: little is taken in it
            peer.say(wire.ping(PROBE, ack=True))
    assert probes < 10
    assert peer.connection._inflow.window.size == 1048576
    assert peer.connection._streams[1].inbound.size == 262144


def test_an_unasked_acknowledgement_of_the_probe_grows_nothing(server: Peer) -> None:
    server.say(wire.headers(1, POST))
    for _ in range(30):
        server.say(wire.ping(PROBE, ack=True))
    assert server.connection._inflow.window.size == 1048576


def test_the_tuner_stops_at_the_limits() -> None:
    connection = ReceiveWindow(1000, 1000)
    stream = ReceiveWindow(100, 100)
    assert not WindowTuner(connection).wants_probe(stream)


def test_the_tuner_waits_longer_after_each_probe_in_vain() -> None:
    connection = ReceiveWindow(1000, 8000)
    stream = ReceiveWindow(100, 800)
    tuner = WindowTuner(connection)
    asked = []
    for step in range(40):
        if tuner.wants_probe(stream):
            asked.append(step)
            assert tuner.finish_probe() == (stream, False, False)
    assert asked == [0, 2, 5, 10, 19, 36]


def test_what_was_given_back_is_not_given_back_again(slow: Peer) -> None:
    """The request is not wanted any more: the engine returns what nobody has taken."""
    slow.say(wire.data(1, bytes(15_000)) * 4)
    assert updates(slow) == []
    slow.endpoint.send(Response(1, 200), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR))
    assert updates(slow) == [(0, 60_000)]
    slow.endpoint.acknowledge(1, 60_000)
    assert updates(slow) == []


def test_a_smaller_window_holds_for_streams_that_came_before_its_acknowledgement() -> None:
    """RFC 9113 section 6.9.2: the difference is taken off, also off what came before."""
    peer = Peer(Role.SERVER, config=make_config(stream_window=10_000), handshake=False)
    peer.endpoint.acknowledges = False
    peer.say(wire.PREFACE, wire.settings(), wire.headers(1, POST), wire.headers(3, POST))
    peer.say(wire.data(1, bytes(5000)), wire.settings_ack())
    peer.say(wire.data(1, bytes(5000)), wire.data(3, bytes(10_000)))
    assert of_type(peer.hear(), FrameType.RST_STREAM) == []
    peer.say(wire.data(1, b"x"), wire.data(3, b"x"))
    resets = of_type(peer.hear(), FrameType.RST_STREAM)
    assert [frame.stream_id for frame in resets] == [1, 3]
