"""The frame layer of HTTP/2 (RFC 9113 sections 4 and 6; RFC 9218 section 7).

Strategy
--------
This module knows bytes, not meaning.  ``FrameReader`` cuts the bytes of a connection into
frames; ``parse_*`` take the payload of a frame apart; ``encode_*`` make frames.  Whether a
frame may come now, and what it does, is for the connection.  The parsers check what the
layout demands (lengths and padding) and raise ``FrameError``, which says the error code and
whether the stream or the connection is lost; the connection answers the peer.

Types, flags and settings are plain integers: unknown ones are legal on the wire (section
4.1), and they are compared for every frame.

Limits: a frame longer than ``max_frame_size`` is refused when its header is complete,
before its payload is kept.  So the reader holds one frame of that size at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from struct import Struct
from typing import Final, TypeAlias

from plait_engine.errors import ErrorCode, Scope
from plait_engine.preface import PREFACE as PREFACE

# Frame types (RFC 9113 section 6; RFC 9218 section 7.1)
DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9
PRIORITY_UPDATE: Final = 0x10

FRAME_NAMES: Final = {
    DATA: "DATA",
    HEADERS: "HEADERS",
    PRIORITY: "PRIORITY",
    RST_STREAM: "RST_STREAM",
    SETTINGS: "SETTINGS",
    PUSH_PROMISE: "PUSH_PROMISE",
    PING: "PING",
    GOAWAY: "GOAWAY",
    WINDOW_UPDATE: "WINDOW_UPDATE",
    CONTINUATION: "CONTINUATION",
    PRIORITY_UPDATE: "PRIORITY_UPDATE",
}
"""For messages."""

# Flags; the same bit means END_STREAM on DATA and HEADERS, ACK on SETTINGS and PING.
END_STREAM: Final = 0x01
ACK: Final = 0x01
END_HEADERS: Final = 0x04
PADDED: Final = 0x08
HAS_PRIORITY: Final = 0x20
WHOLE: Final = END_HEADERS | END_STREAM
"""The flags of HEADERS that are a whole message."""

# Settings (RFC 9113 section 6.5.2, RFC 8441 section 3, RFC 9218 section 2.1)
SETTINGS_HEADER_TABLE_SIZE: Final = 0x1
SETTINGS_ENABLE_PUSH: Final = 0x2
SETTINGS_MAX_CONCURRENT_STREAMS: Final = 0x3
SETTINGS_INITIAL_WINDOW_SIZE: Final = 0x4
SETTINGS_MAX_FRAME_SIZE: Final = 0x5
SETTINGS_MAX_HEADER_LIST_SIZE: Final = 0x6
SETTINGS_ENABLE_CONNECT_PROTOCOL: Final = 0x8
SETTINGS_NO_RFC7540_PRIORITIES: Final = 0x9

FRAME_HEADER_SIZE: Final = 9
MIN_MAX_FRAME_SIZE: Final = 2**14
"""The initial and least value of SETTINGS_MAX_FRAME_SIZE (RFC 9113 section 6.5.2)."""
MAX_MAX_FRAME_SIZE: Final = 2**24 - 1
MAX_WINDOW: Final = 2**31 - 1
"""The largest flow-control window and increment (RFC 9113 section 6.9.1)."""
MAX_STREAM_ID: Final = 2**31 - 1

Frame: TypeAlias = tuple[int, int, int, bytes]
"""Type, flags, stream id and payload."""

_LONG_DATA: Final = 1024
"""Bytes of payload from which on DATA is joined to what follows it."""


def no_room(stream_id: int) -> int:
    """Tell ``FrameReader.receive`` to join nothing."""
    return 0


# RFC 9113 section 4.1: length (24 bits), type, flags, reserved bit and stream id.
_HEADER = Struct(">HBBBL")
_SETTING = Struct(">HL")
_WORD = Struct(">L")
_TWO_WORDS = Struct(">LL")
_PRIORITY_FIELDS = Struct(">LB")
_RESERVED: Final = 0x80000000


class FrameError(Exception):
    """A frame breaks the layout that its type demands.

    ``code``: the error code to answer with.  ``scope``: whether the stream of the frame is
    lost or the connection.
    """

    def __init__(self, message: str, code: ErrorCode, scope: Scope = Scope.CONNECTION) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.scope = scope


def may_begin_settings(start: bytes, max_frame_size: int) -> bool:
    """Tell whether ``start`` may become SETTINGS, the first frame of a server.

    RFC 9113 section 3.4; section 6.5: it is no acknowledgement, and of no stream.
    """
    size = int.from_bytes(start[:3].ljust(3, b"\0"), "big")
    kind, flags, stream_id = start[3:4], start[4:5], start[5:FRAME_HEADER_SIZE]
    return (
        size <= max_frame_size
        and (not kind or kind[0] == SETTINGS)
        and (not flags or not flags[0] & ACK)
        and not int.from_bytes(stream_id, "big") & ~_RESERVED
    )


class FrameReader:
    """Cuts the bytes of one direction into frames, however they were chopped.

    ``max_frame_size``: the largest payload accepted; may be set at any time.
    ``preface``: bytes that must come before the first frame: ``PREFACE`` on a server.
    ``from_server``: the first frame must be SETTINGS, the preface of a server (RFC 9113 section
    3.4); what cannot become it is refused at its first byte that shows it.
    """

    __slots__ = ("_checks_start", "_partial", "_preface", "max_frame_size")

    def __init__(
        self,
        max_frame_size: int = MIN_MAX_FRAME_SIZE,
        preface: bytes = b"",
        *,
        from_server: bool = False,
    ) -> None:
        self.max_frame_size = max_frame_size
        self._preface = preface
        self._checks_start = from_server
        self._partial = bytearray()  # a frame that has begun

    def receive(
        self, data: bytes | memoryview, room_for: Callable[[int], int] = no_room
    ) -> Iterator[Frame]:
        """Yield the frames that ``data`` completes, which is the caller's again at the end.

        Iterate to the end, or not again.  Raises FrameError, after the frames before it,
        for a frame that is too large and for a wrong preface; the bytes from there on
        mean nothing.

        The short path for long bodies: DATA frames without flags that follow one another on
        a stream come as one, whose payload may be up to ``room_for(stream_id)`` bytes.
        """
        pos = self._read_preface(data) if self._preface else 0
        partial = self._partial
        if self._checks_start:
            first = bytes(partial) + data
            self._checks_start = len(first) < FRAME_HEADER_SIZE
            if not may_begin_settings(first, self.max_frame_size):
                # Without a quotation: GOAWAY repeats the message, which must not depend on the cuts.
                raise FrameError(
                    "the server does not begin with SETTINGS", ErrorCode.PROTOCOL_ERROR
                )
        if partial:
            if len(partial) < FRAME_HEADER_SIZE:
                missing = FRAME_HEADER_SIZE - len(partial)
                partial += data[pos : pos + missing]
                pos += missing
                if len(partial) < FRAME_HEADER_SIZE:
                    return
            high, low, kind, flags, stream_id = _HEADER.unpack_from(partial)
            size = high << 8 | low
            if size > self.max_frame_size:
                raise self._too_large(kind, size)
            missing = FRAME_HEADER_SIZE + size - len(partial)
            if len(data) - pos < missing:
                partial += memoryview(data)[pos:]
                return
            end = pos + missing
            payloads = [memoryview(partial)[FRAME_HEADER_SIZE:], memoryview(data)[pos:end]]
            pos = end
            partial = self._partial = bytearray()
            if size >= _LONG_DATA and kind == DATA and not flags:
                room = room_for(stream_id & ~_RESERVED) - size
                pos = self._read_run(data, pos, stream_id, room, payloads)
            yield kind, flags, stream_id & ~_RESERVED, b"".join(payloads)
        end = len(data)
        while end - pos >= FRAME_HEADER_SIZE:
            high, low, kind, flags, stream_id = _HEADER.unpack_from(data, pos)
            size = high << 8 | low
            if size > self.max_frame_size:
                raise self._too_large(kind, size)
            start = pos + FRAME_HEADER_SIZE
            stop = start + size
            if stop > end:
                break
            pos = stop
            if size >= _LONG_DATA and kind == DATA and not flags and end - pos > _LONG_DATA:
                room = room_for(stream_id & ~_RESERVED) - size
                if room > 0:
                    payloads = [memoryview(data)[start:stop]]
                    pos = self._read_run(data, pos, stream_id, room, payloads)
                    yield DATA, 0, stream_id & ~_RESERVED, b"".join(payloads)
                    continue
            payload = data[start:stop]
            if type(payload) is not bytes:
                payload = bytes(payload)
            yield kind, flags, stream_id & ~_RESERVED, payload
        if pos < end:
            partial += memoryview(data)[pos:]

    def _read_run(
        self,
        data: bytes | memoryview,
        pos: int,
        stream_id: int,
        room: int,
        payloads: list[memoryview],
    ) -> int:
        """Add those of the DATA at ``pos`` that may be joined; return where they end."""
        view = memoryview(data)
        while len(data) - pos >= FRAME_HEADER_SIZE:
            high, low, kind, flags, following = _HEADER.unpack_from(data, pos)
            size = high << 8 | low
            start = pos + FRAME_HEADER_SIZE
            room -= size
            if (
                kind != DATA
                or flags
                or following != stream_id
                or not _LONG_DATA <= size <= self.max_frame_size
                or room < 0
                or start + size > len(data)
            ):
                break
            pos = start + size
            payloads.append(view[start:pos])
        return pos

    def _read_preface(self, data: bytes | memoryview) -> int:
        """Check what ``data`` has of the preface and return the position behind it."""
        part = bytes(data[: len(self._preface)])
        if not self._preface.startswith(part):
            # RFC 9113 section 3.4
            raise FrameError("the connection preface is wrong", ErrorCode.PROTOCOL_ERROR)
        self._preface = self._preface[len(part) :]
        return len(part)

    def _too_large(self, kind: int, size: int) -> FrameError:
        # RFC 9113 section 4.2.  A stream error would do for some frames; but whoever ignores
        # our SETTINGS_MAX_FRAME_SIZE cannot be talked to.
        name = FRAME_NAMES.get(kind, f"frame of type {kind:#x}")
        return FrameError(
            f"a {name} of {size} bytes exceeds SETTINGS_MAX_FRAME_SIZE, {self.max_frame_size}",
            ErrorCode.FRAME_SIZE_ERROR,
        )


# -- parsing payloads ---------------------------------------------------------


def _check_size(name: str, payload: bytes, size: int, scope: Scope = Scope.CONNECTION) -> None:
    if len(payload) != size:
        raise FrameError(
            f"a {name} frame has {len(payload)} bytes, not {size}",
            ErrorCode.FRAME_SIZE_ERROR,
            scope,
        )


def remove_padding(flags: int, payload: bytes) -> bytes:
    """Return the payload of DATA or HEADERS without its padding."""
    if not flags & PADDED:
        return payload
    if not payload:
        raise FrameError("a padded frame has no pad length", ErrorCode.FRAME_SIZE_ERROR)
    end = len(payload) - payload[0]
    if end < 1:  # RFC 9113 section 6.1: padding as long as the payload, or longer
        raise FrameError("the padding is longer than the frame", ErrorCode.PROTOCOL_ERROR)
    return payload[1:end]


def parse_headers(flags: int, payload: bytes) -> tuple[bytes, int | None]:
    """Return the fragment of the header block, and the stream that this one depends on.

    The latter is ``None`` without priority fields (RFC 9113 section 6.2).
    """
    payload = remove_padding(flags, payload)
    if not flags & HAS_PRIORITY:
        return payload, None
    if len(payload) < _PRIORITY_FIELDS.size:
        raise FrameError("HEADERS is too short for its priority", ErrorCode.FRAME_SIZE_ERROR)
    dependency, _ = _PRIORITY_FIELDS.unpack_from(payload)
    return payload[_PRIORITY_FIELDS.size :], dependency & ~_RESERVED


def parse_priority(payload: bytes) -> int:
    """Return the stream that this one depends on (RFC 9113 section 6.3)."""
    _check_size("PRIORITY", payload, _PRIORITY_FIELDS.size, Scope.STREAM)
    dependency: int = _PRIORITY_FIELDS.unpack(payload)[0]
    return dependency & ~_RESERVED


def parse_rst_stream(payload: bytes) -> int:
    """Return the error code (RFC 9113 section 6.4)."""
    _check_size("RST_STREAM", payload, _WORD.size)
    code: int = _WORD.unpack(payload)[0]
    return code


def parse_settings(flags: int, payload: bytes) -> list[tuple[int, int]]:
    """Return the identifiers and values in order; none for an acknowledgement (section 6.5)."""
    if flags & ACK:
        _check_size("SETTINGS acknowledgement", payload, 0)
    if len(payload) % _SETTING.size:
        raise FrameError(
            f"SETTINGS has {len(payload)} bytes, which is not a multiple of {_SETTING.size}",
            ErrorCode.FRAME_SIZE_ERROR,
        )
    return list(_SETTING.iter_unpack(payload))


def parse_ping(payload: bytes) -> bytes:
    """Return the opaque data (RFC 9113 section 6.7)."""
    _check_size("PING", payload, 8)
    return payload


def parse_goaway(payload: bytes) -> tuple[int, int, bytes]:
    """Return the last stream id, the error code and the debug data (section 6.8)."""
    if len(payload) < _TWO_WORDS.size:
        raise FrameError("GOAWAY is too short", ErrorCode.FRAME_SIZE_ERROR)
    last_stream_id, code = _TWO_WORDS.unpack_from(payload)
    return last_stream_id & ~_RESERVED, code, payload[_TWO_WORDS.size :]


def parse_window_update(payload: bytes) -> int:
    """Return the increment; zero is for the connection to refuse (section 6.9)."""
    _check_size("WINDOW_UPDATE", payload, _WORD.size)
    increment: int = _WORD.unpack(payload)[0]
    return increment & ~_RESERVED


def parse_priority_update(payload: bytes) -> tuple[int, bytes]:
    """Return the prioritized stream and the Priority Field Value (RFC 9218 section 7.1)."""
    if len(payload) < _WORD.size:
        raise FrameError("PRIORITY_UPDATE is too short", ErrorCode.FRAME_SIZE_ERROR)
    stream_id: int = _WORD.unpack_from(payload)[0]
    return stream_id & ~_RESERVED, payload[_WORD.size :]


# -- making frames ------------------------------------------------------------


def frame_header(kind: int, flags: int, stream_id: int, size: int) -> bytes:
    """Return the 9 bytes before a payload of ``size`` bytes (RFC 9113 section 4.1)."""
    return _HEADER.pack(size >> 8, size & 0xFF, kind, flags, stream_id)


def encode_frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return any frame."""
    return frame_header(kind, flags, stream_id, len(payload)) + payload


