"""The Huffman code (RFC 7541 section 5.2 and appendix B)."""

import tracemalloc

import pytest
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.http2 import huffman


def decode(data):
    return huffman.decode(data).encode("latin-1")


def test_the_code_is_that_of_appendix_b():
    for symbol in range(256):
        coded = huffman.encode(bytes((symbol,)))
        length = REQUEST_CODES_LENGTH[symbol]
        bits = f"{int.from_bytes(coded, 'big'):0{8 * len(coded)}b}"
        assert int(bits[:length], 2) == REQUEST_CODES[symbol]
        assert set(bits[length:]) <= {"1"}
        assert len(bits) - length < 8


@given(st.binary(max_size=600))
def test_decode_undoes_encode(data):
    assert decode(huffman.encode(data)) == data


@given(st.binary(max_size=40))
def test_what_decodes_is_the_only_code_of_its_string(data):
    try:
        decoded = decode(data)
    except huffman.HuffmanError:
        return
    assert huffman.encode(decoded) == data


def padded(bits):
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"\xff\xff\xff\xff", "EOS", id="EOS"),
        pytest.param(b"\x1f\xff\xff\xff\xfc", "EOS", id="a and EOS"),
        pytest.param(b"\xff", "padding", id="8 bits of padding"),
        pytest.param(b"\x1f\xff", "padding", id="a and 11 bits of padding"),
        pytest.param(padded("00011" + "110"), "padding", id="padding that is not all 1s"),
        pytest.param(padded("00011" + "000"), "padding", id="padding of 0s"),
        pytest.param(padded("1111111111111010"), "padding", id="half a code"),
    ],
)
def test_bad_code_is_refused(data, problem):
    with pytest.raises(huffman.HuffmanError, match=problem):
        decode(data)


@pytest.mark.parametrize("count", range(1, 9))
def test_up_to_seven_bits_of_padding_are_valid(count):
    bits = "00011" * count  # as many of 'a', which end at every position in a byte
    assert decode(padded(bits + "1" * (-len(bits) % 8))) == b"a" * count


def test_an_error_leaves_no_trace():
    with pytest.raises(huffman.HuffmanError):
        decode(b"\xff\xff\xff\xff")
    assert decode(huffman.encode(b"next")) == b"next"


def test_output_is_bounded_by_the_input():
    data = bytes(100_000)  # 'ten zero bits' is '00': the shortest code, 5 bits a symbol
    tracemalloc.start()
    try:
        decoded = decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert decoded == b"0" * 160_000
    assert peak < 4_000_000
