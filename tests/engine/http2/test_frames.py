"""The frame layer: cutting bytes into frames, their payloads, and making them."""

import itertools
import tracemalloc

import pytest
from hyperframe.frame import Frame as PeerFrame
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.errors import ErrorCode, Scope
from plait_engine.http2 import frames
from plait_engine.http2.frames import FrameError, FrameReader
from plait_engine.testing import frames as wire
from tests.engine.chops import CHOPS, cut_at

EVERY_FRAME = b"".join(
    [
        frames.encode_settings([(frames.SETTINGS_ENABLE_PUSH, 0), (0xFFFF, 2**32 - 1)]),
        frames.SETTINGS_ACK,
        frames.encode_headers(1, b"block", end_stream=True),
        frames.encode_data(3, b"body", padding=7),
        frames.encode_data(3, b"", end_stream=True),
        frames.encode_frame(0xFF, 0xFF, 5, b"unknown type"),
        frames.encode_ping(b"12345678", ack=True),
        frames.encode_window_update(0, frames.MAX_WINDOW),
        frames.encode_goaway(7, ErrorCode.NO_ERROR, b"bye"),
    ]
)
EVERY_FRAME_READ = [
    (frames.SETTINGS, 0, 0, b"\x00\x02\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff"),
    (frames.SETTINGS, frames.ACK, 0, b""),
    (frames.HEADERS, frames.END_STREAM | frames.END_HEADERS, 1, b"block"),
    (frames.DATA, frames.PADDED, 3, b"\x07body" + bytes(7)),
    (frames.DATA, frames.END_STREAM, 3, b""),
    (0xFF, 0xFF, 5, b"unknown type"),
    (frames.PING, frames.ACK, 0, b"12345678"),
    (frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
    (frames.GOAWAY, 0, 0, b"\x00\x00\x00\x07\x00\x00\x00\x00bye"),
]


def read(reader, pieces, into=None):
    """Return the frames, and also add them to ``into``, for when a later one is refused."""
    got = [] if into is None else into
    for piece in pieces:
        for frame in reader.receive(piece):
            got.append(frame)
    return got


def lend(reader, pieces, room_for=frames.no_room):
    """Return the frames of ``pieces``, which are in memory that is used again."""
    got = []
    lent = bytearray()
    for piece in pieces:
        lent[:] = piece
        got += reader.receive(memoryview(lent), room_for)
    return got


# -- cutting ------------------------------------------------------------------


@pytest.mark.parametrize("chop", CHOPS)
def test_frames_come_out_however_they_were_chopped(chop):
    assert read(FrameReader(), chop(EVERY_FRAME)) == EVERY_FRAME_READ
    assert lend(FrameReader(), chop(EVERY_FRAME)) == EVERY_FRAME_READ


@pytest.mark.parametrize("chop", CHOPS)
def test_the_preface_comes_first(chop):
    reader = FrameReader(preface=frames.PREFACE)
    assert read(reader, chop(frames.PREFACE + EVERY_FRAME)) == EVERY_FRAME_READ


def test_frames_come_out_at_every_two_way_split():
    data = frames.PREFACE + EVERY_FRAME
    for cut in range(len(data)):
        reader = FrameReader(preface=frames.PREFACE)
        assert read(reader, cut_at(data, [cut])) == EVERY_FRAME_READ


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    "wrong", [b"GET / HTTP/1.1\r\n\r\n", frames.PREFACE[:-1] + b"!", b"\x00" * 9]
)
def test_a_wrong_preface_is_refused_at_its_first_wrong_byte(chop, wrong):
    reader = FrameReader(preface=frames.PREFACE)
    with pytest.raises(FrameError, match="preface") as caught:
        read(reader, chop(wrong))
    assert (caught.value.code, caught.value.scope) == (ErrorCode.PROTOCOL_ERROR, Scope.CONNECTION)


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("kind", [frames.DATA, frames.HEADERS, 0x42])
def test_a_frame_that_is_too_large_is_refused_at_its_header(chop, kind):
    header = frames.frame_header(kind, 0, 1, frames.MIN_MAX_FRAME_SIZE + 1)
    before = frames.encode_ping(b"12345678")
    got = []
    with pytest.raises(FrameError, match="16385") as caught:
        read(FrameReader(), chop(before + header), into=got)
    assert got == [(frames.PING, 0, 0, b"12345678")]
    assert (caught.value.code, caught.value.scope) == (ErrorCode.FRAME_SIZE_ERROR, Scope.CONNECTION)