def encode_data(
    stream_id: int, data: bytes, *, end_stream: bool = False, padding: int | None = None
) -> bytes:
    """Return DATA, with ``padding`` bytes of padding (0 to 255) and their length, or without."""
    flags = END_STREAM if end_stream else 0
    if padding is not None:
        flags |= PADDED
        data = b"%c%b%b" % (padding, data, bytes(padding))
    return encode_frame(DATA, flags, stream_id, data)


def encode_headers(
    stream_id: int,
    block: bytes,
    *,
    end_stream: bool = False,
    max_frame_size: int = MIN_MAX_FRAME_SIZE,
) -> bytes:
    """Return HEADERS, and as many CONTINUATION frames as ``block`` needs (section 4.3)."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= max_frame_size:
        return encode_frame(HEADERS, flags | END_HEADERS, stream_id, block)
    parts = [encode_frame(HEADERS, flags, stream_id, block[:max_frame_size])]
    for start in range(max_frame_size, len(block), max_frame_size):
        stop = start + max_frame_size
        last = END_HEADERS if stop >= len(block) else 0
        parts.append(encode_frame(CONTINUATION, last, stream_id, block[start:stop]))
    return b"".join(parts)


def encode_rst_stream(stream_id: int, code: int) -> bytes:
    """Return RST_STREAM."""
    return encode_frame(RST_STREAM, 0, stream_id, _WORD.pack(code))


def encode_settings(settings: Iterable[tuple[int, int]]) -> bytes:
    """Return SETTINGS with identifiers and values in order."""
    return encode_frame(SETTINGS, 0, 0, b"".join([_SETTING.pack(*setting) for setting in settings]))


SETTINGS_ACK: Final = encode_frame(SETTINGS, ACK, 0)
"""The acknowledgement of SETTINGS, which is always the same."""


def encode_ping(payload: bytes, *, ack: bool = False) -> bytes:
    """Return PING with 8 bytes of opaque data."""
    return encode_frame(PING, ACK if ack else 0, 0, payload)


def encode_goaway(last_stream_id: int, code: int, debug_data: bytes = b"") -> bytes:
    """Return GOAWAY."""
    return encode_frame(GOAWAY, 0, 0, _TWO_WORDS.pack(last_stream_id, code) + debug_data)


def encode_window_update(stream_id: int, increment: int) -> bytes:
    """Return WINDOW_UPDATE; stream 0 is the connection."""
    return encode_frame(WINDOW_UPDATE, 0, stream_id, _WORD.pack(increment))
