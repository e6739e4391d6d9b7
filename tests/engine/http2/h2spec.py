"""What the cases of the public h2spec suite (summerwind/h2spec) are written with.

A ``Case`` is facts: what the suite sends, and what it expects.  Where h2spec accepts
"connection closed" for an error, these want the error code too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from plait_engine import ErrorCode
from plait_engine.testing import frames as wire
from plait_engine.testing.frames import Flag, Frame, FrameType
from tests.engine.http2.peers import (
    GET,
    Peer,
    assert_alive,
    error_code,
    of_type,
    raw,
)

PROTOCOL = ErrorCode.PROTOCOL_ERROR
FLOW = ErrorCode.FLOW_CONTROL_ERROR
SIZE = ErrorCode.FRAME_SIZE_ERROR
CLOSED = ErrorCode.STREAM_CLOSED
COMPRESSION = ErrorCode.COMPRESSION_ERROR

BODY = b"hello, h2spec"
PING = b"h2spec!!"
MAX_FRAME = 16384
DUMMY = wire.header_block([("x-dummy0", "x" * 4000)])
TOO_MANY_DUMMIES = wire.header_block([(f"x-dummy{i}", "x" * 4000) for i in range(5)])
Expect = Callable[[Peer, list[Frame]], None]


# -- what is expected -----------------------------------------------------------


def connection_error(*codes: ErrorCode) -> Expect:
    def check(peer: Peer, heard: list[Frame]) -> None:
        goaways = of_type(heard, FrameType.GOAWAY)
        assert goaways
        assert error_code(goaways[-1]) in codes
        assert_connection_error_state(peer)

    return check


def assert_connection_error_state(peer: Peer) -> None:
    assert peer.endpoint.is_closed
    assert peer.connection.wants_close


def stream_error(*codes: ErrorCode) -> Expect:
    """RST_STREAM on the stream, or GOAWAY, with the code."""

    def check(peer: Peer, heard: list[Frame]) -> None:
        errors = of_type(heard, FrameType.RST_STREAM) + of_type(heard, FrameType.GOAWAY)
        assert errors
        assert all(error_code(frame) in codes for frame in errors)

    return check


def rst_stream(code: ErrorCode) -> Expect:
    """RST_STREAM and nothing else will do."""

    def check(peer: Peer, heard: list[Frame]) -> None:
        resets = of_type(heard, FrameType.RST_STREAM)
        assert [error_code(frame) for frame in resets] == [code]
        assert_alive(peer)

    return check


def answered(peer: Peer, heard: list[Frame]) -> None:
    heads = of_type(heard, FrameType.HEADERS)
    assert [frame.stream_id for frame in heads] == [1]
    assert dict(peer.fields(heads[0]))[":status"] == "200"
    assert_alive(peer)


def ping_answered(peer: Peer, heard: list[Frame]) -> None:
    assert Frame(FrameType.PING, Flag.ACK, 0, PING) in heard
    assert not peer.endpoint.is_closed


def ping_ignored(peer: Peer, heard: list[Frame]) -> None:
    assert of_type(heard, FrameType.PING) == []
    assert_alive(peer)


def settings_acknowledged(peer: Peer, heard: list[Frame]) -> None:
    assert of_type(heard, FrameType.SETTINGS) == [Frame(FrameType.SETTINGS, Flag.ACK)]
    assert_alive(peer)


def preface_answered(peer: Peer, heard: list[Frame]) -> None:
    first, *others = of_type(heard, FrameType.SETTINGS)
    assert heard[0] is first
    assert not first.flags & Flag.ACK
    assert others == [Frame(FrameType.SETTINGS, Flag.ACK)]
    assert_alive(peer)


def closed(peer: Peer, heard: list[Frame]) -> None:
    assert_connection_error_state(peer)


def data_lengths(*lengths: int) -> Expect:
    def check(peer: Peer, heard: list[Frame]) -> None:
        assert [len(frame.payload) for frame in of_type(heard, FrameType.DATA)] == [*lengths]
        assert_alive(peer)

    return check


# -- cases ------------------------------------------------------------------------


@dataclass
class Case:
    """``steps`` are sent one after the other; the other side acts in between."""

    name: str
    steps: list[bytes]
    expect: Expect
    handshake: bool = True


def request(method: str = "GET", fields: list[tuple[str, str]] | None = None) -> bytes:
    return wire.request_block(method, fields=fields or ())


def headers(block: bytes, stream: int = 1, *, end: bool = True, end_headers: bool = True) -> bytes:
    return wire.headers(stream, block, end_stream=end, end_headers=end_headers)


def pseudo(*names: str) -> bytes:
    """A request with only these pseudo-header fields, in this order."""
    values = {":method": "GET", ":scheme": "http", ":path": "/", ":authority": "example.org"}
    return wire.header_block([(name, values[name]) for name in names])


WINDOW_0 = wire.settings({4: 0})
UNKNOWN = raw(0x16, 0, 0, bytes(8))
HUFFMAN_AGENT = bytes.fromhex("87b505b161cc5a93849c48aca4")
PLAIN_AGENT = b"\x0auser-agent\x06h2spec"
HUFFMAN_TEST = bytes.fromhex("85f2b24a84ff849c48aca4")
PLAIN_TEST = b"\x06x-test\x06h2spec"


def hpack_case(name: str, representation: bytes) -> Case:
    return Case(name, [headers(GET + representation)], answered)


def padded_headers(block: bytes, pad_length: int, padding: int, flags: int) -> bytes:
    payload = bytes((pad_length,)) + block + bytes(padding)
    return raw(FrameType.HEADERS, Flag.PADDED | flags, 1, payload)


ENDS = Flag.END_STREAM | Flag.END_HEADERS

SETTINGS_ON_STREAM = raw(FrameType.SETTINGS, 0, 1, b"\x00\x03\x00\x00\x00\x64")
PING_ON_STREAM = raw(FrameType.PING, 0, 3, bytes(8))
