"""The message on its way out of an HTTP/1.1 connection: how it is framed.

``send`` works on a *draft*, a copy of this little state, and collects the bytes in a list.  If
an event is not allowed, the draft is thrown away; else the connection takes the draft as its
state and queues the bytes.  The order of events and the lengths are those of
``semantics.message``; here is what HTTP/1.1 adds:

* Content is written as it is, or in chunks (RFC 9112 section 7.1).
* Trailers go only behind chunks.
"""

from __future__ import annotations

from typing import Final

from plait_engine.errors import LocalProtocolError
from plait_engine.events import Data, EndOfMessage
from plait_engine.headers import is_token
from plait_engine.semantics.message import BODY, DONE, HEAD, NO_LENGTH, TUNNEL, OutgoingMessage

from .encoding import encode_trailers
from .framing import (
    AS_TUNNEL,
    BY_LENGTH,
    IN_CHUNKS,
    NO_BODY,
    UNTIL_CLOSE,
    Framing,
)

LAST_CHUNK: Final = b"0\r\n\r\n"


class Outgoing(OutgoingMessage):
    """What was sent of the current message.  See ``copy`` for its use as a draft.

    ``content_length``: what Content-Length promises.  ``drops_trailers``: a response to HEAD,
    to whose request the trailers would belong.  ``close``: the connection ends after this
    exchange.
    """

    __slots__ = ("close", "content_length", "drops_trailers", "framing")

    def __init__(self, phase: int) -> None:
        super().__init__(phase)
        self.framing = NO_BODY
        self.content_length = 0
        self.drops_trailers = False
        self.close = False

    def copy(self) -> Outgoing:
        """Return a draft: an equal state to try events on."""
        draft = Outgoing(self.phase)
        draft.to_send = self.to_send
        draft.bodiless = self.bodiless
        draft.framing = self.framing
        draft.content_length = self.content_length
        draft.drops_trailers = self.drops_trailers
        draft.close = self.close
        return draft

    @property
    def expects_data(self) -> bool:
        """True while ``Data`` may be sent, or may be once the response head is out."""
        return self.phase in (HEAD, BODY, TUNNEL)

    def begin_body(self, framing: Framing, length: int = 0) -> None:
        """The head is written; the body is framed like this."""
        self.phase = TUNNEL if framing is AS_TUNNEL else BODY
        self.framing = framing
        self.content_length = length
        self.to_send = length if framing is BY_LENGTH else NO_LENGTH

    def add_data(self, event: Data, pieces: list[bytes]) -> None:
        """Append the bytes of ``event`` to ``pieces``.  Raises LocalProtocolError."""
        if not self.take_data(event):
            return
        data = event.data
        if self.framing is IN_CHUNKS:
            pieces += (b"%x\r\n" % len(data), data, b"\r\n")
        elif self.framing is NO_BODY:
            raise LocalProtocolError(
                "this request has no body: it has neither Content-Length nor Transfer-Encoding"
            )
        else:
            pieces.append(data)

    def write_data(self, data: bytes, joined: int) -> bytes | None:
        """Short path of ``add_data``: return the bytes of ``data``, which is not empty.

        ``None``: nothing was done.  More than ``joined`` bytes are not copied into a chunk.
        """
        framing = self.framing
        if self.phase != BODY or self.bodiless:
            return None
        if framing is BY_LENGTH:
            if len(data) > self.to_send:
                return None
            self.to_send -= len(data)
            return data
        if framing is IN_CHUNKS and len(data) <= joined:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return None

    def add_end(self, event: EndOfMessage, pieces: list[bytes]) -> None:
        """Append the end of the message.  Raises LocalProtocolError."""
        self.check_end(event)
        if self.framing is IN_CHUNKS:
            if event.trailers:
                pieces.append(b"0\r\n" + encode_trailers(event.trailers) + b"\r\n")
            else:
                pieces.append(LAST_CHUNK)
        elif event.trailers and not self.drops_trailers and self.framing is not UNTIL_CLOSE:
            # For an HTTP/1.0 peer they are dropped, which RFC 9110 section 6.5.1 allows.
            raise LocalProtocolError("trailers need a chunked body")
        self.phase = DONE


def check_token(text: str, what: str) -> None:
    """Raise LocalProtocolError if ``text`` is no token (RFC 9110 section 5.6.2)."""
    if not is_token(text):
        raise LocalProtocolError(f"{what} is not a token: {text!r}")
