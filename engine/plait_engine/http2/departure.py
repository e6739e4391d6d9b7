"""How far a connection is on its way to its end (RFC 9113 section 6.8).

A connection drains because this side wants to leave (``close``, idle for too long, no ids
left) or because the peer does (GOAWAY, end of its input).  Then it says GOAWAY, in two phases
on a server, waits for its streams to end, and for the peer to have read everything.  ``core``
has the rules.
"""

from __future__ import annotations

from plait_engine.events import CloseReason


class Departure:
    """What was said and heard of the end.

    ``reason``: why this side leaves, if it does.  ``is_announced``: the last GOAWAY was sent.
    ``is_waiting``: nothing is left but to wait until the peer has read it all.
    ``peer_is_leaving``: GOAWAY or the end of input came, so nothing new comes from the peer.
    ``input_has_ended``: the end of input came.
    """

    __slots__ = ("input_has_ended", "is_announced", "is_waiting", "peer_is_leaving", "reason")

    def __init__(self) -> None:
        self.reason: CloseReason | None = None
        self.is_announced = False
        self.is_waiting = False
        self.peer_is_leaving = False
        self.input_has_ended = False
