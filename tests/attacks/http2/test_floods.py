"""Floods and other abuse of resources, by the ids of the project's list of attacks (T1-T10, T22).

Each attack is run against the engine alone: it must stop by itself, with the documented
answer, within its budget.
"""

from __future__ import annotations

import dataclasses
import time

import pytest

from plait_engine import (
    ConnectionClosed,
    Data,
    EndOfMessage,
    ErrorCode,
    Initiator,
    Request,
    Response,
    Role,
    StreamReset,
)
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, Frame, FrameType
from tests.attacks.http2.vocabulary import CALM
from tests.engine.http2.peers import (
    GET,
    OK,
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


def flood(peer: Peer, data: list[bytes], most: int, rounds: int = 200_000) -> int:
    """Send ``bytes`` again and again until the engine has enough; return how often."""
    sent = 0
    for _ in range(rounds):
        for piece in data:
            if peer.endpoint.is_closed:
                return sent
            peer.say(piece)
        sent += 1
        assert sent <= most, "the flood was not stopped"
    return sent


# -- T1 rapid reset --------------------------------------------------------------------


def test_t1_rapid_reset_is_stopped() -> None:
    peer = Peer(Role.SERVER)
    for segment in range(200):
        peer.say(open_and_reset(1 + 100 * segment, 50))
        if peer.endpoint.is_closed:
            break
    assert_connection_error(peer, CALM)
    requests = peer.endpoint.recorder.of_type(Request)
    assert len(requests) == 1001  # the burst
    # A request and its reset come from the same receive_data, for the adapter to cancel out.
    assert len(peer.endpoint.recorder.of_type(StreamReset)) >= 1000


def test_t1_resets_at_the_allowed_rate_go_on() -> None:
    peer = Peer(Role.SERVER)
    for second in range(200):
        peer.endpoint.clock.now += 1
        peer.say(open_and_reset(1 + 60 * second, 30))
    assert_alive(peer)


def test_t1_the_limits_are_those_of_the_configuration() -> None:
    peer = Peer(Role.SERVER, config=make_config(reset_burst=5, reset_rate=1))
    peer.say(open_and_reset(1, 5))
    assert_alive(peer)
    peer.endpoint.clock.now += 1
    peer.say(open_and_reset(11, 1))
    assert_alive(peer)
    peer.say(open_and_reset(13, 1))
    assert_connection_error(peer, CALM)


# -- T2 MadeYouReset ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "primitive",
    [
        pytest.param(lambda s: wire.window_update(s, 0), id="window-0"),
        pytest.param(lambda s: wire.window_update(s, 2**31 - 1), id="window-overflow"),
        pytest.param(lambda s: Frame(2, 0, s, b"1234").encode(), id="priority-size"),
        pytest.param(lambda s: wire.priority(s, s), id="priority-self"),
        pytest.param(lambda s: wire.headers(s, GET, end_stream=True), id="headers-after-end"),
        pytest.param(lambda s: wire.data(s, b"x"), id="data-after-end"),
    ],
)
def test_t2_made_you_reset(primitive) -> None:
    peer = Peer(Role.SERVER, config=make_config(reset_burst=10, reset_rate=1))
    for stream in range(1, 21, 2):
        peer.say(wire.headers(stream, GET, end_stream=True), primitive(stream))
        resets = of_type(peer.hear(), FrameType.RST_STREAM)
        assert [frame.stream_id for frame in resets] == [stream]
        events = peer.events()
        assert kinds(events) == [Request, EndOfMessage, StreamReset]
        assert events[-1].initiator is Initiator.LOCAL
        assert events[-1].error is not None
    peer.say(wire.headers(21, GET, end_stream=True), primitive(21))
    assert_connection_error(peer, CALM)


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(
            lambda s: (
                wire.headers(s, wire.request_block("POST", fields=[("content-length", "9")]))
                + wire.data(s, b"x", end_stream=True)
            ),
            id="content-length",
        ),
        pytest.param(
            lambda s: wire.headers(s, POST) + wire.headers(s, wire.header_block([(":x", "")])),
            id="trailers",
        ),
    ],
)
def test_t2_malformed_ends_are_charged(attack) -> None:
    peer = Peer(Role.SERVER, config=make_config(reset_burst=3, reset_rate=1))
    for stream in (1, 3, 5):
        peer.say(attack(stream))
    assert_alive(peer)
    peer.say(attack(7))
    assert_connection_error(peer, CALM)


