"""The order of a message on its way out, and the length of its content (RFC 9110 section 6).

Strategy
--------
A command is all or nothing.  So it works on a *draft* of this little state; if an event is
not allowed, LocalProtocolError goes up and the draft is thrown away.  ``http1`` and ``http2``
each extend ``OutgoingMessage`` by what they frame and encode.

Rules
-----
* Order: informational heads, one final head, content, the end with its trailers.
* Content is exactly as long as its Content-Length says (section 8.6).
* A response to HEAD and one whose status has no content (see ``content``) drop what the
  application sends as content.
* A 2xx to CONNECT opens a tunnel (section 9.3.6): it is an ``Accept`` and nothing else.
"""

from __future__ import annotations

from typing import Final

from plait_engine.errors import LocalProtocolError
from plait_engine.events import Data, EndOfMessage, Sendable

# Phases of a message: what comes next.  Numbers, since on CPython 3.11 a member of an Enum
# costs several times a global, and these are looked at for every message.
HEAD: Final = 0
"""The head of the final response, or interim ones."""
BODY: Final = 1
"""Content, or the end with its trailers."""
WAIT: Final = 2
"""A tunnel was asked for; nothing until the server has answered."""
TUNNEL: Final = 3
"""Bytes of a tunnel."""
DONE: Final = 4
"""Nothing; the message is complete, or no longer wanted."""
IDLE: Final = 5
"""Nothing; no exchange has begun (HTTP/1.1)."""

_EXPLAINED: Final = {
    HEAD: "the head of the response is due",
    BODY: "the head is out",
    WAIT: "the tunnel is not accepted yet",
    TUNNEL: "the stream is a tunnel",
    DONE: "the message has ended",
    IDLE: "no exchange has begun",
}

NO_LENGTH: Final = -1
"""The message has no Content-Length."""


class OutgoingMessage:
    """What was sent of a message.

    ``to_send``: bytes that Content-Length still promises, or ``NO_LENGTH``.  ``bodiless``: what
    the application sends as content is dropped.
    """

    __slots__ = ("bodiless", "phase", "to_send")

    def __init__(self, phase: int, to_send: int = NO_LENGTH, *, bodiless: bool = False) -> None:
        self.phase = phase
        self.to_send = to_send
        self.bodiless = bodiless

    def check_turn(self, event: Sendable) -> None:
        """Raise LocalProtocolError if a head is not what comes next."""
        if self.phase != HEAD:
            raise self.out_of_turn(event)

    def take_data(self, event: Data) -> bool:
        """Count content; return whether there is any to send.  Raises LocalProtocolError."""
        if self.phase != BODY and self.phase != TUNNEL:
            raise self.out_of_turn(event)
        size = len(event.data)
        if self.bodiless or not size:
            return False
        if self.to_send != NO_LENGTH:
            self.count(size)
        return True

    def count(self, size: int) -> None:
        """Count ``size`` bytes against Content-Length.  Raises LocalProtocolError."""
        if size > self.to_send:
            raise LocalProtocolError(
                f"the content is longer than its Content-Length: {size} bytes where"
                f" {self.to_send} are left"
            )
        self.to_send -= size

    def check_end(self, event: EndOfMessage) -> None:
        """Raise LocalProtocolError if the message cannot end here."""
        if self.phase != BODY and self.phase != TUNNEL:
            raise self.out_of_turn(event)
        if self.to_send > 0 and not self.bodiless:
            raise LocalProtocolError(
                f"the content is shorter than its Content-Length: {self.to_send} bytes are missing"
            )

    def out_of_turn(self, event: Sendable) -> LocalProtocolError:
        """Say that ``event`` is not what comes next."""
        return LocalProtocolError(
            f"{type(event).__name__} cannot be sent now: {_EXPLAINED[self.phase]}"
        )


def check_informational(status: int) -> None:
    """Raise LocalProtocolError if ``status`` is not that of an informational response."""
    if not 100 <= status < 200 or status == 101:
        raise LocalProtocolError(f"not the status of an informational response: {status}")


def check_final(status: int, *, opens_tunnel: bool) -> None:
    """Raise LocalProtocolError if ``status`` is not that of a final response.

    ``opens_tunnel``: a 2xx would (RFC 9110 section 9.3.6).
    """
    if not 200 <= status <= 999:
        raise LocalProtocolError(f"not the status of a final response: {status}")
    if opens_tunnel and status < 300:
        raise LocalProtocolError("a 2xx to CONNECT opens a tunnel: send Accept")


def complete_length(events: tuple[Sendable, ...]) -> int | None:
    """Return the bytes of the content if ``events`` hold all of it, else ``None``.

    A message with trailers is never of known length: it must be chunked on HTTP/1.1.
    """
    length = 0
    for event in events:
        if type(event) is Data:
            length += len(event.data)
        elif type(event) is EndOfMessage:
            return None if event.trailers else length
    return None
