"""Content codings: whole, byte by byte, in steps; and what is not valid."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.codings import MAX_MEMBERS, CodingError, Decoder, find_decoder
from tests.engine.chops import CHOPS, Chop

TEXT = b"what is said twice is said twice " * 400


def bare_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}


def decoder(name: str) -> Decoder:
    found = find_decoder(name)
    assert found is not None
    return found


def decode_all(decoder: Decoder, pieces: list[bytes], step: int = 1000) -> bytes:
    decoded = b""
    for piece in pieces:
        chunk = decoder.decode(piece, step)
        assert len(chunk) <= step
        decoded += chunk
        while decoder.pending:
            chunk = decoder.decode(b"", step)
            assert len(chunk) <= step
            decoded += chunk
    decoder.finish()
    return decoded


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("name", ENCODERS)
def test_decoding(name: str, chop: Chop) -> None:
    assert decode_all(decoder(name), chop(ENCODERS[name](TEXT))) == TEXT


@pytest.mark.parametrize("chop", CHOPS)
def test_deflate_without_the_zlib_header(chop: Chop) -> None:
    assert decode_all(decoder("deflate"), chop(bare_deflate(TEXT))) == TEXT


@pytest.mark.parametrize("chop", CHOPS)
def test_members_follow_each_other_and_zeros_are_padding(chop: Chop) -> None:
    data = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two") + b"\0\0"
    assert decode_all(decoder("gzip"), chop(data)) == b"one two"


@given(st.binary(max_size=3000), st.integers(1, 300), st.sampled_from(sorted(ENCODERS)))
def test_any_data_in_any_steps(data: bytes, step: int, name: str) -> None:
    assert decode_all(decoder(name), [ENCODERS[name](data)], step) == data


def test_a_bomb_gives_no_more_than_was_asked_for() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    stream = decoder("gzip")
    assert len(stream.decode(bomb, 65536)) == 65536
    assert stream.pending


def test_too_many_members() -> None:
    with pytest.raises(CodingError, match="members"):
        decode_all(decoder("gzip"), [gzip.compress(b"") * (MAX_MEMBERS + 1)])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("gzip", b"not gzip at all"),
        ("gzip", gzip.compress(TEXT, mtime=0)[:-1]),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"more"),
        ("gzip", b""),
        ("deflate", zlib.compress(TEXT)[:-1]),
        ("deflate", zlib.compress(TEXT) + b"more"),
        ("deflate", b"\xff\xff\xff\xff"),
        ("deflate", b"x"),
    ],
)
@pytest.mark.parametrize("chop", CHOPS)
def test_invalid_data(name: str, data: bytes, chop: Chop) -> None:
    with pytest.raises(CodingError):
        decode_all(decoder(name), chop(data))


@pytest.mark.parametrize("name", ["GZIP", " gzip ", "Deflate"])
def test_names_ignore_case_and_space(name: str) -> None:
    assert find_decoder(name) is not None


@pytest.mark.parametrize("name", ["", "identity", "gzip, gzip", "gz\u0131p", "unknown"])
def test_unknown_codings(name: str) -> None:
    assert find_decoder(name) is None
