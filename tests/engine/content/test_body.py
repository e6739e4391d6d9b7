"""A body that is decoded as far as somebody takes it: bounded steps, and where credit goes."""

from __future__ import annotations

import gzip
import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.body import EncodedBody
from plait_engine.content.codings import CodingError, DeflateDecoder, GzipDecoder


def take_all(body: EncodedBody) -> tuple[list[bytes], int]:
    """Return the decoded pieces and the credit that came back."""
    pieces, credit = [], 0
    while (step := body.step()) is not None:
        pieces.append(step[0])
        credit += step[1]
    return pieces, credit


@given(
    content=st.binary(max_size=300),
    cuts=st.lists(st.integers(0, 400), max_size=5),
    max_length=st.integers(1, 50),
)
def test_whatever_the_cuts_all_is_decoded_in_bounded_steps(
    content: bytes, cuts: list[int], max_length: int
) -> None:
    encoded = gzip.compress(content)
    body = EncodedBody(GzipDecoder(), max_length)
    places = [0, *sorted(min(cut, len(encoded)) for cut in cuts), len(encoded)]
    decoded: list[bytes] = []
    returned = 0
    for start, stop in itertools.pairwise(places):
        body.receive_data(encoded[start:stop], stop - start + 7)
        pieces, credit = take_all(body)
        decoded += pieces
        returned += credit
        assert not body.complete
    body.receive_end()
    assert take_all(body) == ([], 0)
    assert body.complete
    assert b"".join(decoded) == content
    assert max(map(len, decoded), default=0) <= max_length
    assert body.taken == len(encoded)
    assert returned == len(encoded) + 7 * (len(places) - 1)


def test_a_bomb_is_decoded_only_as_far_as_it_is_taken() -> None:
    body = EncodedBody(GzipDecoder(), 1000)
    encoded = gzip.compress(bytes(10_000_000))
    body.receive_data(encoded, len(encoded))
    body.receive_data(b"more", 4)
    assert body.step() == (bytes(1000), len(encoded))
    assert body.step() == (bytes(1000), 0)
    assert body.taken == len(encoded), "the piece behind it waits, with its credit"


def test_an_empty_body_is_not_encoded() -> None:
    body = EncodedBody(GzipDecoder(), 10)
    body.receive_data(b"", 0)
    body.receive_end()
    assert take_all(body) == ([b""], 0)
    assert body.complete


@pytest.mark.parametrize(
    ("decoder", "encoded"),
    [
        (GzipDecoder(), gzip.compress(b"abc", mtime=0)[:-1]),
        (DeflateDecoder(), zlib.compress(b"abc")[:-1]),
        (GzipDecoder(), b"no gzip at all"),
        (DeflateDecoder(), zlib.compress(b"abc") + b"x"),
    ],
    ids=["gzip-cut", "deflate-cut", "garbage", "tail"],
)
def test_what_is_not_as_the_coding_says(
    decoder: GzipDecoder | DeflateDecoder, encoded: bytes
) -> None:
    body = EncodedBody(decoder, 100)
    body.receive_data(encoded, len(encoded))
    body.receive_end()
    with pytest.raises(CodingError):
        take_all(body)
    assert not body.complete


def test_what_is_dropped_is_not_decoded() -> None:
    body = EncodedBody(GzipDecoder(), 100)
    body.receive_data(b"no gzip", 7)
    body.receive_data(b" at all", 9)
    assert body.clear() == 16
    assert body.clear() == 0
    assert body.step() is None
    assert not body.complete
