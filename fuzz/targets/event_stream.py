"""The parser of server-sent events.

Invariants:

* a stream is parsed, or EventTooLargeError is raised, and nothing else;
* the same bytes, whole and in pieces, give the same events and the same outcome;
* no data has a CR, no id a CR, LF or NUL, and no event is longer than the limit;
* what was parsed, written out again, is parsed to the same events.

Input: a byte (odd: a small limit), cuts, the stream.
"""

from __future__ import annotations

from collections.abc import Iterable

from fuzz.choices import Choices, Cuts
from fuzz.harness import check
from plait_engine.content.event_stream import (
    MAX_EVENT_SIZE,
    EventStreamParser,
    EventTooLargeError,
    ServerSentEvent,
)

TIGHT = 1
"""A small limit."""
SMALL = 16

Outcome = tuple[list[ServerSentEvent], str, str, float | None]


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    limit = SMALL if choices.byte() & TIGHT else MAX_EVENT_SIZE
    cuts = Cuts(choices)
    stream = choices.rest()
    whole = _parse(limit, [stream])
    check(whole == _parse(limit, cuts(stream)), "events do not depend on the cuts", whole)
    events = whole[0]
    for event in events:
        check("\r" not in event.data + event.event + event.id, "a CR ends a line", event)
        check("\n" not in event.event + event.id, "a LF ends a line", event)
        check("\0" not in event.id, "an id has no NUL", event)
        check(len(event.data) <= limit, "the size of an event is limited", event)
    again = _parse(MAX_EVENT_SIZE * 8, [b"".join(map(_write, events))])
    check(again[0] == events, "what was parsed survives being written", events, again)


def _parse(limit: int, pieces: Iterable[bytes]) -> Outcome:
    parser = EventStreamParser(max_event_size=limit)
    for piece in pieces:
        parser.receive_data(piece)
    events = []
    try:
        while (event := parser.next_event()) is not None:
            events.append(event)
    except EventTooLargeError:  # More of the last lines may have been read, or less.
        return events, "too large", "", None
    return events, "open", parser.last_event_id, parser.reconnection_time


def _write(event: ServerSentEvent) -> bytes:
    lines = [f"event: {event.event}", f"id: {event.id}"]
    if event.retry is not None:
        lines.append(f"retry: {round(event.retry * 1000)}")
    lines += [f"data: {line}" for line in event.data.split("\n")]
    return "\n".join([*lines, "", ""]).encode()
