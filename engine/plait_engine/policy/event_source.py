"""A source of server-sent events that is asked again when it ends (WHATWG HTML, section 9.2.3).

Strategy
--------
One machine for all the connections of a source.  In goes what came back; out come the events,
and how long to wait before the source is asked again:

==================  ======================================================================
``request_fields``  the fields of the next request
``on_response``     its head came: whether to read it
``receive_data``    bytes of it came; ``next_event``
``on_disconnect``   it ended: when to ask again
``on_failure``      there was no response: when to ask again, or not at all
==================  ======================================================================

Rules
-----
* Each request asks for ``text/event-stream``, past all caches, and says in Last-Event-ID which
  event was the last (section 9.2.4).
* ``200`` with that media type is read.  ``204`` ends the source: the server wants no more requests.
  Any other status and any other type is an error, and is not asked again.
* When a response ends, whether complete or not, the source is asked again after the time that the
  server gave with ``retry``, or ``reconnection_time``.
* While there is no answer, that time doubles from one attempt to the next, from ``SHORTEST_PAUSE``
  at least up to ``LONGEST_PAUSE`` (section 9.2.3 allows it): a server that said ``retry: 0`` and
  then went away is not asked without a pause.  ``max_failures`` in a row are the end.
* A source that has never answered is not asked again: most likely the URL is wrong.
* An id that no field can carry, for it has a control character, is not sent.
"""

from __future__ import annotations

import enum
from typing import Final

from plait_engine.content.event_stream import (
    MAX_EVENT_SIZE,
    MEDIA_TYPE,
    EventStreamParser,
    ServerSentEvent,
)
from plait_engine.headers import find_bad_value_char

RECONNECTION_TIME: Final = 3.0
"""Seconds, unless the server says otherwise (Chromium: 3)."""
SHORTEST_PAUSE: Final = 0.1
"""Seconds behind an attempt that got no answer, however soon the server wants to be asked."""
LONGEST_PAUSE: Final = 60.0
"""Seconds between attempts, unless the server wants more."""


class Verdict(enum.Enum):
    """What a response is."""

    EVENTS = "a stream of events"
    NO_MORE = "the server wants no more requests"
    WRONG_STATUS = "the status is not 200"
    WRONG_TYPE = "the media type is not text/event-stream"


class EventSource:
    """The machine; see the module.

    Args:
        last_event_id: the id of the last event that is known from before.
        reconnection_time: seconds between the end of a response and the next request.
        max_failures: how many requests in a row may get no answer; ``None``: any number.
        max_event_size: bytes of one event.
    """

    def __init__(
        self,
        *,
        last_event_id: str = "",
        reconnection_time: float = RECONNECTION_TIME,
        max_failures: int | None = None,
        max_event_size: int = MAX_EVENT_SIZE,
    ) -> None:
        self.reconnection_time = reconnection_time
        self.max_failures = max_failures
        self.max_event_size = max_event_size
        self._parser = EventStreamParser(last_event_id, max_event_size)
        self._has_answered = False
        self._failures = 0

    @property
    def last_event_id(self) -> str:
        """The id of the last event that is complete."""
        return self._parser.last_event_id

    def request_fields(self) -> list[tuple[str, str]]:
        """Return the fields of the next request."""
        fields = [("Accept", MEDIA_TYPE), ("Cache-Control", "no-store")]
        last = self.last_event_id
        if last and find_bad_value_char(last) is None:
            fields.append(("Last-Event-ID", last))
        return fields

    def on_response(self, status: int, media_type: str) -> Verdict:
        """A final response came, behind redirects; ``media_type`` is without its parameters."""
        if status == 204:
            return Verdict.NO_MORE
        if status != 200:
            return Verdict.WRONG_STATUS
        if media_type.lower() != MEDIA_TYPE:
            return Verdict.WRONG_TYPE
        self._has_answered = True
        self._failures = 0
        self._parser = EventStreamParser(self.last_event_id, self.max_event_size)
        return Verdict.EVENTS

    def receive_data(self, data: bytes) -> None:
        """Bytes of the response came."""
        self._parser.receive_data(data)
        if self._parser.reconnection_time is not None:
            self.reconnection_time = self._parser.reconnection_time

    def next_event(self) -> ServerSentEvent | None:
        """Return the next event, or ``None``: it has not come yet.

        Raises EventTooLargeError, which is the end.
        """
        return self._parser.next_event()

    def on_disconnect(self) -> float:
        """The response ended; return after how many seconds to ask again."""
        return self.reconnection_time

    def on_failure(self) -> float | None:
        """A request got no answer; return after how many seconds to ask again, if at all."""
        self._failures += 1
        if not self._has_answered:
            return None
        if self.max_failures is not None and self._failures >= self.max_failures:
            return None
        longest = max(LONGEST_PAUSE, self.reconnection_time)
        first = max(self.reconnection_time * 2.0, SHORTEST_PAUSE)
        return min(first * 2.0 ** min(self._failures - 1, 32), longest)
