"""Extensible priorities (RFC 9218): the field, PRIORITY_UPDATE, and who is served when."""

from __future__ import annotations

from collections import Counter
from time import process_time

import pytest

from plait_engine import Data, EndOfMessage, ErrorCode, PriorityUpdated, Response, Role
from plait_engine.http2.scheduler import parse_priority
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Frame, FrameType
from tests.engine.http2.peers import (
    GET,
    Peer,
    assert_alive,
    assert_connection_error,
    error_code,
    make_config,
    of_type,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", (3, False)),
        ("u=0", (0, False)),
        ("u=7, i", (7, True)),
        ("i, u=1", (1, True)),
        ("i=?1", (3, True)),
        ("i=?0", (3, False)),
        ("i, i=?0", (3, False)),
        ("u=1,u=2", (2, False)),
        ("u=5;x=1, i;y", (5, True)),
        ("  u=2\t, \ti ", (2, True)),
        # What is not understood or out of range is ignored (sections 4 and 4.1).
        ("u=8", (3, False)),
        ("u=-1", (3, False)),
        ("u=1.5", (3, False)),
        ("u=", (3, False)),
        ("i=1", (3, False)),
        ("foo=bar, u=6", (6, False)),
        ("U=1", (3, False)),
        # A value of another type is ignored, one that is no Dictionary ignores the whole field,
        # and the last of several counts (RFC 8941 sections 3.2 and 4.2).
        ("u=1, u=9", (3, False)),
        ("u=9, u=1", (1, False)),
        ("u=03, i=?0, i", (3, True)),
        ("u=000000000000007", (7, False)),
        ("u=0000000000000001", (3, False)),
        ("u=?1, i=tok", (3, False)),
        ('u="1", i=:aGk=:', (3, False)),
        ("u=(1 2), i", (3, True)),
        ('u=2, a="x, u=3;\\"", b=(x;q=1.5 ?0 :AA==: "y"  );z, c=a/b:c, d=*tok, i', (2, True)),
        ("u=2;a;b=?0; c=(1)", (3, False)),
        ("u=0, !bad!", (3, False)),
        ("u=0,,", (3, False)),
        ("u=0,", (3, False)),
        (",u=0", (3, False)),
        ("u=0 i", (3, False)),
        ("u=0\t", (0, False)),
        ("u=0;", (3, False)),
        ("u=0, a=(1", (3, False)),
        ('u=0, a="\xe9"', (3, False)),
        ("u=0, a=1.2345", (3, False)),
        ("u=0, a=1.", (3, False)),
        ("u=0, A=1", (3, False)),
        ("u=0, i=?2", (3, False)),
        ("u = 0", (3, False)),
        ("\u0665", (3, False)),
        ("u=\u0665", (3, False)),
    ],
)
def test_the_field(value: str, expected: tuple[int, bool]) -> None:
    assert parse_priority(value) == expected


@pytest.mark.parametrize("lines", [("u=0", "i"), ("u=5, i=?0", "u=0;x, i"), ("i", "a=1", "u=0")])
def test_several_lines_are_one_field(lines: tuple[str, ...]) -> None:
    peer = Peer(Role.SERVER)
    fields = [("priority", line) for line in lines]
    peer.say(wire.headers(1, wire.request_block(fields=fields)))
    assert peer.connection._streams[1].priority == (0, True)


@pytest.mark.parametrize(
    "attack", ["a=(" + "1 " * 9000, "a" * 20000, "a=" + "1" * 20000, "a;b" * 9000, "a=(" * 9000]
)
def test_a_long_field_takes_no_long_time(attack: str) -> None:
    started = process_time()
    for end in ("", "!", ")", ","):
        parse_priority(attack + end)
    assert process_time() - started < 2  # a guard against quadratic cost, not a timing


def ask(peer: Peer, stream: int, priority: str | None = None) -> None:
    fields = [] if priority is None else [("priority", priority)]
    peer.say(wire.headers(stream, wire.request_block(fields=fields), end_stream=True))


def answer(peer: Peer, *streams: int, size: int = 100_000) -> None:
    for stream in streams:
        peer.endpoint.send(Response(stream, 200), Data(stream, b"x" * size), EndOfMessage(stream))


def served(peer: Peer, window: int = 10**6) -> list[int]:
    """Open the connection's window and return whose DATA comes, in order."""
    peer.say(wire.window_update(0, window))
    return [frame.stream_id for frame in of_type(peer.hear(), FrameType.DATA)]