def test_the_largest_frame_is_accepted_and_the_limit_can_be_raised():
    reader = FrameReader()
    largest = frames.encode_data(1, bytes(frames.MIN_MAX_FRAME_SIZE))
    assert len(read(reader, [largest])) == 1
    reader.max_frame_size = 20_000
    assert len(read(reader, [frames.encode_data(1, bytes(20_000))])) == 1


def test_the_reserved_bit_is_ignored():
    # RFC 9113 section 4.1
    assert read(FrameReader(), [b"\x00\x00\x00\x00\x00\x80\x00\x00\x01"]) == [(0, 0, 1, b"")]


def test_a_reader_holds_one_frame_at_most():
    reader = FrameReader()
    frame = frames.encode_data(1, bytes(frames.MIN_MAX_FRAME_SIZE))
    # Each read ends inside a frame.
    pieces = [frame[:-1], *[frame[-1:] + frame[:-1]] * 200]
    tracemalloc.start()
    try:
        for piece in pieces:
            for _ in reader.receive(piece):
                pass
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 3 * len(frame)  # one in the reader, the last that came out


# -- payloads -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "payload", "data"),
    [
        (0, b"\x02ab", b"\x02ab"),
        (frames.PADDED, b"\x00ab", b"ab"),
        (frames.PADDED, b"\x02ab\x00\x00", b"ab"),
        (frames.PADDED, b"\x02\x00\x00", b""),
        (frames.PADDED, b"\x00", b""),
    ],
)
def test_padding_is_removed(flags, payload, data):
    assert frames.remove_padding(flags, payload) == data


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", ErrorCode.FRAME_SIZE_ERROR),
        (b"\x01", ErrorCode.PROTOCOL_ERROR),
        (b"\x03ab", ErrorCode.PROTOCOL_ERROR),
        (b"\xff" + bytes(254), ErrorCode.PROTOCOL_ERROR),
    ],
)
@pytest.mark.parametrize("parse", [frames.remove_padding, frames.parse_headers])
def test_padding_as_long_as_the_frame_is_refused(parse, payload, code):
    with pytest.raises(FrameError) as caught:
        parse(frames.PADDED, payload)
    assert (caught.value.code, caught.value.scope) == (code, Scope.CONNECTION)


@pytest.mark.parametrize(
    ("flags", "payload", "parsed"),
    [
        (0, b"block", (b"block", None)),
        (frames.PADDED, b"\x01block\x00", (b"block", None)),
        (frames.HAS_PRIORITY, b"\x80\x00\x00\x03\x0fblock", (b"block", 3)),
        (frames.HAS_PRIORITY, b"\x00\x00\x00\x00\x00", (b"", 0)),
        (frames.PADDED | frames.HAS_PRIORITY, b"\x01\x00\x00\x00\x05\x0fblock\x00", (b"block", 5)),
    ],
)
def test_headers_are_taken_apart(flags, payload, parsed):
    assert frames.parse_headers(flags, payload) == parsed


@pytest.mark.parametrize(
    ("parse", "size", "scope"),
    [
        (frames.parse_priority, 5, Scope.STREAM),
        (frames.parse_rst_stream, 4, Scope.CONNECTION),
        (frames.parse_ping, 8, Scope.CONNECTION),
        (frames.parse_window_update, 4, Scope.CONNECTION),
    ],
)
def test_a_payload_of_a_fixed_size_has_that_size(parse, size, scope):
    parse(bytes(size))
    for wrong in (0, size - 1, size + 1):
        with pytest.raises(FrameError) as caught:
            parse(bytes(wrong))
        assert (caught.value.code, caught.value.scope) == (ErrorCode.FRAME_SIZE_ERROR, scope)


