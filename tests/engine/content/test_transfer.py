"""Content-Transfer-Encoding: RFC 2045 section 6, whole and in pieces."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.codings import CodingError
from plait_engine.content.transfer import ENCODERS, decode_transfer, split_units


def encode(coding: str, pieces: list[bytes]) -> bytes:
    encoder = ENCODERS[coding]()
    return b"".join(map(encoder.encode, pieces)) + encoder.finish()


def decode_in_pieces(coding: str, data: bytes, size: int) -> bytes:
    decoded = kept = b""
    for start in range(0, len(data), size):
        whole, kept = split_units(coding, kept + data[start : start + size])
        assert len(kept) < 4
        decoded += decode_transfer(coding, whole)
    return decoded + decode_transfer(coding, kept)


@given(st.lists(st.binary()), st.sampled_from(sorted(ENCODERS)), st.integers(1, 90))
def test_there_and_back_in_pieces(pieces: list[bytes], coding: str, size: int) -> None:
    encoded = encode(coding, pieces)
    assert decode_in_pieces(coding, encoded, size) == b"".join(pieces)
    if coding == "quoted-printable":
        assert max(map(len, encoded.split(b"\r\n"))) <= 76


@given(st.binary(), st.integers(1, 20))
def test_base64_of_mail(data: bytes, size: int) -> None:
    lines = base64.encodebytes(data).replace(b"\n", b" \r\r\n")
    assert decode_in_pieces("base64", lines, size) == data


@given(st.binary(), st.integers(1, 20))
def test_quoted_printable_of_mail(data: bytes, size: int) -> None:
    text = binascii.b2a_qp(data)
    assert decode_in_pieces("quoted-printable", text, size) == binascii.a2b_qp(text)


def test_a_run_of_what_is_skipped_is_not_kept() -> None:
    assert split_units("base64", b"AAAAB" + b" " * 1000 + b"C" + b"\n" * 1000) == (b"AAAA", b"BC")


@pytest.mark.parametrize("coding", ["", "7bit", "8bit", "binary"])
def test_nothing_to_decode(coding: str) -> None:
    assert decode_transfer(coding, b"=3D") == b"=3D"
    assert split_units(coding, b"=3") == (b"=3", b"")


@pytest.mark.parametrize(("coding", "data"), [("base64", b"AAA"), ("x-uuencode", b"")])
def test_what_cannot_be_decoded(coding: str, data: bytes) -> None:
    with pytest.raises(CodingError):
        decode_transfer(coding, data)
