"""permessage-deflate (RFC 7692): every parameter, both roles, and hostile streams.  W4 to W6."""

from __future__ import annotations

import os
import tracemalloc
import zlib
from typing import Any

import pytest

from plait_engine import Config, Limits, Role
from plait_engine.websocket import BytesMessage, Deflate, TextMessage, WebSocketConnection
from tests.engine.chops import CHOPS, Chop, at_random, whole
from tests.engine.websocket.peer import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Echo,
    Frame,
    close_frame,
    decode,
)

TAIL = b"\x00\x00\xff\xff"
RSV1 = 4
HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692 section 7.2.3.1


def compress(data: bytes, bits: int = 15) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def inflate(data: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(data + TAIL)


# -- the examples of RFC 7692 section 7.2.3 ---------------------------------------------

EXAMPLES: dict[str, list[Frame]] = {
    "7.2.3.1": [Frame(TEXT, HELLO, rsv=RSV1)],
    "7.2.3.1 fragments": [
        Frame(TEXT, HELLO[:3], fin=False, rsv=RSV1),
        Frame(CONTINUATION, HELLO[3:]),
    ],
    "7.2.3.2": [Frame(TEXT, HELLO, rsv=RSV1), Frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1)],
    "7.2.3.3": [Frame(TEXT, bytes.fromhex("000500faff48656c6c6f00"), rsv=RSV1)],
    "7.2.3.4": [
        Frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=RSV1),
        Frame(TEXT, HELLO, rsv=RSV1),
    ],
    "7.2.3.5": [Frame(TEXT, bytes.fromhex("f24805000000ffffcac9c90700"), rsv=RSV1)],
    "uncompressed between": [
        Frame(TEXT, HELLO, rsv=RSV1),
        Frame(TEXT, b"Hello"),
        Frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1),
    ],
}


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_the_rfc(role: Role, example: str, chop: Chop) -> None:
    frames = EXAMPLES[example]
    messages = sum(frame.opcode == TEXT for frame in frames)
    echo = Echo(role, deflate=Deflate())
    echo.receive(*frames, chop=chop)
    assert echo.events == [TextMessage("Hello")] * messages


@pytest.mark.parametrize("payload", [b"\x00", bytes.fromhex("0300"), b""])
def test_empty_messages_however_they_are_written(role: Role, payload: bytes) -> None:
    """RFC 7692 section 7.2.3.6, and what a careless sender makes of nothing."""
    echo = Echo(role, deflate=Deflate(client_no_context_takeover=True))
    echo.receive(Frame(BINARY, payload, rsv=RSV1))
    assert echo.events == [BytesMessage(b"")]


# -- every parameter -----------------------------------------------------------------------

PARAMETERS: list[dict[str, Any]] = [
    {},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"server_max_window_bits": 8},
    {"client_max_window_bits": 8},
    {"server_max_window_bits": 9, "client_max_window_bits": 10},
    {
        "server_no_context_takeover": True,
        "client_no_context_takeover": True,
        "server_max_window_bits": 8,
        "client_max_window_bits": 8,
    },
    {"level": 1, "memory_level": 1},
    {"level": 0},
]

