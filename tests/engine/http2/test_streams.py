"""What the ids of streams that are gone still tell (RFC 9113 sections 5.1 and 5.1.1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plait_engine.http2.streams import REMEMBERED, Absent, ClosedStreams


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_every_id_is_what_became_of_it(gaps: list[int]) -> None:
    closed = ClosedStreams()
    expected: dict[int, Absent] = {}
    stream = -1
    for gap in gaps:
        first = stream + 2
        stream = first + 2 * gap
        if gap:
            closed.add_skipped(first - 1, stream - 1)
            expected.update(dict.fromkeys(range(first, stream, 2), Absent.SKIPPED))
        if gap % 2:
            closed.add_reset(stream)
        expected[stream] = Absent.RESET if gap % 2 else Absent.CLOSED
    assert {stream: closed.classify(stream) for stream in expected} == expected


def test_what_was_forgotten_counts_as_reset() -> None:
    closed = ClosedStreams()
    for stream in range(1, 2 * REMEMBERED + 3, 2):
        closed.add_reset(stream)
    assert closed.classify(1) is Absent.RESET
    assert closed.classify(2 * REMEMBERED + 3) is Absent.CLOSED
    closed = ClosedStreams()
    for index in range(REMEMBERED + 1):
        closed.add_skipped(4 * index, 4 * index + 2)
    assert closed.classify(1) is Absent.RESET
    assert closed.classify(5) is Absent.SKIPPED
    assert closed.classify(7) is Absent.CLOSED