@pytest.mark.parametrize(
    ("parse", "arguments"),
    [
        (frames.parse_goaway, (bytes(7),)),
        (frames.parse_priority_update, (bytes(3),)),
        (frames.parse_headers, (frames.HAS_PRIORITY, bytes(4))),
        (frames.parse_settings, (0, bytes(5))),
        (frames.parse_settings, (0, bytes(13))),
        (frames.parse_settings, (frames.ACK, bytes(6))),
    ],
)
def test_a_payload_that_is_too_short_is_refused(parse, arguments):
    with pytest.raises(FrameError) as caught:
        parse(*arguments)
    assert (caught.value.code, caught.value.scope) == (ErrorCode.FRAME_SIZE_ERROR, Scope.CONNECTION)


def test_reserved_bits_of_payloads_are_ignored():
    assert frames.parse_window_update(b"\x80\x00\x00\x01") == 1
    assert frames.parse_goaway(b"\x80\x00\x00\x01\xff\xff\xff\xff") == (1, 2**32 - 1, b"")
    assert frames.parse_priority(b"\x80\x00\x00\x01\x00") == 1
    assert frames.parse_priority_update(b"\x80\x00\x00\x01u=1") == (1, b"u=1")


# -- making -------------------------------------------------------------------


def one(data):
    [frame] = FrameReader(frames.MAX_MAX_FRAME_SIZE).receive(data)
    return frame


stream_ids = st.integers(1, frames.MAX_STREAM_ID)
words = st.integers(0, 2**32 - 1)


@given(stream_ids, st.binary(max_size=40), st.booleans(), st.none() | st.integers(0, 255))
def test_data_survives(stream_id, data, end_stream, padding):
    kind, flags, got_id, payload = one(
        frames.encode_data(stream_id, data, end_stream=end_stream, padding=padding)
    )
    assert (kind, got_id) == (frames.DATA, stream_id)
    assert bool(flags & frames.END_STREAM) is end_stream
    assert frames.remove_padding(flags, payload) == data
    assert len(payload) == len(data) + (0 if padding is None else 1 + padding)


@given(stream_ids, st.binary(max_size=100), st.booleans(), st.integers(1, 40))
def test_a_header_block_is_split_at_the_frame_size(stream_id, block, end_stream, size):
    data = frames.encode_headers(stream_id, block, end_stream=end_stream, max_frame_size=size)
    first, *rest = FrameReader().receive(data)
    assert first[0] == frames.HEADERS
    assert {kind for kind, *_ in rest} <= {frames.CONTINUATION}
    assert bool(first[1] & frames.END_STREAM) is end_stream
    assert not any(flags & frames.END_STREAM for _, flags, _, _ in rest)
    ends = [bool(flags & frames.END_HEADERS) for _, flags, _, _ in (first, *rest)]
    assert ends == [False] * len(rest) + [True]
    assert {got_id for _, _, got_id, _ in (first, *rest)} == {stream_id}
    assert b"".join(payload for *_, payload in (first, *rest)) == block
    assert all(len(payload) == size for *_, payload in (first, *rest)[:-1])


@given(st.lists(st.tuples(st.integers(0, 2**16 - 1), words), max_size=8))
def test_settings_survive(settings_):
    kind, flags, stream_id, payload = one(frames.encode_settings(settings_))
    assert (kind, flags, stream_id) == (frames.SETTINGS, 0, 0)
    assert frames.parse_settings(flags, payload) == settings_


@given(stream_ids, words, st.binary(max_size=30))
def test_goaway_survives(last_stream_id, code, debug_data):
    kind, _, stream_id, payload = one(frames.encode_goaway(last_stream_id, code, debug_data))
    assert (kind, stream_id) == (frames.GOAWAY, 0)
    assert frames.parse_goaway(payload) == (last_stream_id, code, debug_data)


