"""What holds for any messages, any fragmentation and any chopping."""

from __future__ import annotations

import os
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from plait_engine import Config, Limits, Role
from plait_engine.websocket import (
    BytesMessage,
    Deflate,
    Ping,
    Pong,
    TextMessage,
    WebSocketClose,
    WebSocketConnection,
    WebSocketEvent,
)
from tests.engine.chops import cut_at

roles = st.sampled_from(Role)

deflates = st.none() | st.builds(
    Deflate,
    st.booleans(),
    st.booleans(),
    st.integers(8, 15),
    st.integers(8, 15),
    st.integers(-1, 9),
    st.integers(1, 9),
)

payloads = st.binary(max_size=70) | st.builds(
    lambda unit, count: unit * count, st.binary(min_size=1, max_size=40), st.integers(1, 2000)
)


@st.composite
def fragmented(draw: st.DrawFn) -> list[WebSocketEvent]:
    """A message in one to four fragments, control frames between them."""
    compress = draw(st.sampled_from([None, True, False]))
    count = draw(st.integers(1, 4))
    kind = draw(st.sampled_from([TextMessage, BytesMessage]))
    events: list[WebSocketEvent] = []
    for index in range(count):
        data = draw(st.text(max_size=50) if kind is TextMessage else payloads)
        events.append(kind(data, finished=index == count - 1, compress=compress))
        if draw(st.booleans()):
            control = draw(st.sampled_from([Ping, Pong]))
            events.append(control(draw(st.binary(max_size=125))))
    return events


def assembled(events: list[WebSocketEvent]) -> Iterator[WebSocketEvent]:
    """What the peer must receive: whole messages, each where its last fragment was."""
    parts: list[str | bytes] = []
    for event in events:
        if isinstance(event, (TextMessage, BytesMessage)):
            parts.append(event.data)
            if event.finished:
                joined = parts[0][:0].join(parts)  # type: ignore[arg-type]
                yield type(event)(joined)  # type: ignore[arg-type]
                parts = []
        else:
            yield event


@given(roles, deflates, st.lists(fragmented(), max_size=5), st.data())
def test_what_is_sent_arrives(
    role: Role, deflate: Deflate | None, messages: list[list[WebSocketEvent]], data: st.DataObject
) -> None:
    config = Config(random=os.urandom)
    other = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    sender = WebSocketConnection(role, config, deflate=deflate)
    receiver = WebSocketConnection(other, config, deflate=deflate, auto_pong=False)
    events = [event for message in messages for event in message]
    events.append(WebSocketClose(4000, "done"))
    for event in events:
        sender.send(event, now=0.0)
    wire = b""
    while raw := sender.data_to_send():
        wire += raw
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=20))
    received = []
    for piece in cut_at(wire, cuts):
        receiver.receive_data(piece, 0.0)
        while (event := receiver.next_event()) is not None:  # type: ignore[assignment]
            received.append(event)
    assert received == list(assembled(events))


@given(roles, deflates, st.binary(max_size=300), st.data())
def test_any_bytes_are_survived_and_cuts_do_not_matter(
    role: Role, deflate: Deflate | None, raw: bytes, data: st.DataObject
) -> None:
    """Inputs never raise, and how the bytes are cut changes neither events nor answers."""
    config = Config(random=bytes, limits=Limits(max_message_size=100))
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=20))
    outcomes = []
    for pieces in ([raw], cut_at(raw, cuts)):
        connection = WebSocketConnection(role, config, deflate=deflate)
        events = []
        wire = b""
        for piece in pieces:
            connection.receive_data(piece, 0.0)
            while (event := connection.next_event()) is not None:
                events.append(event)
            wire += connection.data_to_send()
        connection.receive_eof(1.0)
        while (event := connection.next_event()) is not None:
            events.append(event)
        wire += connection.data_to_send()
        last = events[-1]
        assert isinstance(last, WebSocketClose)
        assert not any(isinstance(event, WebSocketClose) for event in events[:-1])
        outcomes.append((events[:-1], last.code, last.reason, wire))
    assert outcomes[0] == outcomes[1]
