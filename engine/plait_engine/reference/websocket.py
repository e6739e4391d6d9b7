"""WebSocket of the reference engine: wsproto's frames behind the contract of the native one.

Strategy
--------
wsproto has no time, answers nothing by itself and reports a malformed frame as if the peer
had closed, so only its frames are used (``wsproto.frame_protocol``): what is received is
parsed, unmasked, inflated and checked by it, and what is sent is framed, masked and
deflated by it.  The closing handshake, the heartbeat and the events are those of
``WebSocketConnection``, which this class extends.

Limits: wsproto inflates a frame whole before its size can be checked, has no limit on
fragments, and cannot make a window of 2**8 bytes (it uses 2**9).  A message's
``compress=False`` is obeyed by framing it without the extension.

Rules: RFC 6455 section 5; RFC 7692 section 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import Frame, FrameProtocol, Opcode, ParseFailed

from plait_engine.config import Config
from plait_engine.connection import Role
from plait_engine.errors import LocalProtocolError
from plait_engine.websocket import (
    BytesMessage,
    CloseCode,
    Deflate,
    TextMessage,
    WebSocketConnection,
    WebSocketEvent,
)
from plait_engine.websocket.reader import MessageReader, fault
from plait_engine.websocket.writer import MessageWriter


class ReferenceWebSocketConnection(WebSocketConnection):
    """A WebSocket on one stream, either role, with the frames of wsproto.

    Takes what ``WebSocketConnection`` takes.
    """

    __slots__ = ()

    # The options are those of WebSocketConnection, named and typed there.
    def __init__(self, role: Role, config: Config, **options: Any) -> None:
        super().__init__(role, config, **options)
        client = role is Role.CLIENT
        max_size = options.get("max_message_size")
        framer = FrameProtocol(client, _extensions(self.deflate))
        self._reader = WsprotoReader(
            framer,
            self._events,
            self._receive_control,
            max_message_size=config.limits.max_message_size if max_size is None else max_size,
            decode_text=options.get("decode_text", True),
        )
        self._writer = WsprotoWriter(framer, config.limits.max_pending_pongs)


class WsprotoWriter(MessageWriter):
    """Bytes out of messages and control frames, by wsproto."""

    __slots__ = ("_framer", "_plain_framer")

    def __init__(self, framer: FrameProtocol, max_pending_pongs: int) -> None:
        super().__init__(random=None, deflater=None, max_pending_pongs=max_pending_pongs)
        self._framer = framer
        self._plain_framer = FrameProtocol(framer.client, [])

    def whole_frame(self, opcode: int, payload: bytes) -> None:
        """There is no short path here."""

    def message(self, opcode: int, payload: bytes, finished: bool, compress: bool | None) -> None:
        if self._sending and opcode != self._sending:
            raise LocalProtocolError("the message in fragments has not ended")
        if not self._sending:
            self._compressing = compress is not False
        self._sending = 0 if finished else opcode
        framer = self._framer if self._compressing else self._plain_framer
        content = payload.decode() if opcode == Opcode.TEXT else payload
        self.outgoing.append(bytes(framer.send_data(content, finished)))

    def _frame(self, first: int, payload: bytes) -> bytes:
        """Return a control frame; messages do not come here."""
        framer = self._plain_framer
        opcode = Opcode(first & 0xF)
        if opcode is Opcode.PING:
            return bytes(framer.ping(payload))
        if opcode is Opcode.PONG:
            return bytes(framer.pong(payload))
        if not payload:
            return bytes(framer.close())
        return bytes(framer.close(int.from_bytes(payload[:2], "big"), payload[2:].decode()))


class WsprotoReader(MessageReader):
    """Messages and control frames out of bytes, by wsproto."""

    __slots__ = ("_framer", "_parts", "_size", "_size_limit", "_text_as_str")

    def __init__(
        self,
        framer: FrameProtocol,
        events: list[WebSocketEvent],
        on_control: Callable[[int, bytes], None],
        *,
        max_message_size: int,
        decode_text: bool,
    ) -> None:
        super().__init__(
            events,
            on_control,
            masked=not framer.client,
            max_message_size=max_message_size,
            max_fragments=0,
            inflater=None,
            decode_text=decode_text,
        )
        self._framer = framer
        self._parts: list[bytes] = []
        self._size = 0
        self._size_limit = max_message_size
        self._text_as_str = decode_text

    def take_whole(self, data: bytes | memoryview) -> None:
        """There is no short path here."""

    def feed(self, data: bytes | memoryview) -> None:
        """Handle ``data`` to its end, or to the Close frame."""
        self._framer.receive_bytes(bytes(data))
        try:
            for frame in self._framer.received_frames():
                self._take_frame(frame)
                if self.stopped:
                    return
        except ParseFailed as error:
            raise fault(CloseCode(error.code), str(error)) from error

    def _take_frame(self, frame: Frame) -> None:
        payload = frame.payload
        if isinstance(payload, tuple):
            self._on_control(frame.opcode, _close_payload(*payload))
            return
        data = payload.encode() if isinstance(payload, str) else bytes(payload)
        if frame.opcode.iscontrol():
            self._on_control(frame.opcode, data)
        else:
            self._take_part(data, frame.opcode is Opcode.TEXT, frame.message_finished)

    def _take_part(self, part: bytes, is_text: bool, is_last: bool) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size_limit and self._size > self._size_limit:
            raise fault(CloseCode.MESSAGE_TOO_BIG, "a message is too large")
        if not is_last:
            return
        content = b"".join(self._parts)
        self._parts = []
        self._size = 0
        if is_text:
            self._events.append(TextMessage(content.decode() if self._text_as_str else content))
        else:
            self._events.append(BytesMessage(content))


def _close_payload(code: int, reason: str) -> bytes:
    if code == CloseCode.NO_STATUS:
        return b""
    return int(code).to_bytes(2, "big") + reason.encode()


def _extensions(deflate: Deflate | None) -> list[Extension]:
    """Return wsproto's form of what the handshake agreed on."""
    if deflate is None:
        return []
    extension = PerMessageDeflate(
        client_no_context_takeover=deflate.client_no_context_takeover,
        client_max_window_bits=max(9, deflate.client_max_window_bits),
        server_no_context_takeover=deflate.server_no_context_takeover,
        server_max_window_bits=max(9, deflate.server_max_window_bits),
    )
    extension.finalize(PerMessageDeflate.name)  # switches it on
    return [extension]
