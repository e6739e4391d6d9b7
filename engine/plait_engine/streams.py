"""Who hears the events of which stream.

Whoever has the streams of a connection keeps a table of them and gives it to the ``Driver``, which
gives the events of a stream to ``dispatch``, which finds the ``StreamListener`` that has it.

Rules
-----
* What comes of a stream that nobody has any more is dropped, and ``Data`` is acknowledged:
  its credit is the connection's, too.
* After ``StreamReset`` nothing more comes, so the table forgets the stream first.  Then the
  listener hears of it, and is woken like one that may send again.
* After ``EndOfMessage`` the own message may still go on: the listener leaves the table by
  itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from .events import (
    Accept,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    PriorityUpdated,
    Response,
    StreamReset,
    Writable,
)

if TYPE_CHECKING:
    from .driver import Driver

OF_STREAMS: Final[frozenset[type[Event]]] = frozenset(
    {
        Accept,
        Data,
        EndOfMessage,
        InformationalResponse,
        PriorityUpdated,
        Response,
        StreamReset,
        Writable,
    }
)
"""The events for ``dispatch``; the others are the connection's, or begin a stream."""


class StreamListener:
    """Hears the events of one stream.  A hook that is not overridden does nothing."""

    __slots__ = ()

    def on_informational(self, event: InformationalResponse) -> None:
        """A 1xx response came (client)."""

    def on_response(self, event: Response) -> None:
        """The head of the final response came (client)."""

    def on_accept(self, event: Accept) -> None:
        """The server accepted the tunnel (client)."""

    def on_data(self, event: Data) -> None:
        """Bytes came; acknowledge ``event.credit`` when they are taken."""
        raise NotImplementedError  # Doing nothing would keep the credit for ever.

    def on_end(self, event: EndOfMessage) -> None:
        """The peer's message, or its direction of the tunnel, is complete."""

    def on_reset(self, event: StreamReset) -> None:
        """The stream was cut short.  The table has forgotten it; ``wake`` follows."""

    def on_priority(self, event: PriorityUpdated) -> None:
        """The client changed the priority (server, HTTP/2)."""

    def wake(self) -> None:
        """The stream takes bytes again, or never will."""


class StreamTable(Protocol):
    """Who has which stream: a dictionary by the ids of streams."""

    def get(self, stream_id: int, /) -> StreamListener | None:
        """Return who has the stream."""

    def pop(self, stream_id: int, default: None, /) -> StreamListener | None:
        """Return who has the stream, and forget it."""


def dispatch(event: Event, streams: StreamTable, driver: Driver) -> None:
    """Give an event of a stream to the one of ``streams`` that has it.

    ``driver`` is the connection's.  An event that is none of ``OF_STREAMS`` is dropped.
    """
    # By type and not by isinstance: it is on the path of every request.
    if type(event) is Data:
        listener = streams.get(event.stream_id)
        if listener is not None:
            listener.on_data(event)
        else:
            driver.acknowledge(event.stream_id, event.credit)
    elif type(event) is EndOfMessage:
        listener = streams.get(event.stream_id)
        if listener is not None:
            listener.on_end(event)
    elif type(event) is Response:
        listener = streams.get(event.stream_id)
        if listener is not None:
            listener.on_response(event)
    elif type(event) is StreamReset:
        listener = streams.pop(event.stream_id, None)
        if listener is not None:
            listener.on_reset(event)
            listener.wake()
    elif isinstance(event, Writable | InformationalResponse | Accept | PriorityUpdated):
        listener = streams.get(event.stream_id)
        if listener is not None:
            _tell(listener, event)


def _tell(
    listener: StreamListener,
    event: Writable | InformationalResponse | Accept | PriorityUpdated,
) -> None:
    if isinstance(event, Writable):
        listener.wake()
    elif isinstance(event, InformationalResponse):
        listener.on_informational(event)
    elif isinstance(event, Accept):
        listener.on_accept(event)
    else:
        listener.on_priority(event)
