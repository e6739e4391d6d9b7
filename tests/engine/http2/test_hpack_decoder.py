"""The HPACK decoder: representations, the dynamic table, limits and faults."""

import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plait_engine.http2 import hpack
from plait_engine.http2.hpack import Decoder, Encoder, HeaderListTooLarge, HPACKError
from plait_engine.http2.hpack_primitives import encode_integer, encode_string
from plait_engine.semantics import cache

GET = (":method", "GET")


def literal(name, value, kind=0x40):
    """A literal with a new name; by default one that enters the table."""
    return bytes((kind,)) + encode_string(name.encode()) + encode_string(value.encode())


def indexed(index):
    return encode_integer(index, 7, 0x80)


def size_update(size):
    return encode_integer(size, 5, 0x20)


# -- RFC 7541 appendix C ------------------------------------------------------

REQUESTS = [
    [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ],
    [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ],
    [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ],
]
REQUESTS_PLAIN = [
    "828684410f7777772e6578616d706c652e636f6d",
    "828684be58086e6f2d6361636865",
    "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
]
REQUESTS_HUFFMAN = [
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
]
RESPONSES = [
    [
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    [
        (":status", "307"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    [
        (":status", "200"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        ("location", "https://www.example.com"),
        ("content-encoding", "gzip"),
        ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ],
]
RESPONSES_PLAIN = [
    "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
    "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
    "4803333037c1c0bf",
    "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f"
    "3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076"
    "657273696f6e3d31",
]
RESPONSES_HUFFMAN = [
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad1718"
    "63c78f0b97c8e9ae82ae43d3",
    "4883640effc1c0bf",
    "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b3"
    "35dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
]


@pytest.mark.parametrize(
    ("table_size", "blocks", "lists"),
    [
        pytest.param(4096, REQUESTS_PLAIN, REQUESTS, id="C.3"),
        pytest.param(4096, REQUESTS_HUFFMAN, REQUESTS, id="C.4"),
        pytest.param(256, RESPONSES_PLAIN, RESPONSES, id="C.5"),
        pytest.param(256, RESPONSES_HUFFMAN, RESPONSES, id="C.6"),
    ],
)
def test_the_sequences_of_the_rfc(table_size, blocks, lists):
    decoder = Decoder(max_table_size=table_size)
    assert [decoder.decode(bytes.fromhex(block)) for block in blocks] == lists


@pytest.mark.parametrize(
    ("block", "field", "enters_the_table"),
    [
        pytest.param(
            "400a637573746f6d2d6b65790d637573746f6d2d686561646572",
            ("custom-key", "custom-header"),
            True,
            id="C.2.1",
        ),
        pytest.param("040c2f73616d706c652f70617468", (":path", "/sample/path"), False, id="C.2.2"),
        pytest.param(
            "100870617373776f726406736563726574", ("password", "secret"), False, id="C.2.3"
        ),
        pytest.param("82", GET, False, id="C.2.4"),
    ],
)
def test_the_representations_of_the_rfc(block, field, enters_the_table):
    decoder = Decoder()
    assert decoder.decode(bytes.fromhex(block)) == [field]
    if enters_the_table:
        assert decoder.decode(indexed(62)) == [field]
    else:
        with pytest.raises(HPACKError):
            decoder.decode(indexed(62))


# -- text ---------------------------------------------------------------------


def test_every_byte_has_a_text_that_goes_back():
    data = bytes(range(256))
    [(name, value)] = Decoder().decode(b"\x00\x01x" + encode_string(data))
    assert (name, value.encode("utf-8", "surrogateescape")) == ("x", data)


def test_utf_8_reads_as_what_it_means():
    assert Decoder().decode(literal("x", "é€")) == [("x", "é€")]


def test_sizes_count_bytes_not_characters():
    name = "é" * 100
    decoder = Decoder(max_table_size=200 + 1 + 32)
    decoder.decode(literal(name, "v"))
    assert decoder.decode(indexed(62)) == [(name, "v")]
    decoder.decode(b"\x7e\x02vv")  # its name by index, one byte more: too large, table empty
    with pytest.raises(HPACKError):
        decoder.decode(indexed(62))


# -- the dynamic table --------------------------------------------------------


def test_the_newest_entry_has_the_lowest_index():
    decoder = Decoder()
    decoder.decode(literal("a", "1") + literal("b", "2"))
    assert decoder.decode(indexed(62) + indexed(63)) == [("b", "2"), ("a", "1")]


def test_the_oldest_entries_make_room():
    decoder = Decoder(max_table_size=3 * 34)
    for name in "abcd":
        decoder.decode(literal(name, "1"))
    assert decoder.decode(indexed(64)) == [("b", "1")]
    with pytest.raises(HPACKError, match="65"):
        decoder.decode(indexed(65))


def test_an_entry_larger_than_the_table_empties_it():
    decoder = Decoder(max_table_size=64)
    decoder.decode(literal("a", "1"))
    assert decoder.decode(literal("b", "x" * 64)) == [("b", "x" * 64)]
    with pytest.raises(HPACKError):
        decoder.decode(indexed(62))


def test_a_name_may_come_from_the_entry_that_it_pushes_out():
    # RFC 7541 section 4.4
    decoder = Decoder(max_table_size=40)
    decoder.decode(literal("name", "1234"))
    assert decoder.decode(b"\x7e\x04abcd") == [("name", "abcd")]
    assert decoder.decode(indexed(62)) == [("name", "abcd")]


def test_a_table_of_no_size_holds_nothing():
    decoder = Decoder(max_table_size=0)
    assert decoder.decode(literal("a", "1") + literal("b", "2")) == [("a", "1"), ("b", "2")]
    with pytest.raises(HPACKError):
        decoder.decode(indexed(62))


def test_a_table_can_shrink_and_grow():
    decoder = Decoder()
    decoder.decode(literal("a", "1") + literal("b", "2"))
    assert decoder.decode(size_update(34) + indexed(62)) == [("b", "2")]
    decoder.decode(size_update(0) + size_update(4096) + literal("c", "3"))
    assert decoder.decode(indexed(62)) == [("c", "3")]
    with pytest.raises(HPACKError):
        decoder.decode(indexed(63))


# -- size updates (RFC 7541 section 4.2) --------------------------------------


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        pytest.param(size_update(4097), "exceeds 4096", id="above the setting"),
        pytest.param(b"\x82" + size_update(0), "not at the start", id="after a field"),
        pytest.param(size_update(1) * 3, "more than two", id="three"),
        pytest.param(b"\x3f", "cut short", id="cut short"),
    ],
)
def test_a_wrong_size_update_is_refused(block, problem):
    with pytest.raises(HPACKError, match=problem):
        Decoder().decode(block)


def test_a_lowered_setting_needs_a_size_update():
    decoder = Decoder()
    decoder.decode(indexed(2))
    decoder.max_table_size = 100
    with pytest.raises(HPACKError, match="no such update"):
        decoder.decode(indexed(2))


def test_the_least_setting_needs_a_size_update_even_when_it_was_raised_again():
    decoder = Decoder()
    decoder.max_table_size = 100
    decoder.max_table_size = 4096
    with pytest.raises(HPACKError, match="no such update"):
        decoder.decode(size_update(4096) + indexed(2))

    decoder = Decoder()
    decoder.max_table_size = 100
    decoder.max_table_size = 4096
    assert decoder.decode(size_update(100) + size_update(4096) + indexed(2)) == [GET]
    assert decoder.decode(indexed(2)) == [GET]


def test_a_raised_setting_needs_none():
    decoder = Decoder()
    decoder.max_table_size = 8192
    assert decoder.max_table_size == 8192
    assert decoder.decode(indexed(2)) == [GET]
    assert decoder.decode(size_update(8192) + indexed(2)) == [GET]


def test_a_setting_above_what_the_encoder_uses_needs_none():
    decoder = Decoder()
    decoder.decode(size_update(10) + indexed(2))
    decoder.max_table_size = 100
    assert decoder.decode(indexed(2)) == [GET]


# -- faults -------------------------------------------------------------------


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"\x80", id="index 0"),
        pytest.param(b"\xbe", id="index above the tables"),
        pytest.param(b"\xff\xff\xff\xff\xff\x0e", id="index far above the tables"),
        pytest.param(b"\xff", id="index cut short"),
        pytest.param(b"\x7e\x01a", id="name index above the tables"),
        pytest.param(b"\x0f\xff\xff\xff\xff\xff\x00", id="name index too large"),
        pytest.param(b"\x40", id="no name"),
        pytest.param(b"\x40\x01a", id="no value"),
        pytest.param(b"\x44", id="no value behind a name index"),
        pytest.param(b"\x40\x05ab", id="name cut short"),
        pytest.param(b"\x44\x82\xff\xff", id="bad Huffman code"),
    ],
)
def test_a_broken_block_is_refused(block):
    with pytest.raises(HPACKError):
        Decoder().decode(block)