# -- T3 to T6 header lists ------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1])
def test_t3_a_tiny_header_list_size_is_advice(chop, size: int) -> None:
    peer = Peer(Role.SERVER, chop=chop, settings=[(6, size)])
    peer.say(wire.headers(1, GET, end_stream=True))
    peer.endpoint.send(Response(1, 200), EndOfMessage(1))
    assert of_type(peer.hear(), FrameType.HEADERS)


def test_t4_many_references_to_one_small_field(server: Peer) -> None:
    server.say(wire.headers(1, GET + b"\x40\x01a\x00", end_stream=True))  # a: "" enters the table
    server.hear()
    server.events()
    server.say(wire.headers(3, GET + b"\xbe" * 16000, end_stream=True))
    (answer,) = of_type(server.hear(), FrameType.HEADERS)
    assert server.fields(answer)[0] == (":status", "431")
    (reset,) = server.events()
    assert isinstance(reset, StreamReset)
    assert reset.error.status_hint == 431
    # The table is in sync: the next block may refer to what this one held.
    server.say(wire.headers(5, GET + b"\xbe", end_stream=True))
    request = server.events()[0]
    assert ("a", "") in request.headers


def test_t4_cookie_crumbs_are_counted_each(server: Peer) -> None:
    crumbs = [("cookie", f"c{i}=1") for i in range(130)]
    server.say(wire.headers(1, wire.request_block(fields=crumbs), end_stream=True))
    assert of_type(server.hear(), FrameType.HEADERS)
    assert kinds(server.events()) == [StreamReset]
    server.say(wire.headers(3, wire.request_block(fields=crumbs[:128]), end_stream=True))
    assert kinds(server.events()) == [Request, EndOfMessage]


def test_t4_a_large_list_with_a_body_is_answered_and_stopped(server: Peer) -> None:
    block = wire.request_block("POST", fields=[(f"x{i}", "y" * 1000) for i in range(70)])
    server.say(wire.headers(1, block[:16000], end_headers=False))
    for start in range(16000, len(block), 16000):
        end = start + 16000 >= len(block)
        server.say(wire.continuation(1, block[start : start + 16000], end_headers=end))
    heard = server.hear()
    (answer,) = of_type(heard, FrameType.HEADERS)
    assert answer.flags & Flag.END_STREAM
    assert server.fields(answer)[0] == (":status", "431")
    (reset,) = of_type(heard, FrameType.RST_STREAM)
    assert error_code(reset) == ErrorCode.NO_ERROR
    server.say(wire.data(1, b"late", end_stream=True))  # ignored for a while
    assert_alive(server)


def test_t4_large_trailers_and_responses_reset_the_stream(client: Peer) -> None:
    many = wire.header_block([("x", "y")] * 200)
    client.request()
    client.say(wire.headers(1, OK + many, end_stream=True))
    assert_stream_error(client, 1, CALM)
    client.request()
    client.say(wire.headers(3, OK), wire.headers(3, many, end_stream=True))
    assert_stream_error(client, 3, CALM)
    assert kinds(client.events()) == [StreamReset, Response, StreamReset]


def test_t5_continuation_flood(chop) -> None:
    peer = Peer(Role.SERVER, chop=chop)
    peer.say(wire.headers(1, GET, end_headers=False))
    for _ in range(8):
        peer.say(wire.continuation(1, b"\x00\x01x\x01y", end_headers=False))
    assert not peer.endpoint.is_closed
    peer.say(wire.continuation(1, b"\x00\x01x\x01y", end_headers=False))
    assert_connection_error(peer, CALM)


