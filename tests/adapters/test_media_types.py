"""What media types mean is remembered: of which a peer may send any number, of any length."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from multidict import CIMultiDict

from plait.helpers import charset_of, content_type_of, parse_mimetype

KEPT = 400_000
"""Bytes of what is remembered, at most: 256 values of 256 bytes, and what they mean."""


def read_field(value: str) -> None:
    headers = CIMultiDict({"Content-Type": value})
    assert (content_type_of(headers), charset_of(headers)) == ("text/plain", "utf-8")


def read_mimetype(value: str) -> None:
    parsed = parse_mimetype(value)
    assert (parsed.type, parsed.parameters["charset"]) == ("text", "utf-8")


@pytest.mark.parametrize("read", [read_field, read_mimetype])
@pytest.mark.parametrize("size", [1, 200, 20_000])
def test_a_flood_of_media_types_takes_bounded_memory(
    read: Callable[[str], None], size: int
) -> None:
    tracemalloc.start()
    try:
        for number in range(600):
            read(f"text/plain; charset=utf-8; x={number:0{size}}")
        assert tracemalloc.get_traced_memory()[0] < KEPT
    finally:
        tracemalloc.stop()
