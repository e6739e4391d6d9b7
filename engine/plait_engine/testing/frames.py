"""Raw HTTP/2 and WebSocket frames for tests: built and taken apart, not checked.

Header blocks are written as literals without Huffman coding and never enter a dynamic
table (RFC 7541 section 6.2.2), so a block is the same bytes at any time of a connection.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from plait_engine.preface import PREFACE as PREFACE


class FrameType(enum.IntEnum):
    """Frame types (RFC 9113 section 6, RFC 9218 section 7.1)."""

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9
    PRIORITY_UPDATE = 0x10


class Flag(enum.IntFlag):
    """Frame flags (RFC 9113 section 6); END_STREAM and ACK are the same bit."""

    NONE = 0x0
    ACK = 0x1
    END_STREAM = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


@dataclass(slots=True)
class Frame:
    """A frame as it is on the wire."""

    type: int
    flags: int = 0
    stream_id: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes of the frame."""
        length = len(self.payload)
        head = struct.pack(
            ">HBBBI", length >> 8, length & 0xFF, self.type, self.flags, self.stream_id
        )
        return head + self.payload


def split_frames(data: bytes) -> list[Frame]:
    """Take whole frames apart; a client's preface in front is left out.

    Raises ValueError when something is left over.
    """
    data = data.removeprefix(PREFACE)
    frames = []
    position = 0
    while position + 9 <= len(data):
        high, low, kind, flags, stream_id = struct.unpack_from(">HBBBI", data, position)
        end = position + 9 + (high << 8 | low)
        if end > len(data):
            break
        frames.append(Frame(kind, flags, stream_id, data[position + 9 : end]))
        position = end
    if position != len(data):
        raise ValueError(f"{len(data) - position} bytes are not a whole frame")
    return frames


def settings(values: Mapping[int, int] | Iterable[tuple[int, int]] = ()) -> bytes:
    """Return a SETTINGS frame."""
    pairs = values.items() if isinstance(values, Mapping) else values
    payload = b"".join(struct.pack(">HI", key, value) for key, value in pairs)
    return Frame(FrameType.SETTINGS, payload=payload).encode()


def settings_ack() -> bytes:
    """Return an acknowledgement of SETTINGS."""
    return Frame(FrameType.SETTINGS, Flag.ACK).encode()


def headers(
    stream_id: int, block: bytes, *, end_stream: bool = False, end_headers: bool = True
) -> bytes:
    """Return a HEADERS frame."""
    flags = Flag.END_STREAM * end_stream | Flag.END_HEADERS * end_headers
    return Frame(FrameType.HEADERS, flags, stream_id, block).encode()


def continuation(stream_id: int, block: bytes, *, end_headers: bool = True) -> bytes:
    """Return a CONTINUATION frame."""
    flags = Flag.END_HEADERS * end_headers
    return Frame(FrameType.CONTINUATION, flags, stream_id, block).encode()


def data(
    stream_id: int, payload: bytes, *, end_stream: bool = False, padding: int | None = None
) -> bytes:
    """Return a DATA frame; ``padding`` bytes of padding, none and no flag for ``None``."""
    flags = Flag.END_STREAM * end_stream
    if padding is not None:
        flags |= Flag.PADDED
        payload = bytes((padding,)) + payload + bytes(padding)
    return Frame(FrameType.DATA, flags, stream_id, payload).encode()


def rst_stream(stream_id: int, code: int) -> bytes:
    """Return a RST_STREAM frame."""
    return Frame(FrameType.RST_STREAM, 0, stream_id, struct.pack(">I", code)).encode()


def window_update(stream_id: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame."""
    return Frame(FrameType.WINDOW_UPDATE, 0, stream_id, struct.pack(">I", increment)).encode()


def ping(payload: bytes = b"12345678", *, ack: bool = False) -> bytes:
    """Return a PING frame."""
    return Frame(FrameType.PING, Flag.ACK * ack, 0, payload).encode()


def goaway(last_stream_id: int, code: int = 0, debug_data: bytes = b"") -> bytes:
    """Return a GOAWAY frame."""
    payload = struct.pack(">II", last_stream_id, code) + debug_data
    return Frame(FrameType.GOAWAY, 0, 0, payload).encode()


def priority(stream_id: int, depends_on: int = 0, weight: int = 15) -> bytes:
    """Return a PRIORITY frame, which RFC 9113 deprecates."""
    return Frame(FrameType.PRIORITY, 0, stream_id, struct.pack(">IB", depends_on, weight)).encode()


def priority_update(stream_id: int, value: bytes) -> bytes:
    """Return a PRIORITY_UPDATE frame (RFC 9218 section 7.1)."""
    return Frame(FrameType.PRIORITY_UPDATE, 0, 0, struct.pack(">I", stream_id) + value).encode()


def header_block(fields: Iterable[tuple[bytes | str, bytes | str]]) -> bytes:
    """Return ``fields`` as HPACK literals without indexing (RFC 7541 section 6.2.2)."""
    return b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields)


def request_block(
    method: str = "GET",
    path: str = "/",
    fields: Iterable[tuple[bytes | str, bytes | str]] = (),
    *,
    scheme: str = "http",
    authority: str = "example.org",
) -> bytes:
    """Return the header block of a request."""
    pseudo = [
        (":method", method),
        (":scheme", scheme),
        (":path", path),
        (":authority", authority),
    ]
    return header_block([*pseudo, *fields])


def response_block(
    status: int | str = 200, fields: Iterable[tuple[bytes | str, bytes | str]] = ()
) -> bytes:
    """Return the header block of a response."""
    return header_block([(":status", str(status)), *fields])


def _string(text: bytes | str) -> bytes:
    data = text.encode("latin-1") if isinstance(text, str) else text
    return _integer(len(data), 7) + data


def _integer(value: int, prefix: int) -> bytes:
    """Return an integer of HPACK (RFC 7541 section 5.1), the bits above the prefix zero."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes((value,))
    value -= limit
    data = bytearray((limit,))
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def websocket_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = None,
) -> bytes:
    """Return a WebSocket frame (RFC 6455 section 5.2); ``mask``: 4 bytes, or none."""
    first = fin << 7 | rsv << 4 | opcode
    masked = 0x80 if mask is not None else 0
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", first, masked | size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", first, masked | 126, size)
    else:
        head = struct.pack(">BBQ", first, masked | 127, size)
    if mask is None:
        return head + payload
    coded = bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))
    return head + mask + coded