@given(stream_ids, words, st.integers(0, frames.MAX_WINDOW))
def test_frames_of_one_number_survive(stream_id, code, increment):
    kind, _, got_id, payload = one(frames.encode_rst_stream(stream_id, code))
    assert (kind, got_id, frames.parse_rst_stream(payload)) == (frames.RST_STREAM, stream_id, code)
    kind, _, got_id, payload = one(frames.encode_window_update(stream_id, increment))
    assert (kind, got_id) == (frames.WINDOW_UPDATE, stream_id)
    assert frames.parse_window_update(payload) == increment


def test_an_acknowledgement_of_settings_has_no_entries():
    _, flags, _, payload = one(frames.SETTINGS_ACK)
    assert flags == frames.ACK
    assert frames.parse_settings(flags, payload) == []


def test_priority_frames_are_read():
    kind, _, stream_id, payload = one(wire.priority_update(5, b"u=3, i"))
    assert (kind, stream_id) == (frames.PRIORITY_UPDATE, 0)
    assert frames.parse_priority_update(payload) == (5, b"u=3, i")
    kind, _, stream_id, payload = one(wire.priority(3, 1 | 1 << 31, 255))
    assert (kind, stream_id, payload) == (frames.PRIORITY, 3, b"\x80\x00\x00\x01\xff")
    assert frames.parse_priority(payload) == 1


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (frames.encode_data(1, b"body", end_stream=True, padding=3), "DataFrame"),
        (frames.encode_headers(1, b"block"), "HeadersFrame"),
        (frames.encode_rst_stream(1, ErrorCode.CANCEL), "RstStreamFrame"),
        (frames.encode_settings([(1, 4096), (4, 65535)]), "SettingsFrame"),
        (frames.encode_ping(b"12345678"), "PingFrame"),
        (frames.encode_goaway(3, ErrorCode.NO_ERROR, b"bye"), "GoAwayFrame"),
        (frames.encode_window_update(1, 7), "WindowUpdateFrame"),
    ],
)
def test_hyperframe_reads_our_frames_and_writes_the_same(data, kind):
    frame, size = PeerFrame.parse_frame_header(memoryview(data[:9]))
    frame.parse_body(memoryview(data[9:]))
    assert (type(frame).__name__, size) == (kind, len(data) - 9)
    assert frame.serialize() == data


@st.composite
def plain_frames(draw: st.DrawFn) -> bytes:
    """DATA of a few streams, mostly long and without flags, and other frames between."""
    sizes = st.sampled_from([0, 1, 1023, 1024, 1025, 5000, 16384])
    parts = []
    for _ in range(draw(st.integers(1, 12))):
        stream_id = draw(st.sampled_from([1, 1, 1, 3]))
        payload = bytes((draw(st.integers(0, 255)),)) * draw(sizes)
        kind = draw(st.sampled_from([frames.DATA] * 6 + [frames.PING, 0x42]))
        flags = draw(st.sampled_from([0, 0, 0, frames.END_STREAM]))
        parts.append(frames.encode_frame(kind, flags, stream_id, payload))
    return b"".join(parts)


@given(plain_frames(), st.integers(0, 40000), st.lists(st.integers(1, 70000), max_size=6))
def test_data_that_is_joined_is_the_same_data(data: bytes, room: int, cuts: list[int]) -> None:
    """The short path for long bodies beside the general one."""
    bounds = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    pieces = [data[start:stop] for start, stop in itertools.pairwise(bounds)]
    rooms: list[int] = []

    def room_for(stream_id: int) -> int:
        rooms.append(stream_id)
        return room

    general, short = FrameReader(), FrameReader()
    one_by_one = [frame for piece in pieces for frame in general.receive(piece)]
    joined = [frame for piece in pieces for frame in short.receive(piece, room_for)]
    assert lend(FrameReader(), pieces, room_for) == joined
    for kind, flags, stream_id, payload in joined:
        following = one_by_one.pop(0)
        part = following[3]
        while part != payload and payload.startswith(part) and following[:2] == (frames.DATA, 0):
            assert len(payload) <= room
            assert one_by_one[0][:3] == (frames.DATA, 0, stream_id)
            part += one_by_one.pop(0)[3]
        assert (*following[:3], part) == (kind, flags, stream_id, payload)
    assert one_by_one == []
