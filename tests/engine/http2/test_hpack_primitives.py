"""Integers and string literals (RFC 7541 sections 5.1 and 5.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.headers import encode
from plait_engine.http2.errors import HPACKError
from plait_engine.http2.hpack_primitives import (
    MAX_INTEGER,
    decode_integer,
    encode_integer,
    encode_string,
    read_string,
)


@pytest.mark.parametrize(
    ("value", "prefix", "data"),
    [
        (10, 5, "0a"),  # RFC 7541 appendix C.1
        (1337, 5, "1f9a0a"),
        (42, 8, "2a"),
        (30, 5, "1e"),
        (31, 5, "1f00"),
        (127 + 127, 7, "7f7f"),
        (127 + 128, 7, "7f8001"),
    ],
)
def test_integers_of_the_rfc_and_around_the_limit_of_a_prefix(value, prefix, data):
    assert encode_integer(value, prefix, 0).hex() == data
    if len(data) > 2:
        limit = (1 << prefix) - 1
        assert decode_integer(bytes.fromhex(data), 1, limit) == (value, len(data) // 2)


@given(st.integers(0, MAX_INTEGER), st.integers(1, 8))
def test_every_integer_up_to_the_limit_survives(value, prefix):
    limit = (1 << prefix) - 1
    data = encode_integer(value, prefix, 0)
    if data[0] < limit:
        assert (data[0], 1) == (value, len(data))
    else:
        assert decode_integer(data + b"\xff", 1, limit) == (value, len(data))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("ffffffffff00", id="ones"),
        pytest.param("808080808000", id="leading zeros"),
        pytest.param("ffffffff0f", id="2**32 and a little"),
        pytest.param("ff" * 65536, id="64 KiB of ones"),
    ],
)
def test_an_integer_above_the_limit_is_refused(data):
    with pytest.raises(HPACKError, match="too large"):
        decode_integer(bytes.fromhex(data), 0, 0x7F)


def test_the_largest_integer_is_accepted():
    data = encode_integer(MAX_INTEGER, 7, 0)
    assert decode_integer(data, 1, 0x7F) == (MAX_INTEGER, len(data))
    with pytest.raises(HPACKError, match="too large"):
        decode_integer(encode_integer(MAX_INTEGER + 1, 7, 0), 1, 0x7F)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff\xff\xff"])
def test_an_integer_that_is_cut_short_is_refused(data):
    with pytest.raises(HPACKError, match="cut short"):
        decode_integer(data, 0, 0x1F)


def decode_string(block, pos):
    text, size, pos = read_string(block, pos)
    data = encode(text)
    assert size == len(data)
    return data, pos


@given(st.binary(max_size=300))
def test_every_string_survives_in_its_shorter_form(data):
    literal = encode_string(data)
    assert decode_string(b"xx" + literal + b"y", 2) == (data, 2 + len(literal))
    assert len(literal) <= len(data) + 3


def test_a_string_is_huffman_coded_only_when_that_is_shorter():
    assert encode_string(b"www.example.com").hex() == "8cf1e3c2e5f23a6ba0ab90f4ff"
    assert encode_string(b"\x00\x01\x02") == b"\x03\x00\x01\x02"
    assert encode_string(b"&") == b"\x01&"  # 8 bits either way


@pytest.mark.parametrize(
    ("literal", "problem"),
    [
        (b"", "cut short"),
        (b"\x01", "longer than the block"),
        (b"\x81", "longer than the block"),
        (b"\x05abcd", "longer than the block"),
        (b"\x7f", "cut short"),
        (b"\x7f\xff\xff\xff\xff\x0f", "too large"),
        (b"\x84\xff\xff\xff\xff", "EOS"),
        (b"\x82\x1f\xff", "padding"),
    ],
)
def test_a_broken_string_is_refused(literal, problem):
    with pytest.raises(HPACKError, match=problem):
        decode_string(literal, 0)
