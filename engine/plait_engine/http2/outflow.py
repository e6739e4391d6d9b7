"""What waits to be sent: the connection's window, and the queues of the streams.

``scheduler`` tells how a queue and its window live, and whose turn it is.
"""

from __future__ import annotations

from .scheduler import DEFAULT_PRIORITY, Outbound, Scheduler
from .settings import INITIAL_WINDOW, PeerSettings
from .streams import Stream


class Outflow:
    """The send windows and queues of a connection.

    ``window``: what the peer allows on the connection; ``widest_window``: its maximum so far.
    ``priorities``: those that the client sent for streams that are still idle (server).
    """

    __slots__ = ("_peer", "priorities", "scheduler", "widest_window", "window")

    def __init__(self, peer: PeerSettings) -> None:
        self._peer = peer
        self.window = self.widest_window = INITIAL_WINDOW
        self.scheduler = Scheduler()
        self.priorities: dict[int, tuple[int, bool]] = {}

    def queue_of(self, stream: Stream) -> Outbound:
        """Return the send queue of a stream."""
        outbound = stream.outbound
        if outbound is None:
            priority = stream.priority or DEFAULT_PRIORITY
            outbound = Outbound(stream.stream_id, self._peer.initial_window_size, priority)
            stream.outbound = outbound
        return outbound

    def let_go(self, stream: Stream, now: float) -> None:
        """Send content that was held back for 100 Continue (RFC 9110 section 10.1.1)."""
        stream.expects = None
        outbound = self.queue_of(stream)
        outbound.is_held = False
        outbound.progress_at = now
        self.scheduler.update(outbound)

    def drop_content(self, stream: Stream) -> bool:
        """A final response came instead of 100 Continue: the content is not sent (10.1.1).

        Return whether the application waited to send more of it.
        """
        stream.expects = None
        stream.drops_content = True
        outbound = self.queue_of(stream)
        outbound.clear()
        self.scheduler.update(outbound)
        was_full, outbound.is_full = outbound.is_full, False
        return was_full

    def drop(self, outbound: Outbound) -> None:
        """Its stream has ended: nothing more goes."""
        self.scheduler.remove(outbound)
        outbound.clear()

    def clear(self) -> None:
        """All streams have ended."""
        self.scheduler = Scheduler()
