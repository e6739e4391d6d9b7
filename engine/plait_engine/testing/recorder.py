"""What a connection reported, and whether the order of it keeps the contract.

``OrderChecker`` holds the sentence of ``plait_engine.events`` as a state machine, for each
stream::

    Request Data* EndOfMessage
    InformationalResponse* (Response Data* EndOfMessage | Accept Data* EndOfMessage)

``StreamReset`` may cut either short, but not a request whose head ``ends`` it.  When the
application switches protocols, ``Data* EndOfMessage`` follows once more.
``ConnectionClosed`` is last and comes once.
``EventRecorder`` keeps the events of one connection and checks each as it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from plait_engine.connection import Role
from plait_engine.events import (
    Accept,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    PriorKnowledge,
    Request,
    Response,
    Sendable,
    StreamReset,
)

EventT = TypeVar("EventT")

START, BODY, ENDING, END = "start", "body", "ending", "end"

# Role of the receiver -> state of a stream -> event -> next state.  A missing key is a breach.
TRANSITIONS: dict[Role, dict[str, dict[type, str]]] = {
    Role.SERVER: {
        # A request that the engine refused by itself comes as its reset alone.
        START: {Request: BODY, StreamReset: END},
        BODY: {Data: BODY, EndOfMessage: END, StreamReset: END},
        ENDING: {EndOfMessage: END},
        END: {StreamReset: END},
    },
    Role.CLIENT: {
        START: {
            InformationalResponse: START,
            Response: BODY,
            Accept: BODY,
            StreamReset: END,
        },
        BODY: {Data: BODY, EndOfMessage: END, StreamReset: END},
        END: {StreamReset: END},
    },
}
STREAM_EVENTS = (
    Request,
    InformationalResponse,
    Response,
    Accept,
    Data,
    EndOfMessage,
    StreamReset,
)


class OrderError(AssertionError):
    """Events came in an order that the contract does not allow."""


class OrderChecker:
    """Checks the events that a connection of ``role`` reports, one after the other."""

    def __init__(self, role: Role) -> None:
        self._transitions = TRANSITIONS[role]
        self._states: dict[int, str] = {}
        self._reset: set[int] = set()
        self._over = False

    def check(self, event: Event) -> None:
        """Take the next event.  Raises OrderError when it must not come here."""
        if self._over:
            raise OrderError(f"{event} after the last event")
        if isinstance(event, ConnectionClosed | PriorKnowledge):
            self._over = True
        elif isinstance(event, STREAM_EVENTS):
            self._check_stream(event)

    def note_sent(self, events: Iterable[Sendable]) -> None:
        """Note what the application is about to send."""
        for event in events:
            if (
                isinstance(event, Accept)
                and event.protocol is not None
                and self._states.get(event.stream_id) in (ENDING, END)
                and self._transitions is TRANSITIONS[Role.SERVER]
            ):
                self._states[event.stream_id] = BODY

    def _check_stream(
        self,
        event: Request
        | InformationalResponse
        | Response
        | Accept
        | Data
        | EndOfMessage
        | StreamReset,
    ) -> None:
        stream_id = event.stream_id
        if stream_id % 2 == 0:
            raise OrderError(f"{event} on an even stream")
        if stream_id in self._reset:
            raise OrderError(f"{event} after the reset of its stream")
        state = self._states.get(stream_id, START)
        following = self._transitions[state].get(type(event))
        if following is None:
            raise OrderError(f"{event} in state {state!r} of its stream")
        if isinstance(event, Request) and event.ends:
            following = ENDING
        elif state is ENDING and isinstance(event, EndOfMessage) and event.trailers:
            raise OrderError(f"{event} behind a head that says that the message ends")
        self._states[stream_id] = following
        if isinstance(event, StreamReset):
            self._reset.add(stream_id)


class EventRecorder:
    """The events of one connection, in order.

    ``events`` has all of them; ``take`` returns those since the last call.
    """

    def __init__(self, role: Role) -> None:
        self.events: list[Event] = []
        self._checker = OrderChecker(role)
        self._taken = 0

    def note_sent(self, events: Iterable[Sendable]) -> None:
        """Note what the application is about to send: it may change what comes."""
        self._checker.note_sent(events)

    def record(self, event: Event) -> None:
        """Check and keep ``event``.  Raises OrderError when its place is wrong."""
        self.events.append(event)
        self._checker.check(event)

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        new = self.events[self._taken :]
        self._taken = len(self.events)
        return new

    def of_type(self, kind: type[EventT]) -> list[EventT]:
        """Return all events of the class ``kind``."""
        return [event for event in self.events if isinstance(event, kind)]

    def body(self, stream_id: int) -> bytes:
        """Return all bytes of ``Data`` that came on ``stream_id``."""
        return b"".join(data.data for data in self.of_type(Data) if data.stream_id == stream_id)


def coalesce(events: Iterable[Event]) -> list[Event]:
    """Join neighbouring ``Data`` of one stream, so that runs with other cuts compare equal."""
    return list(_coalesce(events))


def _coalesce(events: Iterable[Event]) -> Iterator[Event]:
    held: Data | None = None
    for event in events:
        if isinstance(event, Data):
            if held is not None and held.stream_id == event.stream_id:
                held = Data(held.stream_id, held.data + event.data, held.credit + event.credit)
                continue
            following = replace(event)
        else:
            following = None
        if held is not None:
            yield held
        held = following
        if following is None:
            yield event
    if held is not None:
        yield held
