"""The HPACK encoder: what it indexes, what it never does, and size updates."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.http2 import hpack
from plait_engine.http2.hpack import Decoder, Encoder

REQUEST = [
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/"),
    (":authority", "example.com"),
    ("accept", "*/*"),
]
RESPONSE = [
    (":status", "200"),
    ("content-type", "text/plain; charset=utf-8"),
    ("content-length", "13"),
    ("date", "Wed, 25 Nov 2026 04:00:00 GMT"),
    ("server", "plait"),
]


def test_a_field_of_the_static_table_is_one_byte():
    assert (
        Encoder().encode([(":method", "GET"), (":path", "/"), (":status", "404")])
        == b"\x82\x84\x8d"
    )


def test_a_repeated_list_is_indexes_only():
    encoder = Encoder()
    first = encoder.encode(REQUEST)
    assert encoder.encode(list(REQUEST)) == b"\x82\x87\x84\xbf\xbe"
    assert len(first) > 10
    assert encoder.encode(tuple(REQUEST)) == b"\x82\x87\x84\xbf\xbe"


def test_a_repeated_list_is_encoded_anew_when_the_table_has_changed():
    encoder, decoder = Encoder(), Decoder()
    for headers in (REQUEST, REQUEST, [("new", "field")], REQUEST, RESPONSE, REQUEST):
        assert decoder.decode(encoder.encode(headers)) == headers


def test_a_generator_is_accepted():
    assert Encoder().encode(field for field in [(":method", "GET")]) == b"\x82"


def test_a_name_of_the_dynamic_table_is_not_spelt_out_again():
    encoder, decoder = Encoder(), Decoder()
    decoder.decode(encoder.encode([("x-request-id", "1")]))
    block = encoder.encode([("x-request-id", "2")])
    assert block == b"\x7e\x012"
    assert decoder.decode(block) == [("x-request-id", "2")]


@pytest.mark.parametrize("name", [":path", "content-length", "etag", "location"])
def test_values_that_seldom_repeat_stay_out_of_the_table(name):
    encoder = Encoder()
    assert encoder.encode([(name, "/17")]) == encoder.encode([(name, "/17")])
    assert encoder.encode([(name, "/17")])[0] & 0xF0 == 0x00


@pytest.mark.parametrize(
    "field",
    [
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("proxy-authorization", "Basic dXNlcjpwYXNz"),
        ("set-cookie", "session=0123456789abcdef0123456789abcdef"),
        ("cookie", "pin=1234"),
        ("cookie", "x" * 19),
    ],
)
def test_secrets_are_never_indexed(field):
    # RFC 7541 section 7.1.3
    encoder, decoder = Encoder(), Decoder()
    for _ in range(3):
        block = encoder.encode([field])
        assert block[0] & 0xF0 == 0x10
        assert decoder.decode(block) == [field]


@pytest.mark.parametrize("value", ["x" * 20, "é" * 10])
def test_a_long_cookie_is_indexed(value):
    encoder = Encoder()
    encoder.encode([("cookie", value)])
    assert encoder.encode([("cookie", value)]) == b"\xbe"


def test_a_name_whose_values_never_repeat_stays_out_of_the_table():
    encoder, decoder = Encoder(), Decoder()
    same = [("user-agent", "a browser"), ("accept", "text/html")]
    assert decoder.decode(encoder.encode(same)) == same
    blocks = []
    for number in range(20):
        fields = [*same, ("x-request-id", str(number))]
        blocks.append(encoder.encode(fields))
        assert decoder.decode(blocks[-1]) == fields
    enters = [block[2] & 0xC0 == 0x40 for block in blocks]
    assert enters == [True] * 8 + [False] * 12
    # Section 6.2.2, with the name of the last entry, and nothing else has changed.
    assert blocks[-1] == blocks[-2][:3] + b"\x2f" + blocks[-2][4:-1] + blocks[-1][-1:]


def test_a_value_that_comes_twice_in_a_row_enters_the_table_again():
    encoder, decoder = Encoder(), Decoder()
    kinds = []
    for number in [*range(10), 9, 9, 10, 11]:
        block = encoder.encode([("x-session", str(number))])
        assert decoder.decode(block) == [("x-session", str(number))]
        kinds.append("indexed" if block[0] & 0x80 else "entry" if block[0] & 0x40 else "literal")
    # The ninth entry that may be in vain; its use makes up for two.
    assert kinds == ["entry"] * 8 + ["literal"] * 2 + ["entry", "indexed", "entry", "literal"]


def enters_table(encoder, field):
    return encoder.encode([field])[0] & 0xC0 == 0x40


@pytest.mark.parametrize(
    ("used", "enters"),
    [((), False), ((0, 1), False), ((5,), False), ((5, 7), True), (range(10), True)],
)
def test_a_name_of_which_few_entries_are_used_stays_out_of_the_table(used, enters):
    """As referrers, of which now and then one comes again."""
    encoder = Encoder()
    for number in range(10):
        encoder.encode([("referer", str(number))])
        if number in used:
            encoder.encode([("referer", str(number))])
    assert enters_table(encoder, ("referer", "a new one")) == enters


def test_one_entry_that_is_used_for_ever_does_not_make_up_for_many_that_are_not():
    encoder, entries = Encoder(), 0
    for number in range(100):
        encoder.encode([("referer", "the front page")])
        entries += enters_table(encoder, ("referer", str(number)))
    assert entries == 9


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("0123456789")), max_size=4),
        max_size=60,
    ),
    st.integers(0, 200),
)
def test_tables_agree_whatever_repeats(blocks, size):
    encoder, decoder = Encoder(max_table_size=size), Decoder()
    for fields in blocks:
        assert decoder.decode(encoder.encode(fields)) == fields


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/", "/index.html", "/a?b=c", "/" + "a" * 200, "/\u00fc"]),
            st.lists(
                st.tuples(
                    st.sampled_from(["x-a", "x-b", "cookie", "etag", "accept"]),
                    st.sampled_from(["", "a", "b" * 30, "c" * 3500, "\ud800"]),
                ),
                max_size=3,
            ).map(tuple),
        ),
        max_size=12,
    ),
    st.sampled_from([0, 100, 4096]),
)
def test_a_request_is_encoded_as_any_other_list(plan, size):
    before = ((":method", "GET"), (":scheme", "https"), (":authority", "a.example"))
    short, general = Encoder(), Encoder()
    for encoder in (short, general):
        encoder.set_peer_table_size(size)
    for target, behind in plan:
        blocks = []
        for encode in (
            lambda: short.encode_request(before, target, behind),  # noqa: B023
            lambda: general.encode([*before, (":path", target), *behind]),  # noqa: B023
        ):
            try:
                blocks.append(encode())
            except UnicodeEncodeError:
                blocks.append(None)
        assert blocks[0] == blocks[1]


def test_what_enters_no_table_is_not_huffman_coded():
    encoder = Encoder()
    assert b"/aaaaaaaa" in encoder.encode_request((), "/aaaaaaaa", ())
    assert b'"aaaaaaaa"' in encoder.encode([("etag", '"aaaaaaaa"')])
    assert b"aaaaaaaa" not in encoder.encode([("x-a", "aaaaaaaa")])


def test_an_entry_that_would_push_out_most_of_the_table_stays_out():
    encoder = Encoder()
    encoder.encode(REQUEST)
    large = [("large", "x" * 3500)]
    assert encoder.encode(large) == encoder.encode(large)
    assert encoder.encode(REQUEST) == b"\x82\x87\x84\xbf\xbe"


def test_the_oldest_entries_make_room_on_both_sides():
    encoder, decoder = Encoder(), Decoder()
    for number in range(1000):
        headers = [("number", str(number)), (f"name-{number % 90}", "x" * 40), *RESPONSE]
        assert decoder.decode(encoder.encode(headers)) == headers


def test_indexes_above_one_byte():
    encoder, decoder = Encoder(), Decoder()
    many = [(f"n{number:02}", "") for number in range(100)]
    for _ in range(2):
        assert decoder.decode(encoder.encode(many)) == many
    assert decoder.decode(encoder.encode([many[0]])) == [many[0]]


# -- size updates (RFC 7541 section 4.2) --------------------------------------


def test_a_lower_setting_is_announced_once():
    encoder = Encoder()
    encoder.set_peer_table_size(100)
    assert encoder.encode([(":method", "GET")]) == b"\x3f\x45\x82"
    assert encoder.encode([(":method", "GET")]) == b"\x82"


def test_the_least_setting_in_between_is_announced_too():
    encoder = Encoder()
    for size in (2000, 0, 30, 4096):
        encoder.set_peer_table_size(size)
    assert encoder.encode([(":method", "GET")]) == b"\x20\x3f\xe1\x1f\x82"
    assert encoder.encode([(":method", "GET")]) == b"\x82"


def test_a_setting_above_our_own_cap_changes_nothing():
    encoder = Encoder()
    encoder.set_peer_table_size(2**32 - 1)
    assert encoder.encode([(":method", "GET")]) == b"\x82"


def test_a_cap_below_the_default_is_announced():
    assert Encoder(max_table_size=30).encode([(":method", "GET")]) == b"\x3e\x82"


def test_a_cap_above_the_default_waits_for_the_setting():
    encoder = Encoder(max_table_size=8192)
    assert encoder.encode([(":method", "GET")]) == b"\x82"
    encoder.set_peer_table_size(6000)
    assert encoder.encode([(":method", "GET")]) == b"\x3f\xd1\x2e\x82"


def test_the_table_is_empty_after_it_had_no_size():
    encoder, decoder = Encoder(), Decoder()
    decoder.decode(encoder.encode(RESPONSE))
    encoder.set_peer_table_size(0)
    encoder.set_peer_table_size(4096)
    decoder.max_table_size = 0
    decoder.max_table_size = 4096
    for _ in range(2):
        assert decoder.decode(encoder.encode(RESPONSE)) == RESPONSE


def test_without_a_table_every_field_is_a_literal():
    encoder, decoder = Encoder(max_table_size=0), Decoder()
    for _ in range(3):
        assert decoder.decode(encoder.encode(RESPONSE)) == RESPONSE
    assert decoder.decode(b"\x82") == [(":method", "GET")]


# -- text that cannot be encoded ----------------------------------------------


def test_bytes_that_are_not_utf_8_go_through():
    headers = [("x", b"\xff\xfe".decode("utf-8", "surrogateescape"))]
    encoder, decoder = Encoder(), Decoder()
    for _ in range(2):
        assert decoder.decode(encoder.encode(headers)) == headers


@pytest.mark.parametrize("bad", [("x", "\ud800"), ("\ud800", "x")])
def test_after_text_that_cannot_be_encoded_the_tables_agree(bad):
    encoder, decoder = Encoder(), Decoder()
    decoder.decode(encoder.encode(RESPONSE))
    with pytest.raises(UnicodeEncodeError):
        encoder.encode([("lost", "entry"), bad])
    headers = [("lost", "entry"), *RESPONSE]
    for _ in range(2):
        assert decoder.decode(encoder.encode(headers)) == headers


@pytest.mark.parametrize("sizes", [[0], [0, 4096], [100], [2**32 - 1]])
def test_a_size_update_is_not_lost_with_text_that_cannot_be_encoded(sizes):
    encoder, decoder = Encoder(), Decoder()
    decoder.decode(encoder.encode(RESPONSE))
    for size in sizes:
        encoder.set_peer_table_size(size)
        decoder.max_table_size = size
    with pytest.raises(UnicodeEncodeError):
        encoder.encode([("lost", "entry"), ("x", "\ud800")])
    for _ in range(2):
        assert decoder.decode(encoder.encode(RESPONSE)) == RESPONSE


def test_memory_is_flat_over_many_different_lists():
    encoder = Encoder()

    def feed(start):
        for number in range(start, start + 3000):
            encoder.encode([(":path", f"/{number:09}" * 10), ("x-id", f"{number:09}"), *RESPONSE])
            encoder.encode([(":path", f"/{number:09}" * 10)])

    feed(0)
    tracemalloc.start()
    try:
        feed(10_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300_000


@pytest.mark.parametrize("name", ["content-length", "x"])
def test_a_flood_of_fields_takes_bounded_memory(name):
    encoder, decoder = Encoder(), Decoder()
    for number in range(1000):
        fields = [(name, str(number))]
        for _ in range(2):
            assert decoder.decode(encoder.encode(fields)) == fields
        assert len(encoder._blocks) <= 64
        assert len(encoder._known) <= 256


def test_a_flood_of_names_takes_bounded_memory():
    encoder = Encoder()
    for number in range(1000):
        encoder.encode([(f"name-{number}", "value"), ("x" * (60 + number % 10), "value")])
        assert len(encoder._unused) <= 64
        assert len(hpack._spelt_names) <= 64
        assert max(map(len, hpack._spelt_names)) <= 64


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=70), max_size=8))
def test_a_name_is_spelt_the_same_each_time(names):
    """And on each connection, whatever was spelt before."""
    hpack._spelt_names.clear()
    fields = [(name, "1") for name in names]
    first = Encoder().encode(fields)
    assert Encoder().encode(fields) == first
    assert Decoder().decode(first) == fields