def test_index_0_is_refused_with_a_full_table():
    decoder = Decoder()
    for number in range(100):
        decoder.decode(literal("a", str(number)))
    with pytest.raises(HPACKError):
        decoder.decode(b"\x80")


# -- limits -------------------------------------------------------------------


def test_a_list_at_the_limits_is_accepted():
    decoder = Decoder(max_fields=3)
    assert len(decoder.decode(indexed(2) * 3)) == 3
    decoder = Decoder(max_header_list_size=42 * 3)  # :method: GET has 10 bytes, and 32
    assert len(decoder.decode(indexed(2) * 3)) == 3


@pytest.mark.parametrize("limit", [{"max_fields": 2}, {"max_header_list_size": 42 * 3 - 1}])
def test_a_list_above_a_limit_is_refused(limit):
    decoder = Decoder(**limit)
    with pytest.raises(HeaderListTooLarge):
        decoder.decode(indexed(2) * 3)
    assert decoder.decode(indexed(2)) == [GET]


def test_a_small_field_behind_one_that_was_too_large_does_not_slip_in():
    decoder = Decoder(max_header_list_size=100)
    with pytest.raises(HeaderListTooLarge):
        decoder.decode(literal("a", "x" * 100) + indexed(2))


def test_a_block_above_the_limits_still_changes_the_table():
    # RFC 7541 section 4.3; otherwise the next request would read other fields.
    decoder = Decoder(max_fields=2)
    with pytest.raises(HeaderListTooLarge):
        decoder.decode(indexed(2) * 5 + literal("late", "entry"))
    assert decoder.decode(indexed(62)) == [("late", "entry")]


