"""Which listener hears which event, and what becomes of events that nobody hears."""

from __future__ import annotations

import pytest

from plait_engine import (
    Accept,
    Data,
    Draining,
    EndOfMessage,
    Event,
    InformationalResponse,
    PriorityUpdated,
    Response,
    Role,
    StreamReset,
    Writable,
    create_connection,
)
from plait_engine.driver import Driver
from plait_engine.streams import StreamListener, dispatch
from plait_engine.testing import Clock

EVENTS: dict[str, Event] = {
    "on_informational": InformationalResponse(1, 103),
    "on_response": Response(1, 200),
    "on_accept": Accept(1),
    "on_data": Data(1, b"abc", 5),
    "on_end": EndOfMessage(1),
    "on_reset": StreamReset(1),
    "on_priority": PriorityUpdated(1, 0, True),
    "wake": Writable(1),
}


class Noting(StreamListener):
    """Notes what it hears, and whether the table still has it."""

    def __init__(self, streams: dict[int, Noting]) -> None:
        self.streams = streams
        self.heard: list[tuple[str, Event | None, bool]] = []

    def note(self, hook: str, event: Event | None) -> None:
        self.heard.append((hook, event, self in self.streams.values()))

    def on_informational(self, event: InformationalResponse) -> None:
        self.note("on_informational", event)

    def on_response(self, event: Response) -> None:
        self.note("on_response", event)

    def on_accept(self, event: Accept) -> None:
        self.note("on_accept", event)

    def on_data(self, event: Data) -> None:
        self.note("on_data", event)

    def on_end(self, event: EndOfMessage) -> None:
        self.note("on_end", event)

    def on_reset(self, event: StreamReset) -> None:
        self.note("on_reset", event)

    def on_priority(self, event: PriorityUpdated) -> None:
        self.note("on_priority", event)

    def wake(self) -> None:
        self.note("wake", None)


class Nothing:
    """A transport and a listener of a connection on which nothing happens."""

    def __getattr__(self, name: str) -> object:
        return lambda *_: False


class Acknowledging(Driver):
    """A driver that notes what is acknowledged."""

    def __init__(self) -> None:
        engine = create_connection(Role.CLIENT)
        nothing = Nothing()
        super().__init__(engine, nothing, nothing, Clock())  # type: ignore[arg-type]  # has all
        self.acknowledged: list[tuple[int, int]] = []

    def acknowledge(self, stream_id: int, credit: int) -> None:
        self.acknowledged.append((stream_id, credit))


@pytest.mark.parametrize("hook", EVENTS)
def test_an_event_is_heard_by_who_has_the_stream(hook: str) -> None:
    event = EVENTS[hook]
    driver = Acknowledging()
    streams: dict[int, Noting] = {}
    streams[1], streams[3] = mine, other = Noting(streams), Noting(streams)
    dispatch(event, streams, driver)
    if hook == "on_reset":
        # The table has forgotten it before it hears of it, and it is woken behind that.
        assert mine.heard == [(hook, event, False), ("wake", None, False)]
        assert streams == {3: other}
    else:
        assert mine.heard == [(hook, None if hook == "wake" else event, True)]
        assert streams == {1: mine, 3: other}
    assert other.heard == []
    assert driver.acknowledged == []


@pytest.mark.parametrize("hook", EVENTS)
def test_nobody_has_the_stream(hook: str) -> None:
    driver = Acknowledging()
    streams: dict[int, Noting] = {}
    streams[3] = other = Noting(streams)
    dispatch(EVENTS[hook], streams, driver)
    assert other.heard == []
    assert driver.acknowledged == ([(1, 5)] if hook == "on_data" else [])


def test_an_event_of_the_connection_is_for_no_stream() -> None:
    streams: dict[int, Noting] = {}
    streams[1] = mine = Noting(streams)
    dispatch(Draining(1), streams, Acknowledging())
    assert mine.heard == []


@pytest.mark.parametrize("hook", EVENTS)
def test_data_must_not_be_ignored(hook: str) -> None:
    """Every hook may be left out but the one that owes an answer."""
    streams = {1: StreamListener()}
    if hook == "on_data":
        with pytest.raises(NotImplementedError):
            dispatch(EVENTS[hook], streams, Acknowledging())
    else:
        dispatch(EVENTS[hook], streams, Acknowledging())