# The sizes of sections 12 and 13 of the Autobahn suite, and compressible content.
PAYLOADS = [
    b"",
    *((b"plait braids three strands; " * (size // 28 + 1))[:size] for size in (16, 64, 256, 1024)),
    *(os.urandom(256) * (size // 256) for size in (4096, 16384, 65536, 131072)),
    b"",
]


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
@pytest.mark.parametrize("chop", [whole, at_random(1)])
def test_both_sides_agree_under_every_parameter(
    role: Role, parameters: dict[str, Any], chop: Chop
) -> None:
    other = Role.CLIENT if role is Role.SERVER else Role.SERVER
    deflate = Deflate(**parameters)
    sender = WebSocketConnection(other, Config(random=os.urandom), deflate=deflate)
    echo = Echo(role, deflate=deflate)
    for payload in PAYLOADS:
        sender.send(BytesMessage(payload), now=0.0)
    wire = b""
    while data := sender.data_to_send():
        wire += data
    echo.receive(wire, chop=chop)
    assert echo.events == [BytesMessage(payload) for payload in PAYLOADS]
    sender.receive_data(echo.wire, 0.0)
    assert [sender.next_event() for _ in PAYLOADS] == echo.events


@pytest.mark.parametrize("bits", range(8, 16))
def test_no_reference_leaves_the_window(bits: int) -> None:
    """A window of 8 bits too, which zlib has not: see ``Deflater``."""
    server = WebSocketConnection(
        Role.SERVER, Config(), deflate=Deflate(server_max_window_bits=bits)
    )
    content = os.urandom(1 << bits) * 3 + os.urandom(100) * 3
    server.send(BytesMessage(content), now=0.0)
    wire = b""
    while data := server.data_to_send():
        wire += data
    (frame,) = decode(wire, masked=False)
    # zlib refuses a reference that goes back further than its window.
    assert zlib.decompressobj(-bits).decompress(frame.payload + TAIL) == content


def test_a_context_is_taken_over_unless_agreed_otherwise() -> None:
    sizes = {}
    for forgetful in (False, True):
        server = WebSocketConnection(
            Role.SERVER, Config(), deflate=Deflate(server_no_context_takeover=forgetful)
        )
        message = BytesMessage(os.urandom(300))
        lengths = []
        for _ in range(2):
            server.send(message, now=0.0)
            lengths.append(len(server.data_to_send()))
        sizes[forgetful] = lengths
    assert sizes[False][1] < 30 < sizes[False][0]
    assert sizes[True][0] == sizes[True][1]


# -- sending ---------------------------------------------------------------------------------


def test_compress_is_decided_for_each_message(role: Role) -> None:
    echo = Echo(role, deflate=Deflate())
    data = "x" * 100
    for compress_it in (None, True, False):
        echo.connection.send(TextMessage(data, compress=compress_it), now=0.0)
    echo.drain()
    assert [frame.rsv for frame in echo.sent()] == [RSV1, RSV1, 0]
    plain = Echo(role)
    plain.connection.send(TextMessage(data, compress=True), now=0.0)
    plain.drain()
    assert plain.sent() == [Frame(TEXT, data.encode())]


def test_fragments_are_compressed_as_one_message(role: Role) -> None:
    echo = Echo(role, deflate=Deflate())
    for part in (b"Hel", b"", b"lo"):
        echo.connection.send(BytesMessage(part, finished=False), now=0.0)
    echo.connection.send(BytesMessage(b"", compress=False), now=0.0)
    echo.drain()
    sent = echo.sent()
    assert [(f.opcode, f.rsv, f.fin) for f in sent] == [
        (BINARY, RSV1, False),
        (CONTINUATION, 0, False),
        (CONTINUATION, 0, False),
        (CONTINUATION, 0, True),
    ]
    assert inflate(b"".join(frame.payload for frame in sent)) == b"Hello"


def test_control_frames_are_not_compressed(role: Role) -> None:
    echo = Echo(role, deflate=Deflate())
    echo.receive(Frame(PING, b"x" * 50), close_frame(1000))
    assert echo.sent() == [Frame(PONG, b"x" * 50), close_frame(1000)]


# -- hostile peers -----------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 4], ids=["single", "fragmented"])
def test_w4_a_bomb_is_cut_at_the_limit(role: Role, frames: int) -> None:
    """64 MiB in 64 KiB, and again in the context of a first message."""
    bomb = compress(bytes(64 << 20))
    limits = Limits(max_message_size=1 << 20)
    echo = Echo(role, limits=limits, deflate=Deflate())
    echo.receive(Frame(BINARY, compress(b"hello"), rsv=RSV1))
    size = len(bomb) // frames + 1
    tracemalloc.start()
    for number in range(frames):
        piece = bomb[number * size : (number + 1) * size]
        echo.receive(
            Frame(
                CONTINUATION if number else BINARY,
                piece,
                fin=number == frames - 1,
                rsv=0 if number else RSV1,
            )
        )
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert echo.close_code() == 1009
    assert len(echo.events) == 2


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("content", [bytes(5000), os.urandom(5000)])
def test_w4_the_limit_is_exact(role: Role, content: bytes, extra: int) -> None:
    """Also for what grows by being compressed."""
    echo = Echo(role, limits=Limits(max_message_size=5000 - extra), deflate=Deflate())
    echo.receive(Frame(BINARY, compress(content), rsv=RSV1))
    assert echo.close_code() == (1009 if extra else None)


@pytest.mark.parametrize(
    "frames",
    [
        [Frame(PING, b"x", rsv=RSV1)],
        [Frame(PONG, rsv=RSV1)],
        [Frame(8, rsv=RSV1)],
        [Frame(TEXT, HELLO, fin=False, rsv=RSV1), Frame(CONTINUATION, rsv=RSV1)],
        [Frame(TEXT, HELLO, rsv=RSV1 | 2)],
        [Frame(TEXT, HELLO, rsv=RSV1 | 1)],
        [Frame(TEXT, HELLO, rsv=2)],
        [Frame(TEXT, HELLO, rsv=1)],
    ],
)
@pytest.mark.parametrize("chop", CHOPS)
def test_w5_reserved_bits_where_they_do_not_belong(
    role: Role, frames: list[Frame], chop: Chop
) -> None:
    echo = Echo(role, deflate=Deflate())
    echo.receive(*frames, chop=chop)
    assert echo.close_code() == 1002


def test_w5_a_compressed_frame_without_the_extension(role: Role) -> None:
    echo = Echo(role)
    echo.receive(Frame(TEXT, HELLO, rsv=RSV1))
    assert echo.close_code() == 1002


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xff\xff\xff",  # a block of the reserved type
        # begins in the middle
        pytest.param(compress(os.urandom(4000) * 2, 15)[4000:], id="from-the-middle"),
        bytes.fromhex("f200110000"),  # refers to a window that is empty
        bytes.fromhex("0300") * 200,  # hundreds of final blocks
    ],
)
def test_what_does_not_inflate_fails_the_connection(role: Role, payload: bytes, chop: Chop) -> None:
    echo = Echo(role, deflate=Deflate())
    echo.receive(Frame(BINARY, payload, rsv=RSV1), chop=chop)
    assert echo.close_code() == 1002
    assert echo.events == [echo.closed()]


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("size", [5, 6])
def test_final_blocks_add_up_to_the_limit(role: Role, size: int, chop: Chop) -> None:
    """The block that reaches the limit is not the last one."""
    final = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = final.compress(b"x" * size) + final.flush()
    echo = Echo(role, limits=Limits(max_message_size=5), deflate=Deflate())
    echo.receive(Frame(BINARY, block + compress(b""), rsv=RSV1), chop=chop)
    if size == 5:
        assert echo.events == [BytesMessage(b"xxxxx")]
    else:
        assert echo.close_code() == 1009


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("text", [b"\xff", b"cut \xc3", b"cut \xe2\x82"])
def test_compressed_text_is_checked_too(role: Role, text: bytes, chop: Chop) -> None:
    echo = Echo(role, deflate=Deflate())
    echo.receive(Frame(TEXT, compress(text), rsv=RSV1), chop=chop)
    assert echo.close_code() == 1007


@pytest.mark.parametrize(
    "parameters",
    [
        {"server_max_window_bits": 7},
        {"client_max_window_bits": 16},
        {"level": 10},
        {"memory_level": 0},
    ],
)
def test_parameters_out_of_range(parameters: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Deflate(**parameters)  # type: ignore[arg-type]