@pytest.fixture
def waiting() -> Peer:
    """A server whose connection window is used up by stream 1."""
    peer = Peer(Role.SERVER, settings=[(4, 2**31 - 1)])
    ask(peer, 1)
    answer(peer, 1, size=65535)
    peer.hear()
    return peer


def test_the_urgent_come_first(waiting: Peer) -> None:
    for stream, priority in [(3, "u=5"), (5, None), (7, "u=0"), (9, "u=5")]:
        ask(waiting, stream, priority)
    answer(waiting, 3, 5, 7, 9, size=40_000)
    order = served(waiting)
    assert list(dict.fromkeys(order)) == [7, 5, 3, 9]
    assert order == sorted(order, key=[7, 5, 3, 9].index)


def test_the_sequential_come_one_after_the_other(waiting: Peer) -> None:
    for stream in (3, 5, 7):
        ask(waiting, stream)
    answer(waiting, 7, 3, 5)
    order = served(waiting)
    assert order == sorted(order)


def test_the_incremental_take_turns(waiting: Peer) -> None:
    for stream in (3, 5, 7):
        ask(waiting, stream, "i")
    answer(waiting, 3, 5, 7)
    order = served(waiting)
    assert order[:6] == [3, 5, 7, 3, 5, 7]
    assert max(Counter(order).values()) - min(Counter(order).values()) == 0


def test_neither_kind_starves_the_other(waiting: Peer) -> None:
    for stream, priority in [(3, "i"), (5, None), (7, "i"), (9, None)]:
        ask(waiting, stream, priority)
    answer(waiting, 3, 5, 7, 9)
    order = served(waiting)
    assert set(order[:4]) == {3, 5, 7}
    assert order.index(9) > order.index(5)
    # One that is sequential gets half of the turns.
    assert order[:6].count(5) == 3


def test_a_blocked_stream_holds_nothing_back(waiting: Peer) -> None:
    waiting.say(wire.settings({4: 0}))
    ask(waiting, 3, "u=0")
    ask(waiting, 5)
    answer(waiting, 3, 5, size=1000)
    waiting.say(wire.window_update(5, 1000))
    assert served(waiting) == [5]
    waiting.say(wire.window_update(3, 1000))
    assert [frame.stream_id for frame in of_type(waiting.hear(), FrameType.DATA)] == [3]


def test_one_call_frames_a_quantum() -> None:
    config = make_config(write_quantum=20_000, write_high_water=10**6)
    peer = Peer(Role.SERVER, config=config, settings=[(4, 2**31 - 1)])
    peer.say(wire.window_update(0, 10**6))
    ask(peer, 1)
    peer.endpoint.can_write = False
    answer(peer, 1)
    first = peer.connection.data_to_send()
    sizes = [len(f.payload) for f in of_type(wire.split_frames(first), FrameType.DATA)]
    assert sizes == [16384, 16384]  # whole frames, until the quantum is reached
    # A priority, a reset or a window acts on all that is left.
    ask(peer, 3, "u=0")
    answer(peer, 3, size=10)
    second = wire.split_frames(peer.connection.data_to_send())
    assert of_type(second, FrameType.DATA)[0].stream_id == 3


# -- what the server says itself (section 8) ------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said", "order"),
    [
        (None, "u=0", [5, 3]),
        ("u=1", "u=6", [3, 5]),
        ("u=0", "i", [5, 3]),  # What the response does not say, stays.
        ("u=0", "?", [5, 3]),  # No Dictionary: nothing is said.
        ("u=0", "u=9", [5, 3]),
    ],
)
def test_the_field_of_a_response_overrides_that_of_the_request(
    waiting: Peer, asked: str | None, said: str, order: list[int]
) -> None:
    ask(waiting, 3, "u=2")
    ask(waiting, 5, asked)
    answer(waiting, 3)
    waiting.endpoint.send(
        Response(5, 200, (("Priority", said),)), Data(5, b"x" * 100_000), EndOfMessage(5)
    )
    assert list(dict.fromkeys(served(waiting))) == order


def test_content_that_follows_its_head(waiting: Peer) -> None:
    for stream in (3, 5):
        ask(waiting, stream, "u=2")
        waiting.endpoint.send(Response(stream, 200, (("Priority", f"u={6 - stream}"),)))
    for stream in (3, 5):
        waiting.endpoint.send(Data(stream, b"x" * 30_000), EndOfMessage(stream))
    assert list(dict.fromkeys(served(waiting))) == [5, 3]