def test_a_fault_behind_the_limit_is_still_found():
    with pytest.raises(HPACKError):
        Decoder(max_fields=2).decode(indexed(2) * 5 + b"\x80")


def peak_memory(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_of_indexed_fields_costs_no_memory():
    # CVE-2016-6581: a large entry, then as many references as fit.
    decoder = Decoder()
    decoder.decode(literal("bomb", "x" * 4000))
    block = indexed(62) * 130_000

    def explode():
        with pytest.raises(HeaderListTooLarge):
            decoder.decode(block)

    assert peak_memory(explode) < 50_000
    assert decoder.decode(indexed(62)) == [("bomb", "x" * 4000)]


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(indexed(32), id="cookie crumbs"),  # CVE-2026-49975
        pytest.param(b"\x00\x00\x00", id="empty names"),  # CVE-2019-9516
        pytest.param(b"\x00\x80\x80", id="empty names, Huffman-coded"),
        pytest.param(b"\x40\x00\x00", id="empty names that enter the table"),
    ],
)
def test_tiny_fields_are_counted(field):
    decoder = Decoder()

    def explode():
        with pytest.raises(HeaderListTooLarge):
            decoder.decode(field * 16_000)

    assert peak_memory(explode) < 100_000


def test_a_repeated_block_that_fills_the_table_still_fills_it():
    """Literals that enter the table and are never referred to."""
    block = literal("a", "1", kind=0x40) + indexed(8) + literal("b", "2", kind=0x40)
    decoder = Decoder()
    fields = decoder.decode(block)
    assert fields == [("a", "1"), (":status", "200"), ("b", "2")]
    assert decoder.decode(block) is fields
    # The newest entry is the first: b a b a.
    assert decoder.decode(b"".join(map(indexed, (62, 63, 64, 65)))) == [
        ("b", "2"),
        ("a", "1"),
        ("b", "2"),
        ("a", "1"),
    ]
    with pytest.raises(HPACKError):
        decoder.decode(indexed(66))


def test_a_table_of_no_size_takes_nothing_until_it_has_a_size_again():
    """As nginx encodes: it gives up the table, and sends literals that enter it all the same."""
    block = literal("a", "1", kind=0x40) + indexed(8)
    decoder = Decoder()
    assert decoder.decode(size_update(0) + block) == [("a", "1"), (":status", "200")]
    fields = decoder.decode(block)
    assert decoder.decode(block) is fields
    assert decoder.decode(b"\x00\x01x\x01y" + block) == [("x", "y"), *fields]
    with pytest.raises(HPACKError):
        decoder.decode(indexed(62))
    assert decoder.decode(size_update(4096) + block) == fields
    assert decoder.decode(block) == fields
    assert decoder.decode(indexed(62) + indexed(63)) == [("a", "1"), ("a", "1")]
    with pytest.raises(HPACKError):
        decoder.decode(indexed(64))


