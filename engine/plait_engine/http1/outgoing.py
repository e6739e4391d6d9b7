"""The message on its way out: what was said so far, and what may be said next.

Strategy
--------
``send`` is atomic: all its events are done or none.  So a command works on a *draft*, a
copy of this little state, and collects the bytes in a list.  If an event is not allowed,
the draft is thrown away and LocalProtocolError goes up; else the connection takes the
draft as its state and queues the bytes.  There is nothing to undo.

Rules
-----
* A body is exactly as long as its Content-Length says.
* Trailers go only behind chunks.
"""

from __future__ import annotations

import enum
from typing import Final

from plait_engine.errors import LocalProtocolError
from plait_engine.events import Data, EndOfMessage, Sendable
from plait_engine.headers import is_token

from .encoding import encode_trailers
from .framing import Framing

LAST_CHUNK: Final = b"0\r\n\r\n"


class Phase(enum.Enum):
    """How far the outgoing message is."""

    IDLE = "no exchange"
    HEAD = "the response head is due"
    BODY = "the head is out"
    SWITCHING = "a tunnel was asked for and not yet answered"
    DONE = "complete"


class Outgoing:
    """What was sent of the current message.  See ``copy`` for its use as a draft."""

    __slots__ = ("bodiless", "close", "expected", "framing", "phase", "remaining", "silent")

    def __init__(self, phase: Phase) -> None:
        self.phase = phase
        self.framing = Framing.NONE
        self.expected = 0
        """Bytes that Content-Length promises."""
        self.remaining = 0
        """Bytes of them still to come."""
        self.silent = False
        """A response to HEAD: content is accepted and not written, and so are trailers."""
        self.bodiless = False
        """A status without content: what the application sends is dropped."""
        self.close = False
        """The connection ends after this exchange."""

    def copy(self) -> Outgoing:
        """Return a draft: an equal state to try events on."""
        draft = Outgoing(self.phase)
        draft.framing = self.framing
        draft.expected = self.expected
        draft.remaining = self.remaining
        draft.silent = self.silent
        draft.bodiless = self.bodiless
        draft.close = self.close
        return draft

    @property
    def takes_data(self) -> bool:
        """True while ``Data`` may be sent."""
        return self.phase is Phase.BODY

    @property
    def expects_data(self) -> bool:
        """True while ``Data`` may be sent, or may be once the response head is out."""
        return self.phase is Phase.BODY or self.phase is Phase.HEAD

    def begin_body(self, framing: Framing, length: int = 0) -> None:
        """The head is written; the body is framed like this."""
        self.phase = Phase.BODY
        self.framing = framing
        self.expected = self.remaining = length

    def add_data(self, event: Data, pieces: list[bytes]) -> None:
        """Append the bytes of ``event`` to ``pieces``.  Raises LocalProtocolError."""
        if self.phase is not Phase.BODY:
            raise LocalProtocolError(f"Data cannot be sent now: {self.phase.value}")
        data = event.data
        if not data or self.silent or self.bodiless:
            return
        if self.framing is Framing.LENGTH:
            self.count(len(data))
            pieces.append(data)
        elif self.framing is Framing.CHUNKED:
            pieces += (b"%x\r\n" % len(data), data, b"\r\n")
        elif self.framing is Framing.NONE:
            raise LocalProtocolError(
                "this request has no body: it has neither Content-Length nor Transfer-Encoding"
            )
        else:
            pieces.append(data)

    def count(self, size: int) -> None:
        """Count ``size`` bytes against Content-Length.  Raises LocalProtocolError."""
        if size > self.remaining:
            raise LocalProtocolError(f"the body is longer than its Content-Length: {self.expected}")
        self.remaining -= size

    def add_end(self, event: EndOfMessage, pieces: list[bytes]) -> None:
        """Append the end of the message.  Raises LocalProtocolError."""
        if self.phase is not Phase.BODY:
            raise LocalProtocolError(f"EndOfMessage cannot be sent now: {self.phase.value}")
        if self.remaining:
            raise LocalProtocolError(
                f"the body is shorter than its Content-Length: {self.remaining} of"
                f" {self.expected} bytes are missing"
            )
        if self.framing is Framing.CHUNKED:
            if event.trailers:
                pieces.append(b"0\r\n" + encode_trailers(event.trailers) + b"\r\n")
            else:
                pieces.append(LAST_CHUNK)
        elif event.trailers and not self.silent and self.framing is not Framing.UNTIL_CLOSE:
            # To an HTTP/1.0 peer they are dropped (RFC 9110 section 6.5.1 lets them be).
            raise LocalProtocolError("trailers need a chunked body")
        self.phase = Phase.DONE


def complete_length(events: tuple[Sendable, ...]) -> int | None:
    """Return the bytes of the body if ``events`` hold all of it, else ``None``.

    A message with trailers is never of known length: it must be chunked.
    """
    length = 0
    for event in events:
        if type(event) is Data:
            length += len(event.data)
        elif type(event) is EndOfMessage:
            return None if event.trailers else length
    return None


def check_token(text: str, what: str) -> None:
    """Raise LocalProtocolError if ``text`` is no token (RFC 9110 section 5.6.2)."""
    if not is_token(text):
        raise LocalProtocolError(f"{what} is not a token: {text!r}")
