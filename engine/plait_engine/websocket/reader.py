"""From bytes to whole messages: the receiving half of RFC 6455 section 5.

Strategy
--------
A frame is handled as its bytes come: its header is checked, then each piece of its payload
is unmasked, inflated and validated at once and appended to one growing buffer.  So a fault
is found at the first byte that shows it, a byte is handled once however it was cut, and a
message costs the memory of its payload, not of its pieces.  A frame that is a whole
message, and is there whole, needs no buffer: it is sliced, unmasked and decoded.

Only an incomplete header, or an incomplete control frame (at most 139 bytes together),
is held back until more comes.

``take_whole`` is a *short path*: most reads of a server bring one message, whole, and
nothing else.  It returns that message without an event, and leaves all else to ``feed``.

Rules
-----
* Reserved bits, opcodes, fragmentation, control frames, minimal lengths: sections 5.2,
  5.4 and 5.5.  A client masks every frame, a server none (5.1).
* RSV1 marks the first frame of a compressed message, where permessage-deflate was
  negotiated, and no other (RFC 7692 section 6).
* Text is UTF-8 (8.1), checked as it arrives.

Limits
------
* The size of a message is checked at each frame's header, before its payload; of a
  compressed message the bytes after inflating count, as they are made.
* A message has a number of fragments at most.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable

from plait_engine.errors import RemoteProtocolError, Scope

from .deflate import Inflater
from .events import BytesMessage, TextMessage, WebSocketEvent
from .frames import (
    FIN,
    LENGTH_BITS,
    MASKED,
    MAX_CONTROL_PAYLOAD,
    OPCODE_BITS,
    RSV1,
    RSV_BITS,
    CloseCode,
    Opcode,
)
from .masking import apply_mask

_TEXT = int(Opcode.TEXT)
_BINARY = int(Opcode.BINARY)
_CONTROL = 0x8  # the bit that control opcodes have (RFC 6455 section 5.5)

_PLAIN_FIRST_BYTES = frozenset(
    {fin | opcode for fin in (0, FIN) for opcode in (0x0, 0x1, 0x2)}
    | {FIN | opcode for opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG)}
)
_DEFLATE_FIRST_BYTES = _PLAIN_FIRST_BYTES | {
    fin | RSV1 | opcode for fin in (0, FIN) for opcode in (Opcode.TEXT, Opcode.BINARY)
}

_WHOLE_FIRST_BYTES = _PLAIN_FIRST_BYTES - {0x0, 0x1, 0x2, FIN}
"""Frames that need nothing of what came before: messages of one frame, control frames."""

_OPCODES = frozenset(Opcode)

_LENGTH_END = 1 << 63  # RFC 6455 section 5.2: the most significant bit of 64 is 0
_NO_LIMIT = 1 << 62

_WHOLE_MESSAGES = {FIN | rsv | opcode: opcode for rsv in (0, RSV1) for opcode in (_TEXT, _BINARY)}
"""The first bytes of messages of one frame."""


def fault(code: int, message: str) -> RemoteProtocolError:
    """Return the error for a peer that must be failed with ``code`` (section 7.1.7)."""
    return RemoteProtocolError(message, code=code, scope=Scope.STREAM)


def _protocol_error(message: str) -> RemoteProtocolError:
    return fault(CloseCode.PROTOCOL_ERROR, message)


def _invalid_text() -> RemoteProtocolError:
    return fault(CloseCode.INVALID_TEXT, "a text message is not UTF-8")


class MessageReader:
    """Take bytes, append messages to ``events``, pass control frames to ``on_control``.

    ``masked``: whether the peer's frames must be masked.  ``max_message_size`` and
    ``max_fragments``: 0 for no limit.  ``feed`` raises RemoteProtocolError with the close
    code in ``code``; the reader is then of no more use.
    """

    __slots__ = (
        "_cut_character",
        "_decode_text",
        "_deflated",
        "_events",
        "_fin",
        "_first_bytes",
        "_fragments",
        "_held",
        "_inflater",
        "_key",
        "_mask_bit",
        "_max_fragments",
        "_max_size",
        "_message",
        "_on_control",
        "_opcode",
        "_remaining",
        "_wire_size",
        "stopped",
    )

    def __init__(
        self,
        events: list[WebSocketEvent],
        on_control: Callable[[int, bytes], None],
        *,
        masked: bool,
        max_message_size: int,
        max_fragments: int,
        inflater: Inflater | None,
        decode_text: bool,
    ) -> None:
        self._events = events
        self._on_control = on_control
        self._mask_bit = MASKED if masked else 0
        self._max_size = max_message_size or _NO_LIMIT
        self._max_fragments = max_fragments or _NO_LIMIT
        self._inflater = inflater
        self._first_bytes = _DEFLATE_FIRST_BYTES if inflater else _PLAIN_FIRST_BYTES
        self._decode_text = decode_text
        self.stopped = False
        """Set by ``on_control`` after a Close frame: what follows is dropped."""
        self._held = b""
        # The message in progress; no message while the opcode is 0.
        self._opcode = 0
        self._deflated = False
        self._fragments = 0
        self._wire_size = 0  # bytes of its frames, with those announced
        self._message = bytearray()
        self._cut_character = b""  # the start of one, at the end of what came so far
        # The frame in progress.
        self._fin = False
        self._remaining = 0
        self._key = b""

    def take_whole(self, data: bytes | memoryview) -> str | bytes | None:
        """Short path of ``feed``: return the message if ``data`` is one frame that has it all.

        ``str`` is a text, ``bytes`` a binary message.  Returns ``None``, with nothing changed,
        for anything else.  Raises what ``feed`` raises for a message that does not inflate.
        """
        size = len(data)
        if size < 4 or self._held or self._opcode or self.stopped:
            return None
        mask_bit = self._mask_bit
        start = 6 if mask_bit else 2
        length = data[1] ^ mask_bit
        if length > MAX_CONTROL_PAYLOAD:
            if length == 126:
                length = data[2] << 8 | data[3]
                start += 2
                least = 126
            elif length == LENGTH_BITS:
                length = int.from_bytes(data[2:10])
                start += 8
                least = 65536
            else:
                return None
            if length < least:
                return None
        if start + length != size or length > self._max_size:
            return None
        first = data[0]
        opcode = _WHOLE_MESSAGES.get(first)
        if opcode is None or (opcode == _TEXT and not self._decode_text):
            return None
        is_deflated = first >= FIN | RSV1
        if is_deflated and self._inflater is None:
            return None
        payload = data[start:]
        if mask_bit:
            payload = apply_mask(payload, bytes(data[start - 4 : start]))
        if is_deflated:
            return self._inflate_whole(opcode, payload)
        if opcode == _BINARY:
            return payload if type(payload) is bytes else bytes(payload)
        try:
            return str(payload, "utf-8")
        except UnicodeDecodeError:
            return None

    def feed(self, data: bytes | memoryview) -> None:
        """Handle ``data`` to its end, or to the Close frame.  No view of it is kept."""
        if self.stopped:
            return
        if self._held:
            data = self._held + data
            self._held = b""
        start = 0
        end = len(data)
        mask_bit = self._mask_bit
        while start < end:
            if self._remaining:
                start = self._take_payload(data, start)
                continue
            payload_start = start + 2
            if payload_start > end:
                break
            first = data[start]
            if first not in self._first_bytes:
                raise self._explain(first)
            length = data[start + 1] ^ mask_bit
            if length > MAX_CONTROL_PAYLOAD:
                if length > LENGTH_BITS or first & _CONTROL:
                    raise self._explain_length(length)
                if length == 126:
                    least = 126
                    payload_start += 2
                    if payload_start > end:
                        break
                    length = data[start + 2] << 8 | data[start + 3]
                else:
                    least = 65536
                    payload_start += 8
                    if payload_start > end:
                        break
                    length = int.from_bytes(data[start + 2 : payload_start])
                if length < least or length >= _LENGTH_END:
                    raise _wrong_length(length)
            whole = first in _WHOLE_FIRST_BYTES
            opcode = first & OPCODE_BITS
            if (self._opcode or not whole or length > self._max_size) and opcode < _CONTROL:
                self._check_data_header(first, opcode, length)
            if mask_bit:
                payload_start += 4
                if payload_start > end:
                    break
            payload_end = payload_start + length
            if payload_end > end or (not whole and first not in _WHOLE_MESSAGES):
                if opcode & _CONTROL:
                    break
                key = bytes(data[payload_start - 4 : payload_start])
                self._begin_frame(first, opcode, length, key)
                start = payload_start
                continue
            payload = data[payload_start:payload_end]
            if mask_bit:
                payload = apply_mask(payload, bytes(data[payload_start - 4 : payload_start]))
            start = payload_end
            if first & RSV1:
                message = self._inflate_whole(opcode, payload)
                if isinstance(message, bytes):
                    self._events.append(BytesMessage(message))
                else:
                    self._deliver_str(message)
            elif opcode == _BINARY:
                self._events.append(BytesMessage(bytes(payload)))
            elif opcode == _TEXT:
                self._deliver_text(payload)
            else:
                self._on_control(opcode, bytes(payload))
                if self.stopped:
                    return
        if start < end:
            self._held = bytes(data[start:])

    # -- headers ----------------------------------------------------------------

    def _explain(self, first: int) -> RemoteProtocolError:
        """Return what is wrong with the first byte of a frame."""
        opcode = first & OPCODE_BITS
        if opcode not in _OPCODES:
            return _protocol_error(f"opcode {opcode:#x} is reserved")
        if first & RSV_BITS:
            return _protocol_error("a reserved bit is set without an extension that defines it")
        return _protocol_error("a control frame is fragmented")

    def _explain_length(self, length: int) -> RemoteProtocolError:
        """Return what is wrong with the second byte of a frame."""
        if length <= LENGTH_BITS:
            return _protocol_error("a control frame has more than 125 bytes")
        return _protocol_error(
            "a frame is not masked" if self._mask_bit else "the server masked a frame"
        )

    def _check_data_header(self, first: int, opcode: int, length: int) -> None:
        """Check a data frame against the message in progress and the limits."""
        if self._opcode:
            if opcode:
                raise _protocol_error("a message begins before the one in fragments has ended")
            if self._fragments >= self._max_fragments:
                raise fault(
                    CloseCode.MESSAGE_TOO_BIG,
                    f"a message has more than {self._max_fragments} fragments",
                )
            deflated = self._deflated
        else:
            if not opcode:
                raise _protocol_error("a continuation frame without a message to continue")
            deflated = first & RSV1 != 0
        limit = self._max_size
        if deflated:
            # What cannot be compressed grows a little, an eighth with zlib's worst
            # settings; the size that counts is checked while inflating.
            limit += (limit >> 3) + 64
        if self._wire_size + length > limit:
            raise self._too_big()

    def _too_big(self) -> RemoteProtocolError:
        return fault(CloseCode.MESSAGE_TOO_BIG, f"a message is larger than {self._max_size} bytes")

    # -- messages in pieces -------------------------------------------------------

    def _begin_frame(self, first: int, opcode: int, length: int, key: bytes) -> None:
        if opcode:
            self._opcode = opcode
            self._deflated = first & RSV1 != 0
        self._fragments += 1
        self._wire_size += length
        self._fin = first & FIN != 0
        self._key = key
        self._remaining = length
        if not length:
            self._end_frame()

    def _take_payload(self, data: bytes | memoryview, start: int) -> int:
        """Take what there is of the frame's payload; return where it ends in ``data``."""
        stop = min(start + self._remaining, len(data))
        size = stop - start
        piece = data[start:stop]
        if self._mask_bit:
            key = self._key
            piece = apply_mask(piece, key)
            turn = size & 3
            if turn:
                self._key = key[turn:] + key[:turn]
        self._append(self._inflate(piece, len(self._message)) if self._deflated else piece)
        self._remaining -= size
        if not self._remaining:
            self._end_frame()
        return stop

    def _append(self, piece: bytes | memoryview) -> None:
        if self._opcode == _TEXT:
            self._validate(piece, final=False)
        self._message += piece

    def _validate(self, piece: bytes | memoryview, *, final: bool) -> None:
        """Check the next bytes of a text; an incomplete character at their end may wait."""
        if self._cut_character:
            piece = self._cut_character + piece
        _, used = _decode(piece, final)
        self._cut_character = bytes(piece[used:])
        # CPython waits for the third byte of a surrogate, though the second decides.
        if self._cut_character[:1] == b"\xed" and self._cut_character[1:] >= b"\xa0":
            raise _invalid_text()

    def _end_frame(self) -> None:
        if not self._fin:
            return
        if self._deflated:
            self._append(self._inflate(None, len(self._message)))
        opcode, message = self._opcode, self._message
        if opcode == _TEXT:
            self._validate(b"", final=True)
        self._opcode = 0
        self._fragments = 0
        self._wire_size = 0
        self._message = bytearray()
        if opcode == _TEXT:
            self._deliver_text(message)
        else:
            self._events.append(BytesMessage(bytes(message)))

    def _deliver_text(self, payload: bytes | bytearray | memoryview) -> None:
        try:
            text = str(payload, "utf-8")
        except UnicodeDecodeError as error:
            raise _invalid_text() from error
        self._events.append(TextMessage(text if self._decode_text else bytes(payload)))

    def _deliver_str(self, text: str) -> None:
        self._events.append(TextMessage(text if self._decode_text else text.encode()))

    # -- permessage-deflate -------------------------------------------------------

    def _inflate_whole(self, opcode: int, payload: bytes | memoryview) -> str | bytes:
        """Return the message of a compressed frame that has it all."""
        data = self._inflate(payload, 0)
        if opcode == _BINARY:
            return data + self._inflate(None, len(data))
        text, used = _decode(data, final=False)
        rest = self._inflate(None, len(data))
        if rest or used < len(data):
            text, _ = _decode(data + rest, final=True)
        return text

    def _inflate(self, piece: bytes | memoryview | None, size: int) -> bytes:
        """Return what the next piece of a message inflates to; ``None``: its end.

        ``size`` bytes of the message came before.
        """
        inflater = self._inflater
        assert inflater is not None
        room = self._max_size - size
        limit = room + 1  # to see that it is too much
        try:
            data = inflater.finish(limit) if piece is None else inflater.inflate(piece, limit)
        except zlib.error as error:
            raise _protocol_error(f"a message does not decompress: {error}") from error
        if len(data) > room:
            raise self._too_big()
        return data


def _decode(data: bytes | memoryview, final: bool) -> tuple[str, int]:
    """Return ``data`` as text and how much of it that is; the last character may be cut."""
    try:
        return codecs.utf_8_decode(data, "strict", final)
    except UnicodeDecodeError as error:
        raise _invalid_text() from error


def _wrong_length(length: int) -> RemoteProtocolError:
    """RFC 6455 section 5.2, on the lengths in 2 and in 8 bytes."""
    if length >= _LENGTH_END:
        return _protocol_error("a frame's length has its most significant bit set")
    return _protocol_error("a frame's length is not written in the fewest bytes")
