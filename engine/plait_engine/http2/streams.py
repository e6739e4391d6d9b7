"""Streams of HTTP/2: their states and the memory of those that are gone (RFC 9113, 5.1).

Strategy
--------
A stream has two halves that end independently, so its state is two bits::

                      +------+
                      | IDLE |            not in the table, id never used
                      +------+
                          | HEADERS
                          v
                      +------+
        END_STREAM    | OPEN |   END_STREAM
        sent   .------+------+------.   received
               v                    v
    HALF_CLOSED_LOCAL        HALF_CLOSED_REMOTE
               |                    |
               '------>+--------+<--'
                       | CLOSED |         not in the table any more
      RST_STREAM ----->+--------+

Only streams that are open or half-closed are kept, as ``Stream``.  For all others the
number alone says what they are: above the highest id used they are idle, below they are
closed.  Two kinds of closed streams need a short, bounded memory:

* those that we reset: the peer may not know yet, its frames are ignored (section 5.1);
* those that the peer skipped: opening stream 7 closes an idle 5 (section 5.1.1), which must
  not be opened any more.

Within a half, a *phase* says which part of the message comes next (section 8.1).

Limits: ``REMEMBERED`` resets and ``REMEMBERED`` ranges of skipped ids.  What was forgotten
is treated as reset, the lenient way.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from typing import Final

from plait_engine.errors import ErrorCode
from plait_engine.semantics.message import DONE, NO_LENGTH

from . import frames
from .flow import ReceiveWindow
from .scheduler import Outbound

# States: the bit of a half is set when it has ended.
OPEN: Final = 0
HALF_CLOSED_LOCAL: Final = 1
HALF_CLOSED_REMOTE: Final = 2
CLOSED: Final = 3

REMEMBERED: Final = 1000


class Stream:
    """One exchange.

    ``state``: see the diagram.  ``receiving`` and ``sending``: the phases of the halves.
    ``method``: of the request.  ``inbound`` and ``outbound``: windows and queues, made when
    a body needs them.  ``to_receive`` and ``to_send``: bytes of content that
    Content-Length announces and that have not come or gone yet, or ``NO_LENGTH``.
    ``bodiless``: the response must have no content (RFC 9110 section 6.4.1).
    ``touched``: when the last bytes of the body came.  ``held``: tunnel bytes that came
    before the server answered.  ``expects``: until when a client waits for 100 Continue.
    ``drops_content``: a final response came first, so the content is not sent (RFC 9110
    section 10.1.1).
    """

    __slots__ = (
        "bodiless",
        "drops_content",
        "expects",
        "held",
        "inbound",
        "informational",
        "method",
        "outbound",
        "priority",
        "receiving",
        "sending",
        "state",
        "stream_id",
        "to_receive",
        "to_send",
        "touched",
    )

    def __init__(
        self, stream_id: int, state: int, receiving: int, sending: int, method: str, now: float
    ) -> None:
        self.stream_id = stream_id
        self.state = state
        self.receiving = receiving
        self.sending = sending
        self.method = method
        self.touched = now
        self.to_receive = self.to_send = NO_LENGTH
        self.inbound: ReceiveWindow | None = None
        self.outbound: Outbound | None = None
        self.priority: tuple[int, bool] | None = None
        self.held: list[tuple[bytes, int]] = []
        self.expects: float | None = None
        self.bodiless = False
        self.drops_content = False
        self.informational = 0

    @property
    def is_over(self) -> bool:
        """Our message has gone and the rest of the peer's is not wanted: only it is not done."""
        return self.receiving == DONE and self.state & HALF_CLOSED_LOCAL != 0

    @property
    def is_unwanted(self) -> bool:
        """The rest of the peer's message is let in and dropped."""
        return self.receiving == DONE and not self.state & HALF_CLOSED_REMOTE


class Absent(enum.Enum):
    """What a stream id is that has no ``Stream``."""

    IDLE = "idle"
    SKIPPED = "skipped"
    RESET = "reset by this side"
    CLOSED = "closed"


ABSENT_ERRORS: Final[dict[tuple[Absent, int], ErrorCode]] = {
    # Section 5.1, idle: anything but HEADERS and PRIORITY is a connection error.
    (Absent.IDLE, frames.HEADERS): ErrorCode.PROTOCOL_ERROR,  # not one the peer may open
    (Absent.IDLE, frames.DATA): ErrorCode.PROTOCOL_ERROR,
    (Absent.IDLE, frames.RST_STREAM): ErrorCode.PROTOCOL_ERROR,
    (Absent.IDLE, frames.WINDOW_UPDATE): ErrorCode.PROTOCOL_ERROR,
    # Section 5.1.1: ids only grow.
    (Absent.SKIPPED, frames.HEADERS): ErrorCode.PROTOCOL_ERROR,
    (Absent.SKIPPED, frames.DATA): ErrorCode.STREAM_CLOSED,
    # Section 5.1, closed: the peer itself has ended the stream, so there is no race that
    # could excuse more of it.  WINDOW_UPDATE and RST_STREAM may cross our END_STREAM.
    (Absent.CLOSED, frames.HEADERS): ErrorCode.STREAM_CLOSED,
    (Absent.CLOSED, frames.DATA): ErrorCode.STREAM_CLOSED,
}
"""Connection errors for a frame on a stream that is not there; other frames are ignored."""


class ClosedStreams:
    """Remembers what the ids of closed streams do not tell by themselves."""

    __slots__ = ("_forgotten", "_reset", "_skipped")

    def __init__(self) -> None:
        self._reset: dict[int, None] = {}  # in order of the resets
        self._skipped: list[tuple[int, int]] = []  # first and last id of ranges, ascending
        self._forgotten = 0  # up to this id, something was dropped

    def add_reset(self, stream_id: int) -> None:
        """Remember that this side reset ``stream_id``."""
        reset = self._reset
        reset[stream_id] = None
        if len(reset) > REMEMBERED:
            oldest = next(iter(reset))
            del reset[oldest]
            self._forgotten = max(self._forgotten, oldest)

    def add_skipped(self, first: int, last: int) -> None:
        """Remember that the ids from ``first`` to ``last`` were never used."""
        if len(self._skipped) >= REMEMBERED:
            self._forgotten = max(self._forgotten, self._skipped.pop(0)[1])
        self._skipped.append((first, last))

    def classify(self, stream_id: int) -> Absent:
        """Say what the id of a stream is that is neither open nor idle."""
        if stream_id in self._reset:
            return Absent.RESET
        index = bisect_left(self._skipped, (stream_id + 1,))
        if index and stream_id <= self._skipped[index - 1][1]:
            return Absent.SKIPPED
        return Absent.RESET if stream_id <= self._forgotten else Absent.CLOSED


class Streams(dict[int, Stream]):
    """The streams that are open or half-closed, by id, and what is known of all others.

    ``highest``: the highest id that the client has used, -1 at first.  ``max_open``: how many
    the client may have open (server).  ``last_accepted``: the last id that the server's GOAWAY
    allows.  ``first_unsent``: from this id on, no request has left (client).
    """

    __slots__ = ("closed", "first_unsent", "highest", "last_accepted", "max_open")

    def __init__(self, max_open: int) -> None:
        super().__init__()
        self.closed = ClosedStreams()
        self.highest = -1
        self.max_open = max_open
        self.last_accepted = self.first_unsent = frames.MAX_STREAM_ID