def test_an_update_overrides_the_field_of_a_response(waiting: Peer) -> None:
    for stream in (3, 5):
        ask(waiting, stream)
    answer(waiting, 3)
    waiting.endpoint.send(
        Response(5, 200, (("Priority", "u=0"),)), Data(5, b"x" * 100_000), EndOfMessage(5)
    )
    waiting.say(wire.priority_update(5, b"u=7"))
    assert list(dict.fromkeys(served(waiting))) == [3, 5]


# -- PRIORITY_UPDATE (section 7.1) ---------------------------------------------------------


def test_an_update_of_an_open_stream(waiting: Peer) -> None:
    for stream in (3, 5):
        ask(waiting, stream)
    answer(waiting, 3, 5)
    waiting.events()
    waiting.say(wire.priority_update(5, b"u=1, i"))
    assert waiting.events() == [PriorityUpdated(5, 1, True)]
    assert served(waiting)[0] == 5


def test_an_update_in_the_middle_of_a_transfer(waiting: Peer) -> None:
    for stream in (3, 5):
        ask(waiting, stream, "u=2")
    answer(waiting, 3, 5)
    assert served(waiting, 16384) == [3]
    waiting.say(wire.priority_update(3, b"u=6"))
    assert served(waiting, 200_000)[:3] == [5, 5, 5]


def test_an_update_of_a_stream_whose_own_window_is_closed() -> None:
    peer = Peer(Role.SERVER, settings=[(4, 0)])
    for stream in (1, 3):
        ask(peer, stream)
    answer(peer, 1, 3, size=100)
    peer.say(wire.priority_update(3, b"u=0"))
    assert of_type(peer.hear(), FrameType.DATA) == []
    peer.endpoint.can_write = False
    peer.say(wire.window_update(1, 100), wire.window_update(3, 100))
    peer.endpoint.can_write = True
    assert served(peer) == [3, 1]


def test_an_update_before_the_stream_opens_wins_over_the_field(waiting: Peer) -> None:
    waiting.say(wire.priority_update(5, b"u=0"))
    for stream in (3, 5):
        ask(waiting, stream, "u=4")
    answer(waiting, 3, 5)
    assert served(waiting)[0] == 5


def test_an_update_of_a_closed_stream_is_ignored(server: Peer) -> None:
    ask(server, 1)
    answer(server, 1, size=5)
    server.events()
    server.say(wire.priority_update(1, b"u=0"))
    assert server.events() == []
    assert_alive(server)


@pytest.mark.parametrize(
    "data",
    [
        Frame(FrameType.PRIORITY_UPDATE, 0, 1, b"\x00\x00\x00\x01u=1").encode(),
        wire.priority_update(0, b"u=1"),
        wire.priority_update(2, b"u=1"),
    ],
)
def test_updates_that_are_not_allowed(server: Peer, data: bytes) -> None:
    server.say(data)
    assert_connection_error(server, 1)


def test_an_update_that_is_too_short(server: Peer) -> None:
    server.say(Frame(FrameType.PRIORITY_UPDATE, 0, 0, b"\x00\x00").encode())
    assert_connection_error(server, 6)


def test_a_server_sends_no_update(client: Peer) -> None:
    client.request()
    client.say(wire.priority_update(1, b"u=1"))
    assert_connection_error(client, 1)


def test_a_server_says_that_it_ignores_the_old_priorities(chop) -> None:
    peer = Peer(Role.SERVER, chop=chop, handshake=False)
    settings = peer.hear()[0]
    assert b"\x00\x09\x00\x00\x00\x01" in settings.payload


def test_no_head_depends_on_its_own_stream(server: Peer) -> None:
    """RFC 7540 section 5.3.1: an error of the stream, also in trailers."""
    own = Frame(FrameType.HEADERS, 0x25, 1, b"\x00\x00\x00\x01\xff").encode()
    server.say(wire.headers(1, wire.request_block("POST")), own)
    (reset,) = of_type(server.hear(), FrameType.RST_STREAM)
    assert error_code(reset) == ErrorCode.PROTOCOL_ERROR
    assert_alive(server)


def test_the_old_priorities_change_nothing(waiting: Peer) -> None:
    for stream in (3, 5):
        waiting.say(wire.priority(stream, depends_on=5 if stream == 3 else 0, weight=0))
        waiting.say(wire.headers(stream, GET, end_stream=True))
    answer(waiting, 3, 5)
    assert served(waiting)[0] == 3
