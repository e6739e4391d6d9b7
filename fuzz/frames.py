"""Frames of HTTP/2 and WebSocket in a form that a fuzzer can change.

On the wire a frame's length and a message's Huffman-coded or masked bytes hang together;
a mutation breaks them, and nothing behind is reached.  So a target reads short steps and
builds the frames from them: right in their form, and free in everything else.

An HTTP/2 step: kind (a byte), flags (a byte), stream (a byte), size (a byte) and a
payload of that size.  The kind ``FIELDS`` is HEADERS whose payload is fields instead: each
is a number in ``FIELDS_TABLE``, or 255, a size, and a literal "name: value".

A WebSocket step: the first byte of the frame, size (a byte), and a payload of that
size, which is masked where it should be.  Size 255 is an extended size (2 bytes) instead,
that may lie.
"""

from __future__ import annotations

from fuzz.choices import Choices
from plait_engine.http2 import frames
from plait_engine.testing.frames import header_block, websocket_frame

FIELDS = 0x20
SPELT_OUT = 255

KINDS = (*range(frames.CONTINUATION + 1), frames.PRIORITY_UPDATE, FIELDS, FIELDS, 0x42)

FIELDS_TABLE: tuple[tuple[str, str], ...] = (
    (":method", "GET"),
    (":method", "POST"),
    (":method", "HEAD"),
    (":method", "CONNECT"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":path", "/"),
    (":path", "*"),
    (":authority", "a"),
    (":authority", "a:1"),
    (":protocol", "websocket"),
    (":status", "200"),
    (":status", "204"),
    (":status", "304"),
    (":status", "100"),
    (":status", "103"),
    (":status", "101"),
    ("content-length", "5"),
    ("content-length", "0"),
    ("host", "a"),
    ("host", "b"),
    ("cookie", "a=1"),
    ("te", "trailers"),
    ("te", "gzip"),
    ("connection", "close"),
    ("transfer-encoding", "chunked"),
    ("expect", "100-continue"),
    ("priority", "u=1, i"),
    ("x-a", " b"),
    ("X-A", "b"),
    ("", ""),
)


def read_frames(choices: Choices) -> bytes:
    """Return the HTTP/2 frames that the rest of the input describes."""
    wire = []
    while not choices.exhausted:
        wire.append(read_frame(choices))
    return b"".join(wire)


def read_frame(choices: Choices) -> bytes:
    """Return the HTTP/2 frame of the next step."""
    kind = choices.pick(KINDS)
    flags = choices.byte()
    stream_id = choices.byte() & 0x0F
    if kind == FIELDS:
        kind, payload = frames.HEADERS, read_fields(choices)
        flags &= ~(frames.PADDED | frames.HAS_PRIORITY)
    else:
        payload = choices.data(choices.byte())
    return frames.encode_frame(kind, flags, stream_id, payload)


def read_fields(choices: Choices) -> bytes:
    """Return a header block without any state, so that frames may be moved about."""
    fields: list[tuple[bytes | str, bytes | str]] = []
    for _ in range(choices.byte() & 0x1F):
        number = choices.byte()
        if number == SPELT_OUT:
            name, _, value = choices.data(choices.byte()).partition(b": ")
            fields.append((name, value))
        else:
            fields.append(FIELDS_TABLE[number % len(FIELDS_TABLE)])
    return header_block(fields)


def read_websocket_frames(choices: Choices, *, masked: bool) -> bytes:
    """Return the WebSocket frames that the rest of the input describes."""
    wire = []
    mask = b"\x01\x02\x03\x04" if masked else None
    while not choices.exhausted:
        first = choices.byte()
        size = choices.byte()
        if size == SPELT_OUT:
            length = choices.data(2)
            wire.append(bytes((first, 126 | (0x80 if masked else 0))) + length + (mask or b""))
        else:
            fin, rsv, opcode = bool(first & 0x80), first >> 4 & 7, first & 0x0F
            payload = choices.data(size)
            wire.append(websocket_frame(opcode, payload, fin=fin, rsv=rsv, mask=mask))
    return b"".join(wire)
