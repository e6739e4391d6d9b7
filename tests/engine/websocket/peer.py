"""The other side of a WebSocket in tests: raw frames out, raw frames read back.

It shares no code with the engine, so a mistake in the engine's framing cannot hide.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from plait_engine import Config, Limits, Role
from plait_engine.websocket import (
    BytesMessage,
    TextMessage,
    WebSocketClose,
    WebSocketConnection,
    WebSocketEvent,
    WebSocketState,
)
from tests.engine.chops import Chop, whole

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

KEY = b"\xa7\x01\x5c\xf0"


def xor(payload: bytes, key: bytes) -> bytes:
    return bytes(byte ^ mask for byte, mask in zip(payload, itertools.cycle(key), strict=False))


@dataclass(frozen=True)
class Frame:
    """A frame; ``length`` and ``length_size`` lie about the payload, for bad ones."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    length: int | None = None
    length_size: int | None = None

    def encode(self, masked: bool) -> bytes:
        length = len(self.payload) if self.length is None else self.length
        size = self.length_size
        if size is None:
            size = 0 if length < 126 else 2 if length < 65536 else 8
        marker = {0: length, 2: 126, 8: 127}[size]
        head = bytes([self.fin << 7 | self.rsv << 4 | self.opcode, masked << 7 | marker])
        head += length.to_bytes(size, "big") if size else b""
        return head + (KEY + xor(self.payload, KEY) if masked else self.payload)


def close_frame(code: int | None = None, reason: bytes = b"") -> Frame:
    return Frame(CLOSE, (b"" if code is None else code.to_bytes(2, "big")) + reason)


def decode(wire: bytes, masked: bool) -> Iterator[Frame]:
    """Read back whole frames; fails on anything that is none."""
    while wire:
        first, second = wire[:2]
        assert second >> 7 == masked
        size = {126: 2, 127: 8}.get(second & 127, 0)
        length = int.from_bytes(wire[2 : 2 + size], "big") if size else second & 127
        start = 2 + size + 4 * masked
        payload = wire[start : start + length]
        assert len(payload) == length
        if masked:
            payload = xor(payload, wire[start - 4 : start])
        yield Frame(first & 15, payload, fin=first >= 128, rsv=first >> 4 & 7)
        wire = wire[start + length :]


class Echo:
    """A connection under test with an application that echoes every message.

    ``events`` is what the application took, ``wire`` what was to be sent.  ``options`` are
    those of ``WebSocketConnection``.
    """

    def __init__(self, role: Role, *, limits: Limits | None = None, **options: Any) -> None:
        self.role = role
        config = Config(limits=limits or Limits(), random=os.urandom)
        self.connection = WebSocketConnection(role, config, **options)
        self.events: list[WebSocketEvent] = []
        self.wire = b""

    def encode(self, *frames: Frame) -> bytes:
        """Return ``frames`` as the peer sends them: masked if it is the client."""
        return b"".join(frame.encode(self.role is Role.SERVER) for frame in frames)

    def receive(self, *frames: Frame | bytes, chop: Chop = whole) -> None:
        data = b"".join(
            self.encode(frame) if isinstance(frame, Frame) else frame for frame in frames
        )
        for piece in chop(data):
            self.connection.receive_data(piece, 0.0)
            self.drain()

    def drain(self) -> None:
        connection = self.connection
        while (event := connection.next_event()) is not None:
            self.events.append(event)
            is_message = isinstance(event, (TextMessage, BytesMessage))
            if is_message and connection.state is WebSocketState.OPEN:
                connection.send(event, now=0.0)
        while data := connection.data_to_send():
            self.wire += data

    def sent(self) -> list[Frame]:
        """Return the frames sent so far."""
        return list(decode(self.wire, self.role is Role.CLIENT))

    def close_code(self) -> int | None:
        """Return the code of the Close frame that was sent last, if one was."""
        sent = self.sent()
        if not sent or sent[-1].opcode != CLOSE:
            return None
        return int.from_bytes(sent[-1].payload[:2], "big")

    def closed(self) -> WebSocketClose:
        """Return the last event, which must be the end."""
        event = self.events[-1]
        assert isinstance(event, WebSocketClose)
        return event
