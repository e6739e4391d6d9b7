"""Server-sent events: the format ``text/event-stream`` (WHATWG HTML, section 9.2).

Strategy
--------
``EventStreamParser`` takes bytes as they come, and gives events.  It keeps what is not complete:
the beginning of a line, and the lines of an event whose end has not come.  A byte is looked at
once, and joined with others once.

Rules (sections 9.2.5 and 9.2.6)
--------------------------------
* The stream is UTF-8, whatever its Content-Type says, perhaps with a byte order mark in front.
  What is not UTF-8 becomes U+FFFD.
* A line ends with CR LF, LF or CR.  An empty line ends an event.  One that begins with a colon is
  a comment; servers send such to keep the connection alive.
* A line is ``field:value`` or ``field: value``; without a colon it is a field with no value.  The
  fields are ``event``, ``data``, ``id`` and ``retry``; others are ignored, and so is an ``id`` with
  a NUL, and a ``retry`` that is no number.
* Lines of ``data`` are joined by LF.  An event without ``data`` is none, but its ``id`` counts.
* An event whose end does not come is dropped.
* ``id`` holds for all events from there on, and over a new connection: a server that sends an id
  with some events only is asked to go on behind the last of them.

The standard has no limit.  Here the lines of an event are at most ``max_event_size`` bytes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

MEDIA_TYPE: Final = "text/event-stream"

MAX_EVENT_SIZE: Final = 1048576
"""Bytes of the lines of one event."""

MAX_RECONNECTION_TIME: Final = 10**10
"""Milliseconds; what is written with more digits is this."""

_BOM: Final = b"\xef\xbb\xbf"


class EventTooLargeError(ValueError):
    """An event, or a line of one, is longer than ``max_event_size``."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """An event.

    ``event`` is its type, ``id`` the last id that the server has given, ``""`` for none.
    ``retry``: seconds after which a lost connection is to be made anew, if the event said so.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: float | None = None


class EventStreamParser:
    """Reads one stream; see the module.

    Args:
        last_event_id: the id that the last event before this stream had.
        max_event_size: bytes of the lines of one event.
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_data",
        "_events",
        "_id",
        "_line",
        "_retry",
        "_size",
        "_type",
        "last_event_id",
        "max_event_size",
        "reconnection_time",
    )

    def __init__(self, last_event_id: str = "", max_event_size: int = MAX_EVENT_SIZE) -> None:
        self.max_event_size = max_event_size
        self.last_event_id = last_event_id
        """The id of the last event that is complete, its data or not."""
        self.reconnection_time: float | None = None
        """Seconds to wait before the stream is asked for again, if the server said so."""
        self._events: deque[ServerSentEvent] = deque()
        self._line: list[bytes] = []
        """Pieces of the line whose end has not come."""
        self._size = 0
        """Bytes of the event whose end has not come."""
        self._after_cr = False
        self._at_start = True
        self._id = last_event_id
        self._type = ""
        self._data: list[str] = []
        self._retry: float | None = None

    def receive_data(self, data: bytes) -> None:
        """Bytes came."""
        if self._after_cr and data:
            self._after_cr = False
            if data.startswith(b"\n"):
                data = data[1:]
        for line in data.splitlines(keepends=True):  # Of bytes: at CR LF, LF and CR only.
            content = line.rstrip(b"\r\n")
            self._size += len(content)
            if self._size > self.max_event_size:
                self._line.clear()
                return  # For good: the size only grows from here on.
            if len(content) == len(line):
                self._line.append(line)
                return  # Its end has not come.
            if self._line:
                content = b"".join([*self._line, content])
                self._line.clear()
            self._read_line(content)
        self._after_cr = data.endswith(b"\r")

    def next_event(self) -> ServerSentEvent | None:
        """Return the next event, or ``None``: it has not come yet.

        Raises EventTooLargeError behind the last event before that; then the stream is over.
        """
        if self._events:
            return self._events.popleft()
        if self._size > self.max_event_size:
            raise EventTooLargeError(
                f"an event is larger than max_event_size={self.max_event_size:,} bytes"
            )
        return None

    def _read_line(self, line: bytes) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            self._end_event()
            return
        name, _, rest = line.partition(b":")
        if not name:
            self._size -= len(line)  # A comment is no part of an event.
            return
        value = rest.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._type = value
        elif name == b"id":
            if "\0" not in value:
                self._id = value
        elif name == b"retry" and value.isascii() and value.isdigit():
            digits = value.lstrip("0") or "0"
            milliseconds = int(digits) if len(digits) <= 10 else MAX_RECONNECTION_TIME
            self._retry = self.reconnection_time = milliseconds / 1000

    def _end_event(self) -> None:
        self.last_event_id = self._id
        if self._data:
            data = "\n".join(self._data)
            event = ServerSentEvent(data, self._type or "message", self._id, self._retry)
            self._events.append(event)
            self._data.clear()
        self._size = 0
        self._type = ""
        self._retry = None