def test_t5_as_many_continuations_as_allowed(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_headers=False, end_stream=True))
    for index in range(8):
        server.say(wire.continuation(1, b"\x00\x01x\x01y", end_headers=index == 7))
    assert kinds(server.events()) == [Request, EndOfMessage]


def test_t5_a_header_block_that_is_cut_off_leaves_nothing(server: Peer) -> None:
    server.say(wire.headers(1, GET, end_headers=False))
    server.endpoint.lose(ConnectionResetError())
    assert kinds(server.events()) == [ConnectionClosed]
    assert server.connection.next_timeout() is None


def test_t6_empty_continuations_count_too(chop) -> None:
    peer = Peer(Role.SERVER, chop=chop)
    peer.say(wire.headers(1, GET, end_headers=False))
    assert flood(peer, [wire.continuation(1, b"", end_headers=False)], most=10) == 9
    assert_connection_error(peer, CALM)


# -- T7 to T10 cheap frames -----------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(wire.ping(), id="T7-ping"),
        pytest.param(wire.settings(), id="T8-settings"),
    ],
)
def test_t7_t8_acknowledgements_that_nobody_reads(role: Role, frame: bytes) -> None:
    peer = Peer(role)
    peer.endpoint.can_write = False
    assert flood(peer, [frame * 100], most=11) in (10, 11)
    assert peer.endpoint.is_closed
    peer.endpoint.can_write = True
    peer.endpoint.drain()
    assert_connection_error(peer, CALM)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(wire.ping(), id="T7-ping"),
        pytest.param(wire.ping(ack=True), id="T7-pong"),
        pytest.param(wire.settings(), id="T8-settings"),
        pytest.param(wire.settings_ack(), id="T8-settings-ack"),
        pytest.param(wire.priority(1001), id="T13-priority"),
        pytest.param(Frame(0x0C, 0, 0, b"x").encode(), id="T22-unknown"),
        pytest.param(Frame(0xFF, 0xFF, 7, b"").encode(), id="T22-unknown-on-stream"),
        pytest.param(Frame(0x0A, 0, 0, b"\x00\x00clear").encode(), id="T24-altsvc"),
        pytest.param(wire.window_update(0, 1), id="T11-window-update"),
        pytest.param(wire.window_update(1, 1), id="T11-window-update-of-a-stream"),
        pytest.param(wire.goaway(2**31 - 1), id="T54-goaway"),
    ],
)
def test_useless_frames_have_a_budget(role: Role, frame: bytes) -> None:
    peer = Peer(role, config=make_config(glitch_burst=100, glitch_rate=1))
    if role is Role.CLIENT:
        peer.request()
    else:
        peer.say(wire.headers(1, GET, end_stream=True))
    peer.hear()
    assert flood(peer, [frame], most=102) > 95
    assert_connection_error(peer, CALM)


def test_t8_more_settings_than_allowed(chop) -> None:
    peer = Peer(Role.SERVER, chop=chop)
    peer.say(wire.settings([(0xF000 + i, 1) for i in range(32)]))
    assert_alive(peer)
    peer.say(wire.settings([(0xF000 + i, 1) for i in range(33)]))
    assert_connection_error(peer, CALM)


def test_t8_initial_window_size_goes_up_and_down_with_open_streams() -> None:
    peer = Peer(Role.SERVER, settings=[(4, 0)])
    for stream in range(1, 201, 2):
        peer.say(wire.headers(stream, GET, end_stream=True))
        peer.endpoint.send(Response(stream, 200), Data(stream, b"x" * 10), EndOfMessage(stream))
    started = time.process_time()
    for _ in range(1000):
        peer.say(wire.settings({4: 5}), wire.settings({4: 0}))
    assert time.process_time() - started < 5  # a guard against quadratic cost, not a timing
    peer.hear()
    peer.say(wire.settings({4: 10}))
    ended = [f for f in of_type(peer.hear(), FrameType.DATA) if f.flags & Flag.END_STREAM]
    assert len(ended) == 100


