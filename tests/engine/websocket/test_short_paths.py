"""Each short path of a WebSocket beside the general one: the same input, the same outcome.

``receive_whole`` stands for ``receive_data`` and ``next_event``, ``whole_frame`` for ``send``
and ``data_to_send``.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine import Config, Limits, LocalProtocolError, Role
from plait_engine.reference import ReferenceWebSocketConnection
from plait_engine.testing import counting_random
from plait_engine.websocket import (
    BytesMessage,
    Deflate,
    TextMessage,
    WebSocketClose,
    WebSocketConnection,
    WebSocketEvent,
)
from tests.engine.chops import cut_at
from tests.engine.websocket.peer import BINARY, TEXT, Frame
from tests.engine.websocket.test_properties import deflates, fragmented, roles

SIZES = [3, 125, 126, 1024, 65_535, 65_536, 100_000]


def connect(role: Role, **options: object) -> WebSocketConnection:
    config = Config(random=counting_random, limits=Limits(max_message_size=2000))
    return WebSocketConnection(role, config, **options)  # type: ignore[arg-type]


def other(role: Role) -> Role:
    return Role.SERVER if role is Role.CLIENT else Role.CLIENT


def drain(connection: WebSocketConnection) -> Iterable[object]:
    """Yield the events that there are; an error counts by what it says."""
    while (event := connection.next_event()) is not None:
        if isinstance(event, WebSocketClose):
            yield event.code, event.reason, str(event.error)
        else:
            yield event


def received(connection: WebSocketConnection, pieces: Iterable[bytes], short: bool) -> object:
    """Give ``pieces`` to ``connection``; return all that can be seen of it."""
    events: list[object] = []
    wire = b""
    for now, piece in enumerate(pieces):
        buffer = bytearray(piece)  # the caller's again after each call
        message = connection.receive_whole(memoryview(buffer), now) if short else None
        if message is not None:
            whole = TextMessage if isinstance(message, str) else BytesMessage
            events.append(whole(message))  # type: ignore[arg-type]
        else:
            connection.receive_data(memoryview(buffer) if short else piece, now)
        buffer[:] = bytes(len(buffer))
        events += drain(connection)
        wire += connection.data_to_send()
    state = connection.state, connection.can_send, connection.close_code, connection.wants_close
    return events, wire, state, connection.next_timeout()


@given(
    roles,
    deflates,
    st.lists(fragmented() | fragmented().map(lambda events: events[-1:]), max_size=6),
    st.data(),
)
def test_receiving(
    role: Role, deflate: Deflate | None, messages: list[list[WebSocketEvent]], data: st.DataObject
) -> None:
    """A frame to a read, and then cut anywhere; with a byte changed, or none."""
    sender = connect(other(role), deflate=deflate)
    frames = []
    for event in (event for message in messages for event in message):
        try:
            sender.send(event, now=0.0)
        except LocalProtocolError:  # a fragment of another type than the one before
            continue
        frames.append(sender.data_to_send())
    if frames and data.draw(st.booleans()):
        index = data.draw(st.integers(0, len(frames) - 1))
        position = data.draw(st.integers(0, len(frames[index]) - 1))
        damaged = bytearray(frames[index])
        damaged[position] ^= data.draw(st.integers(1, 255))
        frames[index] = bytes(damaged)
    wire = b"".join(frames)
    cuts = cut_at(wire, data.draw(st.lists(st.integers(0, len(wire)), max_size=10)))
    bytewise = [wire[i : i + 1] for i in range(len(wire))] if len(wire) < 3000 else [wire]
    options = data.draw(st.sampled_from([{}, {"decode_text": False}, {"ping_interval": 5.0}]))
    for pieces in (frames, [wire], cuts, bytewise):
        outcomes = [
            received(connect(role, deflate=deflate, **options), pieces, short)
            for short in (False, True)
        ]
        assert outcomes[0] == outcomes[1]


@given(roles, deflates, st.lists(fragmented(), max_size=6), st.data())
def test_sending(
    role: Role, deflate: Deflate | None, messages: list[list[WebSocketEvent]], data: st.DataObject
) -> None:
    """With events and drains between them in any order."""
    events = [event for message in messages for event in message]
    if data.draw(st.booleans()):
        events.insert(data.draw(st.integers(0, len(events))), WebSocketClose(4000))
    drained = data.draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    wires = []
    for short in (False, True):
        connection = connect(role, deflate=deflate)
        wire = b""
        errors = []
        for event, drains in zip(events, drained, strict=True):
            frame = None
            if (
                short
                and isinstance(event, TextMessage | BytesMessage)
                and event.finished
                and event.compress is None
            ):
                frame = connection.whole_frame(event.data)
            if frame is not None:
                wire += frame
                continue
            try:
                connection.send(event, now=0.0)
            except LocalProtocolError as error:
                errors.append(str(error))
            while drains and (raw := connection.data_to_send()):
                wire += raw
        while raw := connection.data_to_send():
            wire += raw
        wires.append((wire, errors))
    assert wires[0] == wires[1]


@pytest.mark.parametrize("size", SIZES)
def test_a_whole_message_takes_the_short_path(role: Role, size: int, each_mask: None) -> None:
    sender = WebSocketConnection(other(role), Config(random=counting_random))
    receiver = WebSocketConnection(role, Config())
    for message in ("x" * size, b"y" * size):
        frame = sender.whole_frame(message)
        assert frame is not None
        assert receiver.receive_whole(frame, 0.0) == message
        assert receiver.receive_whole(memoryview(frame), 0.0) == message
    assert receiver.next_event() is None


def test_what_does_not_take_it(role: Role) -> None:
    sender = WebSocketConnection(other(role), Config(random=counting_random))
    assert sender.whole_frame("\ud800") is None
    sender.send(TextMessage("first"), now=0.0)
    assert sender.whole_frame(b"second") is None
    first = sender.data_to_send()
    sender.send(BytesMessage(b"fragment", finished=False), now=0.0)
    fragment = sender.data_to_send()
    assert sender.whole_frame(b"in between") is None
    receiver = WebSocketConnection(role, Config(), decode_text=False)
    for data in (b"", first, first + first, first[:-1], fragment):
        assert receiver.receive_whole(data, 0.0) is None
    sender.send(WebSocketClose(), now=0.0)
    assert sender.whole_frame(b"behind the Close frame") is None


def test_the_reference_has_none(role: Role) -> None:
    native = WebSocketConnection(other(role), Config(random=counting_random))
    reference = ReferenceWebSocketConnection(role, Config(random=counting_random))
    frame = native.whole_frame(b"message")
    assert frame is not None
    assert reference.receive_whole(frame, 0.0) is None
    assert reference.whole_frame(b"message") is None


@pytest.mark.parametrize(
    ("frame", "options"),
    [
        pytest.param(frame, options, id=name)
        for name, frame, options in [
            ("short length of 16 bits", Frame(BINARY, b"x" * 125, length_size=2), {}),
            ("short length of 64 bits", Frame(BINARY, b"x" * 1000, length_size=8), {}),
            ("compressed without the extension", Frame(TEXT, b"abcd", rsv=4), {}),
            ("no UTF-8", Frame(TEXT, b"abc\xff"), {}),
            ("text as bytes", Frame(TEXT, b"abcd"), {"decode_text": False}),
        ]
    ],
)
def test_frames_that_are_left_to_the_general_path(
    role: Role, frame: Frame, options: dict[str, object]
) -> None:
    wire = frame.encode(role is Role.SERVER)
    assert connect(role, **options).receive_whole(wire, 0.0) is None
    outcomes = [received(connect(role, **options), [wire], short) for short in (False, True)]
    assert outcomes[0] == outcomes[1]


def test_a_frame_with_the_wrong_mask_is_left_to_the_general_path(role: Role) -> None:
    wire = Frame(BINARY, b"abcd").encode(role is Role.CLIENT)
    assert connect(role).receive_whole(wire, 0.0) is None
    outcomes = [received(connect(role), [wire], short) for short in (False, True)]
    assert outcomes[0] == outcomes[1]


def test_no_message_overtakes_another(role: Role) -> None:
    connection = connect(role)
    masked = role is Role.SERVER
    connection.receive_data(Frame(TEXT, b"first").encode(masked), 0.0)
    second = Frame(TEXT, b"second").encode(masked)
    assert connection.receive_whole(second, 0.0) is None
    connection.receive_data(second, 0.0)
    assert list(drain(connection)) == [TextMessage("first"), TextMessage("second")]
    assert connection.receive_whole(second, 0.0) == "second"


def test_a_compressed_message_takes_the_short_paths(role: Role) -> None:
    sender = connect(other(role), deflate=Deflate())
    frames = [sender.whole_frame(data) for data in ("hello " * 20, b"hello " * 20)]
    receiver = connect(role, deflate=Deflate())
    messages = [receiver.receive_whole(frame, 0.0) for frame in frames if frame is not None]
    assert messages == ["hello " * 20, b"hello " * 20]


def test_a_whole_message_that_does_not_inflate_fails_the_connection(role: Role) -> None:
    wire = Frame(TEXT, b"\xff" * 20, rsv=4).encode(role is Role.SERVER)  # RSV1
    outcomes = []
    for short in (False, True):
        connection = connect(role, deflate=Deflate())
        outcomes.append(received(connection, [wire], short))
        assert not connection.can_send
    assert outcomes[0] == outcomes[1]
