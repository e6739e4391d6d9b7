"""Ranges (RFC 9110 section 14)."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.ranges import ByteRange, Span, parse_range, select_span

SIZE = 100


@pytest.mark.parametrize(
    ("field", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-", Span(0, 100)),
        ("bytes=0-99", Span(0, 100)),
        ("bytes=10-19", Span(10, 10)),
        ("bytes=99-", Span(99, 1)),
        ("bytes=99-99", Span(99, 1)),
        ("bytes=90-1000", Span(90, 10)),
        ("bytes=-1", Span(99, 1)),
        ("bytes=-100", Span(0, 100)),
        ("bytes=-1000", Span(0, 100)),
        ("BYTES=5-6", Span(5, 2)),
        ("bytes=0000000000000000000000000000005-6", Span(5, 2)),
        (f"bytes=5-{'9' * 8000}", Span(5, 95)),
        (f"bytes=-{'9' * 8000}", Span(0, 100)),
        # Another unit, and several ranges, are ignored.
        ("blocks=0-10", None),
        ("", None),
        ("bytes", None),
        ("bytes =0-1", None),
        ("bytes=0-1,5-6", None),
        ("bytes=0-0,-1", None),
        ("bytes=" + "0-," * 1000, None),
        ("bytes=0-1,", None),
    ],
)
def test_spans(field: str, span: Span | None) -> None:
    assert select_span(field, SIZE) == span


@pytest.mark.parametrize(
    "field",
    [
        "bytes=100-",
        "bytes=100-200",
        "bytes=1000-",
        f"bytes={10**30}-",
        f"bytes={'9' * 8000}-",
        "bytes=-0",
        "bytes=",
        "bytes=-",
        "bytes=5",
        "bytes=5-1",
        "bytes=a-f",
        "bytes=0--10",
        "bytes=--10",
        "bytes=+1-2",
        "bytes=1_0-20",
        "bytes=0x1-2",
        "bytes=4-\u096b",  # a digit, but not in ASCII
        "bytes= 0-1",
        "bytes=0 - 1",
        "bytes=0-1\n",
    ],
)
def test_what_cannot_be_satisfied(field: str) -> None:
    with pytest.raises(ValueError, match=r"range|suffix|start|end"):
        select_span(field, SIZE)


def test_nothing_of_nothing() -> None:
    assert select_span("bytes=-5", 0) is None
    for field in ("bytes=0-", "bytes=0-0", "bytes=-0"):
        with pytest.raises(ValueError, match=r"range|suffix"):
            select_span(field, 0)


def test_a_range_as_it_is_asked_for() -> None:
    assert parse_range("bytes=1-2") == ByteRange(1, 2)
    assert parse_range("bytes=1-") == ByteRange(1, None)
    assert parse_range("bytes=-2") == ByteRange(None, 2)
    for field in ("blocks=1-2", "bytes=1-2,3-4", ""):
        with pytest.raises(ValueError, match="range"):
            parse_range(field)


@given(st.integers(0, 20), st.integers(0, 25), st.integers(0, 25))
def test_a_span_is_what_a_slice_takes(size: int, first: int, last: int) -> None:
    content = bytes(range(size))
    for field, expected in (
        (f"bytes={first}-{first + last}", content[first : first + last + 1]),
        (f"bytes={first}-", content[first:]),
        (f"bytes=-{last}", content[-last:] if last else b""),
    ):
        try:
            span = select_span(field, size)
        except ValueError:
            assert expected == b""
        else:
            start, length = span or (0, size)
            assert content[start : start + length] == expected
            assert length == len(expected)


@given(st.text() | st.text(alphabet="0123456789-,= \tbytes").map("bytes={}".format), st.integers(0))
def test_only_a_value_error_is_raised(field: str, size: int) -> None:
    try:
        span = select_span(field, size)
    except ValueError:
        return
    assert span is None or (span.start >= 0 and 0 < span.length <= size - span.start)


def test_a_long_field_costs_no_more_than_its_length() -> None:
    start = time.thread_time()
    for field in ("0-1," * 50_000, "9" * 200_000, "-" * 200_000):
        with contextlib.suppress(ValueError):
            select_span(f"bytes={field}", SIZE)
    assert time.thread_time() - start < 2
