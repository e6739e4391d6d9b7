"""Our frames read by wsproto, and wsproto's by us, with and without permessage-deflate."""

from __future__ import annotations

import os

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import (
    BytesMessage as TheirBytes,
)
from wsproto.events import (
    CloseConnection,
    Event,
)
from wsproto.events import (
    Ping as TheirPing,
)
from wsproto.events import (
    TextMessage as TheirText,
)
from wsproto.extensions import PerMessageDeflate

from plait_engine import Config, Role
from plait_engine.websocket import (
    BytesMessage,
    Deflate,
    Ping,
    TextMessage,
    WebSocketClose,
    WebSocketConnection,
)
from tests.engine.chops import CHOPS, Chop

PARAMETERS = [None, {}, {"server_no_context_takeover": True}, {"client_no_context_takeover": True}]


def pair(role: Role, parameters: dict[str, bool] | None) -> tuple[WebSocketConnection, Connection]:
    """A connection of ours, and wsproto's in the other role."""
    ours = WebSocketConnection(
        role,
        Config(random=os.urandom),
        deflate=None if parameters is None else Deflate(**parameters),  # type: ignore[arg-type]
    )
    extensions = []
    if parameters is not None:
        extension = PerMessageDeflate(**parameters)
        extension._enabled = True
        extensions.append(extension)
    theirs = ConnectionType.CLIENT if role is Role.SERVER else ConnectionType.SERVER
    return ours, Connection(theirs, extensions)


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
@pytest.mark.parametrize("chop", CHOPS)
def test_wsproto_reads_what_we_send(
    role: Role, parameters: dict[str, bool] | None, chop: Chop
) -> None:
    ours, theirs = pair(role, parameters)
    texts = ["", "grüße", "x" * 500, "y" * 70_000]
    for text in texts:
        ours.send(TextMessage(text), now=0.0)
        ours.send(BytesMessage(text.encode(), finished=False), now=0.0)
        if parameters is None:  # wsproto forgets that a message is compressed at a ping in it
            ours.send(Ping(b"between"), now=0.0)
        ours.send(BytesMessage(b"end"), now=0.0)
    ours.send(WebSocketClose(1001, "bye"), now=0.0)
    events: list[Event] = []
    while data := ours.data_to_send():
        for piece in chop(data):
            theirs.receive_data(piece)
            events += theirs.events()
    got_text = "".join(event.data for event in events if isinstance(event, TheirText))
    got_bytes = b"".join(bytes(event.data) for event in events if isinstance(event, TheirBytes))
    assert got_text == "".join(texts)
    assert got_bytes == b"".join(text.encode() + b"end" for text in texts)
    assert sum(isinstance(event, TheirPing) for event in events) == (
        len(texts) if parameters is None else 0
    )
    assert events[-1] == CloseConnection(1001, "bye")


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
@pytest.mark.parametrize("chop", CHOPS)
def test_we_read_what_wsproto_sends(
    role: Role, parameters: dict[str, bool] | None, chop: Chop
) -> None:
    ours, theirs = pair(role, parameters)
    texts = ["", "grüße", "x" * 500, "y" * 70_000]
    wire = b""
    for text in texts:
        wire += theirs.send(TheirText(text))
        wire += theirs.send(TheirBytes(text.encode(), message_finished=False))
        wire += theirs.send(TheirPing(b"between"))
        wire += theirs.send(TheirBytes(b"end"))
    wire += theirs.send(CloseConnection(1001, "bye"))
    for piece in chop(wire):
        ours.receive_data(piece, 0.0)
    for text in texts:
        assert ours.next_event() == TextMessage(text)
        assert ours.next_event() == BytesMessage(text.encode() + b"end")
    assert ours.next_event() == WebSocketClose(1001, "bye")
