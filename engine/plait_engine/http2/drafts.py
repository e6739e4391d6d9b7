"""Commands worked out before they are carried out (RFC 9113 section 8.1, RFC 8441).

Strategy
--------
A command is all or nothing.  A ``Draft`` begins where the sending half of a stream stands,
takes the command's events one after the other, checks that each is what comes next, and
collects what is to be done.  It touches nothing but itself, so an event that is not allowed
leaves everything as it was.

Rules
-----
* Section 8.1: informational heads, one final head, content, trailers; in this order.
* RFC 9110 section 8.6: a complete message gets a Content-Length, and content must have the
  length that Content-Length says.
* RFC 9110 section 6.4.1: a response to HEAD, 204, 205 and 304 has no content; what the
  application sends for it is dropped.
* Section 8.5: what a client sends in a tunnel waits for the 2xx; the server's consent is
  ``Accept``, and a 2xx is nothing else.
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

from .outgoing import Fields, HeadWriter
from .streams import BODY, DONE, HEAD, NO_LENGTH, TUNNEL, WAIT, Stream


class Draft:
    """What a command would do to a stream, worked out before anything is done.

    ``sending`` and ``to_send`` continue those of the stream.  ``heads``: field sections to
    encode, in order.  ``pieces``: content.  ``ended``: EndOfMessage, with ``trailers``.
    ``bodiless``: content is dropped.
    """

    __slots__ = (
        "_writer",
        "accepts",
        "bodiless",
        "ended",
        "heads",
        "is_tunnel",
        "method",
        "pieces",
        "sending",
        "size",
        "to_send",
        "trailers",
    )

    def __init__(self, stream: Stream, writer: HeadWriter, bodiless: bool) -> None:
        self._writer = writer
        self.method = stream.method
        self.sending = stream.sending
        self.to_send = stream.to_send
        self.bodiless = bodiless
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

    def _check_turn(self, event: Sendable) -> None:
        if self.sending != HEAD:
            raise LocalProtocolError(f"{type(event).__name__} is not what comes next")

    def _add_informational(self, event: InformationalResponse) -> None:
        self._check_turn(event)
        if event.status >= 200:
            raise LocalProtocolError(f"{event.status} is not an informational status")
        self.heads.append(self._writer.response(event.status, event.headers)[0])

    def _add_response(self, event: Response) -> None:
        self._check_turn(event)
        if event.status < 200:
            raise LocalProtocolError(f"{event.status} is not a final status")
        if self.is_tunnel and event.status < 300:
            raise LocalProtocolError("a 2xx to CONNECT is an Accept")
        fields, self.to_send = self._writer.response(event.status, event.headers)
        self.heads.append(fields)
        self.bodiless = self.bodiless or event.status in WITHOUT_CONTENT
        self.sending = BODY

    def _add_accept(self, event: Accept) -> None:
        self._check_turn(event)
        if not self.is_tunnel:
            raise LocalProtocolError("Accept for a request that asked for no tunnel")
        fields, _ = self._writer.response(200, event.headers)
        # RFC 9110 section 8.6: no Content-Length in a 2xx to CONNECT.
        self.heads.append(tuple(field for field in fields if field[0] != "content-length"))
        self.accepts = True
        self.sending = TUNNEL

    def _add_data(self, event: Data) -> None:
        if self.sending not in (BODY, TUNNEL):
            raise LocalProtocolError("Data before the head, or before the tunnel is accepted")
        size = len(event.data)
        self.size += size
        if self.bodiless or not size:
            return
        if self.to_send != NO_LENGTH:
            if size > self.to_send:
                raise LocalProtocolError("more content than Content-Length says")
            self.to_send -= size
        self.pieces.append(event.data)

    def _add_end(self, event: EndOfMessage) -> None:
        if self.sending not in (BODY, TUNNEL):
            raise LocalProtocolError("EndOfMessage before the head, or before the tunnel")
        if self.to_send > 0 and not self.bodiless:
            raise LocalProtocolError(f"{self.to_send} bytes less than Content-Length says")
        if event.trailers:
            if self.sending == TUNNEL:
                raise LocalProtocolError("a tunnel has no trailers")
            self.trailers = self._writer.trailers(event.trailers)
        self.ended = True
        if self.heads and self._wants_length():
            self.heads[-1] += (("content-length", str(self.size)),)

    def _wants_length(self) -> bool:
        """Tell whether a complete message gets a Content-Length (RFC 9110 section 8.6)."""
        head = self.heads[-1]
        if self.sending == TUNNEL or self.to_send != NO_LENGTH or head[0] == (":status", "204"):
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
