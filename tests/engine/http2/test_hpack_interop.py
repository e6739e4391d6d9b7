"""Our HPACK and the ``hpack`` package understand each other, both ways."""

import hpack
from hypothesis import example, given
from hypothesis import strategies as st

from plait_engine.http2.hpack import Decoder, Encoder, HPACKError

names = st.sampled_from(
    [":path", ":method", ":status", "cookie", "set-cookie", "authorization", "x-a", "x-b", "date"]
) | st.text("abcxyz-0123456789", min_size=1, max_size=12)
values = (
    st.sampled_from(["GET", "/", "200", "no-cache", "a" * 30, "x" * 2000, ""])
    | st.text(max_size=40)
    | st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))
)
field_lists = st.lists(st.tuples(names, values), max_size=10)
# A run of blocks on one connection, with changes of SETTINGS_HEADER_TABLE_SIZE in between.
steps = st.lists(field_lists | st.sampled_from([0, 64, 500, 4096]), max_size=12)


def data(headers):
    return [tuple(part.encode("utf-8", "surrogateescape") for part in field) for field in headers]


@given(steps)
def test_hpack_decodes_what_we_encode(run):
    encoder, decoder = Encoder(), hpack.Decoder()
    for step in run:
        if isinstance(step, int):
            encoder.set_peer_table_size(step)
            decoder.max_allowed_table_size = step
        else:
            assert list(decoder.decode(encoder.encode(step), raw=True)) == data(step)


@given(steps, st.booleans())
def test_we_decode_what_hpack_encodes(run, huffman):
    encoder, decoder = hpack.Encoder(), Decoder()
    size = decoder.max_table_size
    for step in run:
        if isinstance(step, int):
            size = step
        else:
            # hpack announces every size in between, and none when the last one came twice;
            # RFC 7541 section 4.2 wants the least and the last.  So it gets one at a time.
            if size != decoder.max_table_size:
                encoder.header_table_size = decoder.max_table_size = size
            assert decoder.decode(encoder.encode(data(step), huffman=huffman)) == step


@given(steps)
def test_we_decode_what_we_encode(run):
    encoder, decoder = Encoder(), Decoder()
    for step in run:
        if isinstance(step, int):
            encoder.set_peer_table_size(step)
            decoder.max_table_size = step
        else:
            assert decoder.decode(encoder.encode(step)) == step


@st.composite
def mutated_blocks(draw):
    block = bytearray(Encoder().encode(draw(field_lists)))
    for _ in range(draw(st.integers(0, 3))):
        if block:
            block[draw(st.integers(0, len(block) - 1))] = draw(st.integers(0, 255))
    return bytes(block)


def outcome(decoder, block):
    try:
        fields = decoder(block)
    except (hpack.HPACKError, HPACKError):
        return "refused"
    return fields


@given(st.lists(st.binary(max_size=40) | mutated_blocks(), max_size=6))
@example([b"\x40\x03\x80-a\x03GET", b"\xbe"])
def test_both_decoders_agree_on_any_bytes(blocks):
    ours, theirs = Decoder(), hpack.Decoder()
    for block in blocks:
        # RFC 7541 section 4.2 allows two size updates at the start of a block; hpack, any.
        if block[:1] > b"\x1f" and block[:1] < b"\x40":
            continue
        got = outcome(lambda block: data(ours.decode(block)), block)
        assert got == outcome(lambda block: list(theirs.decode(block, raw=True)), block)
        if got == "refused":
            return
