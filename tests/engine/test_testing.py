"""The helpers of ``plait_engine.testing``: what they refuse, and what they count."""

from __future__ import annotations

import pytest

from plait_engine import (
    CloseReason,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    Request,
    Response,
    Role,
    StreamReset,
)
from plait_engine.http1 import HTTP1Client
from plait_engine.testing import Pair, frames
from plait_engine.testing.recorder import EventRecorder, OrderError

GET = Request(1, "GET", "http", "a", "/", (), ends=True)
POST = Request(1, "POST", "http", "a", "/", ())
CLOSED = ConnectionClosed(CloseReason.PEER)


@pytest.mark.parametrize(
    ("role", "events", "message"),
    [
        (Role.SERVER, [CLOSED, GET], "after the last event"),
        (Role.SERVER, [CLOSED, CLOSED], "after the last event"),
        (Role.CLIENT, [Response(2, 200)], "on an even stream"),
        (Role.SERVER, [POST, StreamReset(1), Data(1, b"x")], "after the reset"),
        (Role.SERVER, [POST, StreamReset(1), StreamReset(1)], "after the reset"),
        (Role.SERVER, [Data(1, b"x")], "in state 'start'"),
        (Role.SERVER, [POST, POST], "in state 'body'"),
        (Role.SERVER, [POST, EndOfMessage(1), Data(1, b"x")], "in state 'end'"),
        (Role.SERVER, [GET, Data(1, b"x")], "in state 'ending'"),
        (Role.SERVER, [GET, EndOfMessage(1, [("a", "b")])], "the message ends"),
        (Role.SERVER, [Response(1, 200)], "in state 'start'"),
        (Role.CLIENT, [Response(1, 200), Response(1, 200)], "in state 'body'"),
        (Role.CLIENT, [POST], "in state 'start'"),
    ],
)
def test_events_out_of_order(role: Role, events: list[Event], message: str) -> None:
    recorder = EventRecorder(role)
    for event in events[:-1]:
        recorder.record(event)
    with pytest.raises(OrderError, match=message):
        recorder.record(events[-1])


def test_events_in_order() -> None:
    recorder = EventRecorder(Role.SERVER)
    for event in (GET, EndOfMessage(1), StreamReset(1), CLOSED):
        recorder.record(event)


@pytest.mark.parametrize("size", [1, 8, 9, 16])
def test_half_a_frame_is_none(size: int) -> None:
    ping = frames.ping(b"12345678")
    assert frames.split_frames(ping) == [frames.Frame(6, 0, 0, b"12345678")]
    with pytest.raises(ValueError, match=f"{size} bytes are not a whole frame"):
        frames.split_frames(ping + ping[:size])


@pytest.mark.parametrize(
    ("size", "head"),
    [(125, "827d"), (126, "827e007e"), (65_535, "827effff"), (65_536, "827f0000000000010000")],
)
def test_the_length_of_a_websocket_frame(size: int, head: str) -> None:
    assert frames.websocket_frame(2, bytes(size)) == bytes.fromhex(head) + bytes(size)


def test_a_pair_goes_from_deadline_to_deadline() -> None:
    pair = Pair(client=lambda _, config: HTTP1Client(config))
    assert isinstance(pair.client.connection, HTTP1Client)
    first = min(
        deadline
        for end in (pair.client, pair.server)
        if (deadline := end.connection.next_timeout()) is not None
    )
    assert pair.advance_to_next_timeout()
    assert pair.now == first
    while pair.advance_to_next_timeout():
        pass
    assert pair.client.is_closed
    assert pair.server.is_closed
    assert pair.client.connection.next_timeout() is pair.server.connection.next_timeout() is None
