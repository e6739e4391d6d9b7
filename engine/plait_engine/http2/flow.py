"""Flow control of the receiving side: windows and how they grow (RFC 9113 sections 5.2, 6.9).

Strategy
--------
Only DATA counts, with its padding.  A window is credit that the receiver hands out.  We hand
it out again when the *application* took the bytes (``acknowledge``), so a slow consumer
stops its stream and nothing else, and the memory behind a connection is bounded by its
window.  ``ReceiveWindow`` keeps four numbers, whose sum is always the size::

      size = available + unacknowledged + released
             |           |                '- taken by the application, not announced yet
             |           '- received, not taken yet
             '- what the peer may still send

The cases, in the order in which bytes live:

1. DATA comes: ``available`` shrinks.  Below zero the peer has overrun the window:
   FLOW_CONTROL_ERROR (section 6.9.1).
2. The application takes bytes: they are ``released``.
3. Half of the size is released: one WINDOW_UPDATE announces all of it.  Fewer frames than
   one for each DATA, and the peer still has half a window while it travels.
4. DATA that no application will take (padding of empty frames, what is left of a stream
   that was reset, frames that come after that) is released at once, for the connection.
5. Our SETTINGS_INITIAL_WINDOW_SIZE is below 65,535 and gets acknowledged: the windows that
   began with 65,535 shrink by the difference and may be negative (section 6.9.2).
6. The window grows: the gain is announced like released bytes.

Growing
-------
A window below the bandwidth-delay product of the link makes the sender wait for every
WINDOW_UPDATE.  Whether that is so can be measured without a clock: ``WindowTuner`` sends a
PING with a WINDOW_UPDATE and counts the bytes that the application takes until the
acknowledgement comes, one round trip later.  If that is a third of the window or more (less
than half of it may be taken and not announced yet), the window is what limits the transfer,
and it is doubled, up to ``Limits.max_stream_window`` and ``max_connection_window``.  If it is
less, the link or the application is the limit, and the
pause until the next probe doubles, so that a steady transfer costs hardly any PING.  A peer
that delays the acknowledgement gains no more than these maxima.

The sending side is in ``scheduler``.
"""

from __future__ import annotations

from typing import Final

PROBE: Final = b"plaitbdp"
"""The payload of the PING that measures a window."""

_MAX_PAUSE: Final = 1024


class ReceiveWindow:
    """The window of a stream or of the connection, as we hand it out.

    ``total`` counts what the application ever took, for the tuner.  ``frames`` counts DATA
    frames since the application had taken everything.
    """

    __slots__ = (
        "available",
        "frames",
        "limit",
        "released",
        "size",
        "total",
        "unacknowledged",
    )

    def __init__(self, size: int, limit: int, available: int | None = None) -> None:
        """``size``: bytes; ``limit``: how far it may grow; ``available``: if not ``size``."""
        self.size = size
        self.limit = limit
        self.available = size if available is None else available
        self.unacknowledged = 0
        self.released = 0
        self.total = 0
        self.frames = 0

    def receive(self, data: int) -> bool:
        """Count DATA; return false when it overruns the window (case 1)."""
        self.available -= data
        self.unacknowledged += data
        self.frames += 1
        return self.available >= 0

    def release(self, data: int) -> int:
        """Count bytes as taken; return what to announce now, or 0 (cases 2 to 4)."""
        self.unacknowledged -= data
        if not self.unacknowledged:
            self.frames = 0
        self.total += data
        self.released += data
        if self.released * 2 < self.size:
            return 0
        return self._announce()

    def grow(self) -> int:
        """Double the size within the limit; return what to announce, 0 at the limit (case 6)."""
        gain = min(self.size * 2, self.limit) - self.size
        if gain <= 0:
            return 0
        self.size += gain
        self.released += gain
        return self._announce()

    def _announce(self) -> int:
        increment = self.released
        self.released = 0
        self.available += increment
        return increment


class WindowTuner:
    """Decides when to measure, and which windows to grow (see the module's "Growing")."""

    __slots__ = ("_connection", "_connection_total", "_pause", "_skip", "_stream", "_stream_total")

    def __init__(self, connection: ReceiveWindow) -> None:
        self._connection = connection
        self._connection_total = 0
        self._stream: ReceiveWindow | None = None
        self._stream_total = 0
        self._skip = 0
        self._pause = 1

    def wants_probe(self, stream: ReceiveWindow) -> bool:
        """Tell whether to send a PING now that ``stream`` announces bytes; it is begun then."""
        if self._stream is not None or (
            stream.size >= stream.limit and self._connection.size >= self._connection.limit
        ):
            return False
        if self._skip:
            self._skip -= 1
            return False
        self._stream = stream
        self._stream_total = stream.total
        self._connection_total = self._connection.total
        return True

    def finish_probe(self) -> tuple[ReceiveWindow, bool, bool] | None:
        """The PING was acknowledged: return the stream's window and which of both to grow."""
        stream = self._stream
        if stream is None:
            return None
        self._stream = None
        grow_stream = (stream.total - self._stream_total) * 3 >= stream.size
        connection = self._connection
        grow_connection = (connection.total - self._connection_total) * 3 >= connection.size
        if grow_stream or grow_connection:
            self._skip, self._pause = 0, 1
        else:
            self._skip, self._pause = self._pause, min(self._pause * 2, _MAX_PAUSE)
        return stream, grow_stream, grow_connection