def test_a_repeated_block_that_refers_to_the_table_is_decoded_anew():
    decoder = Decoder()
    refers = indexed(62) + literal("b", "2", kind=0x40)
    decoder.decode(literal("a", "1", kind=0x40))
    assert decoder.decode(refers) == [("a", "1"), ("b", "2")]
    assert decoder.decode(refers) == [("b", "2"), ("b", "2")]
    # A literal whose name is in the dynamic table: the newest is "b", then "c".
    named = b"\x7e" + literal("", "3", kind=0x00)[2:]
    assert decoder.decode(named) == [("b", "3")]
    decoder.decode(literal("c", "4", kind=0x40))
    assert decoder.decode(named) == [("c", "3")]


def test_a_required_size_update_is_not_skipped_by_a_repeated_block():
    decoder = Decoder()
    block = literal("a", "1", kind=0x40)
    decoder.decode(block)
    decoder.max_table_size = 100
    with pytest.raises(HPACKError):
        decoder.decode(block)


def test_memory_is_flat_over_many_different_blocks():
    # CVE-2021-44716, CVE-2022-41717: no cache grows with what the peer invents.
    decoder = Decoder()

    def feed(start):
        for number in range(start, start + 3000):
            decoder.decode(literal(f"name-{number:08}", "v" * 200, kind=0x00))
            decoder.decode(literal(f"name-{number:08}", "v" * 200))

    feed(0)
    assert peak_memory(lambda: feed(10_000)) < 100_000


# -- repeated blocks ----------------------------------------------------------


def test_a_repeated_block_gives_the_same_list():
    decoder = Decoder()
    decoder.decode(literal("a", "1"))
    block = indexed(2) + indexed(62)
    fields = decoder.decode(block)
    assert decoder.decode(bytes(bytearray(block))) is fields


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(literal("b", "2"), id="insertion"),
        pytest.param(size_update(0) + size_update(4096) + literal("b", "2"), id="size update"),
    ],
)
def test_a_repeated_block_is_decoded_anew_when_the_table_has_changed(change):
    decoder = Decoder()
    decoder.decode(literal("a", "1"))
    block = indexed(62)
    assert decoder.decode(block) == [("a", "1")]
    decoder.decode(change)
    assert decoder.decode(block) == [("b", "2")]


def test_a_repeated_block_that_changes_the_table_changes_it_each_time():
    decoder = Decoder()
    for _ in range(3):
        decoder.decode(literal("a", "1"))
    assert decoder.decode(indexed(62) + indexed(63) + indexed(64)) == [("a", "1")] * 3


def test_a_repeated_block_that_is_too_large_is_refused_each_time():
    decoder = Decoder(max_fields=1)
    for _ in range(3):
        with pytest.raises(HeaderListTooLarge):
            decoder.decode(indexed(2) * 2)


def test_decoders_do_not_share_a_table():
    first, second = Decoder(), Decoder()
    first.decode(Encoder().encode([("a", "1")]))
    with pytest.raises(HPACKError):
        second.decode(indexed(62))


# -- what is remembered ---------------------------------------------------------


def path(value, kind=0x00):
    return bytes((kind | 4,)) + encode_string(value.encode())


PARTS = st.sampled_from(
    [
        *map(indexed, (2, 7, 4, 62, 62, 63, 64)),
        *(path(value) for value in ("/", "/a", "/b?c=d", "x" * 200)),
        path("/a", kind=0x10),
        literal("a", "1"),
        literal("b", "v" * 60),
        literal("c", "3", kind=0x00),
        size_update(0),
        size_update(100),
        b"\x80",
        b"\x04",
    ]
)


class Forgetful(dict):
    def __setitem__(self, key, value):
        pass


@given(
    st.lists(st.lists(PARTS, max_size=6).map(b"".join) | st.integers(0, 4096), max_size=12),
    st.sampled_from([100, 65536]),
    st.sampled_from([3, 128]),
)
@example([literal("a", "1"), path("/a") + b"\xbe", path("/b") + b"\xbe"], 65536, 128)
@example([literal("a", "1"), path("/a") + b"\xbe" * 2, path("x" * 99) + b"\xbe" * 2], 200, 128)
@example([b"\x82" + path("/a") + b"\x87", b"\x82\x82" + path("/a") + b"\x87"], 65536, 3)
def test_what_follows_a_path_is_decoded_as_any_other(steps, size, count):
    seen = []
    for remembers in (True, False):
        decoder = Decoder(max_header_list_size=size, max_fields=count)
        if not remembers:
            decoder._tails = Forgetful()
            decoder._cache = Forgetful()
        results = []
        for step in steps:
            if isinstance(step, int):
                decoder.max_table_size = step
                continue
            try:
                results.append(decoder.decode(step))
            except HeaderListTooLarge as error:
                results.append(str(error))
            except HPACKError as error:
                results.append(str(error))
                break
        seen.append((results, decoder._table, decoder._size, decoder._limit))
    assert seen[0] == seen[1]


