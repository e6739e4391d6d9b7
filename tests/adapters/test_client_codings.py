"""Content codings of optional packages: br and zstd, at any cut and in steps of any size."""

from __future__ import annotations

import random
from collections.abc import Callable

import brotli
import pytest

from plait.compression_utils import ACCEPT_ENCODING, DECODERS, find_decoder
from plait_engine.content.codings import CodingError
from tests.engine.chops import CHOPS, Chop

try:
    from compression import zstd
except ImportError:
    from backports import zstd

Compress = Callable[[bytes], bytes]

CODINGS: list[tuple[str, Compress]] = [("br", brotli.compress), ("zstd", zstd.compress)]

PLAIN = {
    "text": b"a text of some words, and some of the words again; " * 50,
    "noise": random.Random(1).randbytes(5_000),
    "bomb": bytes(2_000_000),
}


def decode(name: str, pieces: list[bytes], step: int) -> bytes:
    """Decode as a body does: ask for a step while there is more without new input."""
    decoder = find_decoder(name)
    assert decoder is not None
    decoded = bytearray()
    for piece in pieces:
        decoded += decoder.decode(piece, step)
        while decoder.pending:
            decoded += decoder.decode(b"", step)
    decoder.finish()
    return bytes(decoded)


def test_both_are_offered() -> None:
    assert ACCEPT_ENCODING == "gzip, deflate, br, zstd"
    assert set(DECODERS) >= {"br", "zstd"}


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("step", [1_000, 2**18])
@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize(("name", "compress"), CODINGS)
def test_all_of_it_is_decoded(
    name: str, compress: Compress, kind: str, step: int, chop: Chop
) -> None:
    assert decode(name, list(chop(compress(PLAIN[kind]))), step) == PLAIN[kind]


@pytest.mark.parametrize(("name", "compress"), CODINGS)
def test_a_bomb_is_decoded_only_as_far_as_it_is_asked(name: str, compress: Compress) -> None:
    decoder = find_decoder(name)
    assert decoder is not None
    # Brotli gives what it has at hand, which is more than was asked, and never much more.
    assert len(decoder.decode(compress(PLAIN["bomb"]), 1_000)) < 100_000
    assert decoder.pending


@pytest.mark.parametrize("kind", ["text", "noise", "bomb"])
@pytest.mark.parametrize(("name", "compress"), CODINGS)
def test_one_that_ends_too_early(name: str, compress: Compress, kind: str) -> None:
    with pytest.raises(CodingError, match="ends too early"):
        decode(name, [compress(PLAIN[kind])[:-1]], 2**18)


@pytest.mark.parametrize(("name", "compress"), CODINGS)
def test_bytes_of_another_kind(name: str, compress: Compress) -> None:
    with pytest.raises(CodingError, match="invalid compressed data"):
        decode(name, [b"\xff" * 100], 2**18)