def test_t9_a_malformed_request_on_each_stream() -> None:
    bad = wire.request_block(path="")
    peer = Peer(Role.SERVER)
    peer.endpoint.can_write = False
    for stream in range(1, 20_001, 2):
        peer.say(wire.headers(stream, bad, end_stream=True))
        if peer.endpoint.is_closed:
            break
    assert stream < 2100
    assert not peer.endpoint.recorder.of_type(Request)
    peer.endpoint.can_write = True
    peer.endpoint.drain()
    assert_connection_error(peer, CALM)


def test_t9_the_queue_of_resets_is_bounded_whatever_their_rate() -> None:
    bad = wire.request_block(path="")
    peer = Peer(Role.SERVER, config=make_config(max_control_frames=50))
    peer.endpoint.can_write = False
    for stream in range(1, 103, 2):
        peer.endpoint.clock.now += 1
        peer.say(wire.headers(stream, bad, end_stream=True))
    assert peer.endpoint.is_closed


def test_t9_requests_that_the_engine_answers_itself_are_counted(chop) -> None:
    """Their head is too large, which is a 431 and costs the client nothing."""
    limits = {"max_header_list_size": 200, "reset_burst": 5, "reset_rate": 1}
    peer = Peer(Role.SERVER, chop=chop, config=make_config(**limits))
    large = wire.request_block(fields=[("x", "y" * 200)])
    for stream in range(1, 13, 2):
        assert_alive(peer)
        peer.say(wire.headers(stream, large, end_stream=True))
    assert_connection_error(peer, CALM)
    assert not peer.endpoint.recorder.of_type(Request)


def test_t10_empty_data_is_neither_reported_nor_free(chop) -> None:
    peer = Peer(Role.SERVER, chop=chop, config=make_config(glitch_burst=50, glitch_rate=1))
    peer.say(wire.headers(1, POST))
    peer.events()
    assert flood(peer, [wire.data(1, b"")], most=60) >= 40
    assert not peer.endpoint.recorder.of_type(Data)
    assert_connection_error(peer, CALM)


def test_t10_empty_data_behind_the_answer_is_not_free(chop) -> None:
    peer = Peer(Role.SERVER, chop=chop, config=make_config(glitch_burst=50, glitch_rate=1))
    peer.say(wire.headers(1, POST))
    peer.endpoint.send(Response(1, 200), EndOfMessage(1), StreamReset(1, ErrorCode.NO_ERROR))
    assert flood(peer, [wire.data(1, b"")], most=60) >= 40
    assert_connection_error(peer, CALM)


def test_t10_padding_alone_returns_its_credit() -> None:
    peer = Peer(Role.SERVER)
    peer.say(wire.headers(1, POST))
    for _ in range(5000):  # 1.28 MB, more than the connection's window
        peer.say(wire.data(1, b"", padding=255))
    assert_alive(peer)
    assert peer.connection.open_streams == 1


def test_t10_tiny_data_that_the_application_does_not_take() -> None:
    peer = Peer(
        Role.SERVER, config=make_config(glitch_burst=500, glitch_rate=1), acknowledges=False
    )
    peer.say(wire.headers(1, POST))
    flood(peer, [wire.data(1, b"x") * 100], most=17)
    assert_connection_error(peer, CALM)
    assert len(peer.endpoint.recorder.of_type(Data)) < 1600


def test_t10_tiny_data_that_the_application_takes_is_welcome() -> None:
    peer = Peer(Role.SERVER, config=make_config(glitch_burst=500, glitch_rate=1))
    peer.say(wire.headers(1, POST))
    for _ in range(50):
        peer.say(wire.data(1, b"x") * 100)
    assert_alive(peer)


def test_limits_have_the_documented_defaults() -> None:
    limits = make_config().limits
    assert (
        dataclasses.asdict(limits).items()
        >= {
            "max_concurrent_streams": 100,
            "max_continuations": 8,
            "max_settings_entries": 32,
            "max_control_frames": 1000,
            "reset_burst": 1000,
            "reset_rate": 33,
            "glitch_burst": 10000,
            "glitch_rate": 330,
        }.items()
    )
