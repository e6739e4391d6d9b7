"""When a source of server-sent events is asked again (WHATWG HTML, section 9.2.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.policy.event_source import (
    LONGEST_PAUSE,
    SHORTEST_PAUSE,
    EventSource,
    Verdict,
)


def opened(**options: float | None) -> EventSource:
    source = EventSource(**options)  # type: ignore[arg-type]
    assert source.on_response(200, "text/event-stream") is Verdict.EVENTS
    return source


def test_the_fields_of_requests() -> None:
    source = EventSource()
    first = [("Accept", "text/event-stream"), ("Cache-Control", "no-store")]
    assert source.request_fields() == first
    source.on_response(200, "Text/Event-Stream")
    source.receive_data("id: \u2603\n\nid: next\n".encode())
    assert source.request_fields() == [*first, ("Last-Event-ID", "\u2603")]
    source.receive_data(b"id: a\x01b\n\n")
    assert source.last_event_id == "a\x01b"
    assert source.request_fields() == first
    assert EventSource(last_event_id="7").request_fields()[-1] == ("Last-Event-ID", "7")


def test_an_id_holds_over_connections_and_the_rest_does_not() -> None:
    source = opened()
    source.receive_data(b"id: 7\n\nid: 8\nevent: x\ndata: lost")
    source.on_disconnect()
    source.on_response(200, "text/event-stream")
    source.receive_data(b"data: a\n\n")
    event = source.next_event()
    assert event is not None
    assert (event.data, event.event, event.id) == ("a", "message", "7")


@pytest.mark.parametrize(
    ("status", "media_type", "verdict"),
    [
        (204, "", Verdict.NO_MORE),
        (200, "text/html", Verdict.WRONG_TYPE),
        (200, "", Verdict.WRONG_TYPE),
        (206, "text/event-stream", Verdict.WRONG_STATUS),
        (302, "text/event-stream", Verdict.WRONG_STATUS),
        (503, "text/event-stream", Verdict.WRONG_STATUS),
    ],
)
def test_what_is_not_read(status: int, media_type: str, verdict: Verdict) -> None:
    assert EventSource().on_response(status, media_type) is verdict


def test_the_time_between_requests() -> None:
    source = opened(reconnection_time=2.0)
    assert source.on_disconnect() == 2.0
    source.receive_data(b"retry: 500\n")
    assert source.on_disconnect() == 0.5
    pauses = [source.on_failure() for _ in range(9)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    for _ in range(3000):
        assert source.on_failure() == LONGEST_PAUSE
    source.on_response(200, "text/event-stream")
    assert source.on_disconnect() == 0.5
    source.receive_data(b"retry: 90000\n")
    assert source.on_failure() == 90.0


def test_a_server_that_wants_no_pause_gets_one_when_it_is_gone() -> None:
    source = opened()
    source.receive_data(b"retry: 0\n")
    assert source.on_disconnect() == 0.0
    assert [source.on_failure() for _ in range(3)] == [SHORTEST_PAUSE, 0.2, 0.4]


def test_a_source_that_never_answered_is_not_asked_again() -> None:
    assert EventSource().on_failure() is None


def test_failures_in_a_row_are_counted() -> None:
    source = opened(max_failures=2)
    assert source.on_failure() is not None
    source.on_response(200, "text/event-stream")
    assert source.on_failure() is not None
    assert source.on_failure() is None


@given(st.integers(1, 12), st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=40))
def test_every_event_comes_once(count: int, responses: list[tuple[bool, int]]) -> None:
    """A server goes on behind the last id; responses fail, or break off at any byte."""
    source = opened()
    got: list[str] = []
    for answers, size in [*responses, (True, 10**6)]:
        if not answers:
            assert source.on_failure() is not None
            continue
        last = int(dict(source.request_fields()).get("Last-Event-ID", 0))
        source.on_response(200, "text/event-stream")
        stream = "".join(f"id: {n}\r\ndata: {n}\r\n\r\n" for n in range(last + 1, count + 1))
        source.receive_data(stream.encode()[:size])
        while (event := source.next_event()) is not None:
            got.append(event.data)
        source.on_disconnect()
    assert got == [str(number) for number in range(1, count + 1)]