def test_the_end_of_a_block_is_not_taken_from_a_table_that_was():
    decoder = Decoder()
    decoder.decode(literal("a", "1"))
    assert decoder.decode(path("/") + indexed(62)) == [(":path", "/"), ("a", "1")]
    decoder.decode(literal("b", "2"))
    assert decoder.decode(path("/x") + indexed(62)) == [(":path", "/x"), ("b", "2")]


@pytest.mark.parametrize("size", [8, 200, 1000])
def test_a_flood_of_values_takes_bounded_memory(size):
    decoder = Decoder()
    for number in range(3 * cache.MAX_FIELDS):
        target = f"/{number:0{size}}"
        assert decoder.decode(path(target)) == [(":path", target)]
        kept = hpack._entries
        assert len(kept.entries) <= cache.MAX_FIELDS
        assert kept.size <= cache.MAX_BYTES
    sizes = [len(code) for code in kept.entries]
    assert sum(sizes) == kept.size
    assert max(sizes, default=0) <= cache.MAX_FIELD
    assert len(decoder._tails) <= 64


@pytest.mark.parametrize(
    ("index", "kind", "is_kept"),
    [
        (4, 0x00, True),  # :path
        (4, 0x40, True),
        (4, 0x10, False),  # never indexed
        (28, 0x00, False),  # content-length, not indexed: its index takes two bytes
        (19, 0x40, True),  # accept
        (23, 0x40, False),  # authorization
        (32, 0x40, False),  # cookie
        (49, 0x40, False),  # proxy-authorization
        (55, 0x40, False),  # set-cookie
        (None, 0x40, False),  # a name that is spelt out
        (62, 0x40, False),  # a name of the dynamic table
    ],
)
def test_values_are_kept_of_public_fields(index, kind, is_kept):
    hpack._entries.entries.clear()
    hpack._entries.size = 0
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x01b")
    value = f"value-{index}-{kind}"
    name = b"\x40\x01z" if index is None else encode_integer(index, 4 if kind < 0x40 else 6, kind)
    for _ in range(2):
        ((_, decoded),) = decoder.decode(name + encode_string(value.encode()))
        assert decoded == value
    kept = [text for (_, text), _ in hpack._entries.entries.values()]
    assert kept == [value] * is_kept


def test_names_that_are_spelt_out_are_kept():
    hpack._names.clear()
    for value in ("1", "2"):
        block = b"\x40" + encode_string(b"x-request-id") + encode_string(value.encode())
        assert Decoder().decode(block) == [("x-request-id", value)]
    assert list(hpack._names.values()) == [("x-request-id", 12)]


def test_a_long_name_is_not_kept():
    hpack._names.clear()
    name = "x" * 2000
    block = b"\x40" + encode_string(name.encode()) + b"\x011"
    assert Decoder().decode(block) == [(name, "1")]
    assert not hpack._names


@given(
    st.lists(st.sampled_from([b"1", b"2" * 40, b"3" * 100, b"4" * 3000]), max_size=6),
    st.lists(st.sampled_from([b"5", b"6" * 100, b"7" * 2000]), max_size=6),
    st.sampled_from([64, 200, 4096]),
)
def test_a_block_that_is_known_fills_the_table_as_any_other(before, values, size):
    block = b"".join(b"\x58" + encode_string(value) for value in values)
    known, other = Decoder(max_table_size=size), Decoder(max_table_size=size)
    other._self_contained = Never()
    for decoder in (known, other):
        for value in (values, before, values):
            decoder.decode(b"".join(b"\x40\x01a" + encode_string(each) for each in value))
            decoder.decode(block)
    assert known._table == other._table
    assert known._size == other._size


class Never(dict):
    """A memory that keeps nothing."""

    def __setitem__(self, key, value):
        pass


def test_bad_huffman_code_is_refused_again():
    for _ in range(2):
        with pytest.raises(HPACKError, match="padding"):
            Decoder().decode(b"\x04\x81\x00")
