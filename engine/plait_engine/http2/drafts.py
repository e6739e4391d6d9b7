"""Commands worked out before they are carried out (RFC 9113 section 8.1, RFC 8441).

Strategy
--------
A ``Draft`` begins where the sending half of a stream stands, takes the command's events one
after the other, holds them to the order and the lengths of ``semantics.message``, and collects
what is to be done.  It touches nothing but itself, so an event that is not allowed leaves
everything as it was.

Rules
-----
* RFC 9110 section 8.6: a complete message gets a Content-Length.
* Section 8.5: what a client sends in a tunnel waits for the 2xx; the server's consent is
  ``Accept``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from plait_engine.errors import LocalProtocolError
from plait_engine.events import (
    Accept,
    Data,
    EndOfMessage,
    InformationalResponse,
    Response,
    Sendable,
)
from plait_engine.semantics.content import METHODS_WITH_CONTENT, WITHOUT_CONTENT
from plait_engine.semantics.message import (
    BODY,
    DONE,
    NO_LENGTH,
    TUNNEL,
    WAIT,
    OutgoingMessage,
    check_final,
    check_informational,
)

from .outgoing import Fields, HeadWriter
from .streams import Stream


class Draft(OutgoingMessage):
    """What a command would do to a stream, worked out before anything is done.

    ``heads``: field sections to encode, in order.  ``pieces``: content.  ``ended``:
    EndOfMessage, with ``trailers``.
    """

    __slots__ = (
        "_writer",
        "accepts",
        "ended",
        "heads",
        "is_tunnel",
        "method",
        "pieces",
        "size",
        "trailers",
    )

    def __init__(self, stream: Stream, writer: HeadWriter, bodiless: bool) -> None:
        super().__init__(stream.sending, stream.to_send, bodiless=bodiless)
        self._writer = writer
        self.method = stream.method
        self.ended = stream.sending == DONE
        self.is_tunnel = stream.receiving == WAIT
        self.accepts = False
        self.heads: list[Fields] = []
        self.pieces: list[bytes] = []
        self.size = 0
        self.trailers: Fields = ()

    def add(self, event: Sendable) -> None:
        """Add one event.  Raises LocalProtocolError when it is not its turn."""
        if self.ended:
            raise LocalProtocolError("the message has ended")
        adder = _ADDERS.get(type(event))
        if adder is None:
            raise LocalProtocolError(f"a {type(event).__name__} cannot be sent here")
        adder(self, event)

    def _add_informational(self, event: InformationalResponse) -> None:
        self.check_turn(event)
        check_informational(event.status)
        self.heads.append(self._writer.response(event.status, event.headers)[0])

    def _add_response(self, event: Response) -> None:
        self.check_turn(event)
        check_final(event.status, opens_tunnel=self.is_tunnel)
        fields, self.to_send = self._writer.response(event.status, event.headers)
        self.heads.append(fields)
        self.bodiless = self.bodiless or event.status in WITHOUT_CONTENT
        self.phase = BODY

    def _add_accept(self, event: Accept) -> None:
        self.check_turn(event)
        if not self.is_tunnel:
            raise LocalProtocolError("Accept for a request that asked for no tunnel")
        if event.protocol is not None:
            raise LocalProtocolError("HTTP/2 has no 101 (RFC 9113 section 8.6)")
        fields, _ = self._writer.response(200, event.headers)
        # RFC 9110 section 8.6: no Content-Length in a 2xx to CONNECT.
        self.heads.append(tuple(field for field in fields if field[0] != "content-length"))
        self.accepts = True
        self.phase = TUNNEL

    def _add_data(self, event: Data) -> None:
        if self.take_data(event):
            self.pieces.append(event.data)
        self.size += len(event.data)

    def _add_end(self, event: EndOfMessage) -> None:
        self.check_end(event)
        if event.trailers:
            if self.phase == TUNNEL:
                raise LocalProtocolError("a tunnel has no trailers")
            self.trailers = self._writer.trailers(event.trailers)
        self.ended = True
        if self.heads and self._wants_length():
            self.heads[-1] += (("content-length", str(self.size)),)

    def _wants_length(self) -> bool:
        """Tell whether a complete message gets a Content-Length (RFC 9110 section 8.6)."""
        head = self.heads[-1]
        if self.phase == TUNNEL or self.to_send != NO_LENGTH or head[0] == (":status", "204"):
            return False
        if any(name == "content-length" for name, _ in head):
            return False  # of a response without content
        if self.size:
            return True
        if self.bodiless or self.trailers:
            return False
        return head[0][0] == ":status" or self.method in METHODS_WITH_CONTENT


_ADDERS: Final[dict[type, Callable[..., None]]] = {
    InformationalResponse: Draft._add_informational,
    Response: Draft._add_response,
    Accept: Draft._add_accept,
    Data: Draft._add_data,
    EndOfMessage: Draft._add_end,
}
