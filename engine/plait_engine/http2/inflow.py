"""What was received and is not taken yet, of the connection and of each stream.

``flow`` tells how a window lives.  This part knows all of them, and answers one question:
whose window gets how much back?  Whatever becomes of received bytes, they return to the
connection's window exactly once (RFC 9113 sections 5.2.2 and 6.9):

* the application acknowledges them, also behind the end of the stream;
* nobody will take them, since the stream was reset or its rest is not wanted: then they are
  given back at once, and a later acknowledgement means nothing.
"""

from __future__ import annotations

from plait_engine.config import Limits
from plait_engine.errors import LocalProtocolError

from . import frames
from .flow import PROBE, ReceiveWindow, WindowTuner
from .output import Output
from .settings import INITIAL_WINDOW
from .streams import HALF_CLOSED_REMOTE, Stream


class Inflow:
    """The receive windows of a connection.

    ``window``: the connection's.  ``first_window``: bytes that a stream's begins with.
    ``is_settled``: the peer has acknowledged our SETTINGS.
    """

    __slots__ = (
        "_max_stream_window",
        "_out",
        "_unread",
        "first_window",
        "is_settled",
        "tuner",
        "window",
    )

    def __init__(self, limits: Limits, out: Output) -> None:
        self.window = ReceiveWindow(
            max(limits.connection_window, INITIAL_WINDOW), limits.max_connection_window
        )
        self.first_window = limits.stream_window
        self.is_settled = False
        self.tuner = WindowTuner(self.window)
        self._max_stream_window = limits.max_stream_window
        self._unread: dict[int, int] = {}  # of messages that have ended
        self._out = out

    def window_of(self, stream: Stream) -> ReceiveWindow:
        """Return the receive window of a stream."""
        inbound = stream.inbound
        if inbound is None:
            size = self.first_window
            # Section 6.9.2: before the acknowledgement the peer may not know our size yet.
            available = size if self.is_settled else max(size, INITIAL_WINDOW)
            inbound = ReceiveWindow(size, max(size, self._max_stream_window), available)
            stream.inbound = inbound
        return inbound

    def receive_last(self, stream: Stream, size: int) -> None:
        """Count the only DATA of a message, which needs no window of its own."""
        self._unread[stream.stream_id] = size

    def release(self, size: int) -> None:
        """Give bytes back to the connection's window: they are taken, or nobody will take them."""
        increment = self.window.release(size)
        if increment:
            self._out.announce(0, increment)

    def give_back(self, stream: Stream) -> None:
        """Nobody takes what came on ``stream``: return it to the connection."""
        stream.held = []
        inbound = stream.inbound
        if inbound is None:
            self.give_back_ended(stream.stream_id)
        else:
            self.release(inbound.unacknowledged)
            inbound.unacknowledged = 0  # and its own window stays closed

    def give_back_ended(self, stream_id: int) -> None:
        """The same for a message that has ended."""
        self.release(self._unread.pop(stream_id, 0))

    def close(self, stream: Stream) -> None:
        """``stream`` has ended; what it brought may still be taken."""
        inbound = stream.inbound
        if inbound is not None and inbound.unacknowledged:
            self._unread[stream.stream_id] = inbound.unacknowledged

    def acknowledge(self, stream: Stream, inbound: ReceiveWindow, credit: int) -> None:
        """The application took bytes of an open stream.

        Raises LocalProtocolError for more than was received and not acknowledged yet.
        """
        if credit > inbound.unacknowledged:
            raise LocalProtocolError(f"{credit} bytes acknowledged, which were not received")
        self.release(credit)
        increment = inbound.release(credit)
        if increment and not stream.state & HALF_CLOSED_REMOTE:
            self._out.announce(stream.stream_id, increment)
            if self.tuner.wants_probe(inbound):
                self._out.append(frames.encode_ping(PROBE))

    def acknowledge_ended(self, stream_id: int, credit: int) -> None:
        """The application took bytes of a message that has ended.  Raises as ``acknowledge``."""
        unread = self._unread.get(stream_id)
        if unread is None:
            return  # the stream was reset, and all was given back then
        if credit > unread:
            raise LocalProtocolError(f"{credit} bytes acknowledged, which were not received")
        if credit < unread:
            self._unread[stream_id] = unread - credit
        else:
            del self._unread[stream_id]
        increment = self.window.release(credit)
        if increment:
            self._out.announce(0, increment)
