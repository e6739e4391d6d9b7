"""The parser of server-sent events (WHATWG HTML, sections 9.2.5 and 9.2.6)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.event_stream import (
    EventStreamParser,
    EventTooLargeError,
    ServerSentEvent,
)
from tests.engine.chops import CHOPS, Chop, cut_at

E = ServerSentEvent


def parse(pieces: list[bytes], parser: EventStreamParser | None = None) -> list[ServerSentEvent]:
    parser = parser or EventStreamParser()
    for piece in pieces:
        parser.receive_data(piece)
    return taken(parser)


def taken(parser: EventStreamParser) -> list[ServerSentEvent]:
    events = []
    while (event := parser.next_event()) is not None:
        events.append(event)
    return events


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    ("stream", "events"),
    [
        # The examples of section 9.2.6.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [E("YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
            [E("first event", id="1"), E("second event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [E(""), E("\n")]),
        (b"data:test\n\ndata: test\n\n", [E("test"), E("test")]),
        # Line ends, alone and mixed.
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", [E("a"), E("b"), E("c")]),
        (b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r", [E("a"), E("b"), E("c")]),
        (b"data: a\rdata: b\n\r", [E("a\nb")]),
        # The byte order mark: one, and in front only.
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [E("a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [E("b")]),
        (b"\xef\xbb\xbf\ndata: a\n\n", [E("a")]),
        # Fields.
        (b"event: add\ndata: 73857293\n\n", [E("73857293", "add")]),
        (b"event: add\n\ndata: a\n\n", [E("a")]),
        (b"event:\ndata: a\n\n", [E("a")]),
        (
            b"id: 1\ndata: a\n\ndata: b\n\nid:\ndata: c\n\n",
            [E("a", id="1"), E("b", id="1"), E("c")],
        ),
        (b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [E("a", id="1"), E("b", id="1")]),
        (b"retry: 1500\ndata: a\n\ndata: b\n\n", [E("a", retry=1.5), E("b")]),
        (b"retry: 1.5\nretry: -1\nretry:\nretry: \xd9\xa1\ndata: a\n\n", [E("a")]),
        (b"retry: 000000000000000001\ndata: a\n\n", [E("a", retry=0.001)]),
        (b"retry: " + b"9" * 5000 + b"\ndata: a\n\n", [E("a", retry=10**7)]),
        (b"Data: a\ndata : a\n data: a\nfoo: a\nfoo\n\ndata: b\n\n", [E("b")]),
        (b"data: a: b\n\ndata::\n\n", [E("a: b"), E(":")]),
        (b"data: a\n:data: b\n\n", [E("a")]),
        # Text.
        (b"data: \xe2\x98\x83\n\ndata: a\xff\xe2\x98\n\n", [E("\u2603"), E("a\ufffd\ufffd")]),
        ("data: a\x85b\u2028c\x0bd\n\n".encode(), [E("a\x85b\u2028c\x0bd")]),
        (b"", []),
        (b"\n\n\r\n\r", []),
    ],
)
def test_streams(stream: bytes, events: list[ServerSentEvent], chop: Chop) -> None:
    assert parse(chop(stream)) == events


@pytest.mark.parametrize("chop", CHOPS)
def test_what_counts_without_an_event(chop: Chop) -> None:
    parser = EventStreamParser(last_event_id="before")
    assert parser.last_event_id == "before"
    assert parse(chop(b"data: a\n\nid: 5\nretry: 10\n\nid: 6\nretry: 20\n"), parser) == [
        E("a", id="before")
    ]
    assert parser.last_event_id == "5"
    assert parser.reconnection_time == 0.02


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"x" * 100,
        b"data: x\n" * 20,
        b"id: " + b"x" * 40 + b"\nevent: " + b"x" * 40 + b"\n",
        b":" + b"x" * 100,
    ],
)
def test_an_event_that_is_too_large(stream: bytes, chop: Chop) -> None:
    parser = EventStreamParser(max_event_size=80)
    for piece in chop(b"data: a\n\n" + stream + b"\n\ndata: b\n\n"):
        parser.receive_data(piece)
    assert parser.next_event() == E("a")
    for _ in range(2):
        with pytest.raises(EventTooLargeError, match="max_event_size=80 bytes"):
            parser.next_event()


@pytest.mark.parametrize("chop", CHOPS)
def test_the_limit_is_one_of_each_event(chop: Chop) -> None:
    lines = b"data: " + b"x" * 74 + b"\n\n" + b":" + b"x" * 79 + b"\n" + b"id: 1\n\n"
    parser = EventStreamParser(max_event_size=80)
    assert len(parse(chop(lines * 10), parser)) == 10


texts = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
events = st.builds(
    ServerSentEvent,
    data=st.lists(texts).map("\n".join),
    event=texts.filter(bool),
    id=texts,
    retry=st.none() | st.integers(0, 10**9).map(lambda number: number / 1000),
)


@given(st.lists(events), st.sampled_from(["\r", "\n", "\r\n"]), st.lists(st.integers(0, 1000)))
def test_what_is_written_is_read(sent: list[ServerSentEvent], end: str, cuts: list[int]) -> None:
    stream = ""
    for event in sent:
        lines = [f"event: {event.event}", f"id: {event.id}"]
        if event.retry is not None:
            lines.append(f"retry: {round(event.retry * 1000)}")
        lines += [f"data: {line}" for line in event.data.split("\n")]
        stream += "".join(line + end for line in [*lines, ""])
    data = stream.encode()
    assert parse(cut_at(data, [cut % (len(data) + 1) for cut in cuts])) == sent


@pytest.mark.parametrize("piece", [b"x", b"data: x\n", b":x\r", b"\r\n", b"data: x\n\n"])
def test_the_time_is_linear(piece: bytes) -> None:
    def seconds(count: int) -> float:
        best = 9.0
        for _ in range(3):
            parser = EventStreamParser(max_event_size=10**9)
            began = time.process_time()
            for _ in range(count):
                parser.receive_data(piece)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(64_000) < 40 * seconds(8_000)
