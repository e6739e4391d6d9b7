"""The message on its way out: what was said so far, and what may be said next.

Strategy
--------
``send`` is atomic: all its events are done or none.  So a command works on a *draft*, a
copy of this little state, and collects the bytes in a list.  If an event is not allowed,
the draft is thrown away and LocalProtocolError goes up; else the connection takes the
draft as its state and queues the bytes.  There is nothing to undo.

Rules
-----
* A field section goes out only if it is a valid one: tokens as names, no control
  character in a value (RFC 9110 section 5.5), as many lines as fields.  What the
  application says can never become a line of its own (RFC 9112 section 11.1).
* At most one Content-Length, never beside Transfer-Encoding (RFC 9112 section 6.2).
* A body is exactly as long as its Content-Length says.
* Trailers go only behind chunks, and hold nothing that RFC 9110 section 6.5.1 forbids.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from plait_engine.errors import LocalProtocolError
from plait_engine.events import Data, EndOfMessage, Sendable
from plait_engine.headers import (
    FORBIDDEN_TRAILERS,
    Headers,
    encode,
    is_token,
    tokens,
)
from plait_engine.semantics.fields import check_fields

from . import grammar
from .framing import Framing

FRAMING_FIELDS: Final = frozenset({"content-length", "transfer-encoding"})
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
                pieces.append(b"0\r\n" + _encode_trailers(event.trailers) + b"\r\n")
            else:
                pieces.append(LAST_CHUNK)
        elif event.trailers and not self.silent and self.framing is not Framing.UNTIL_CLOSE:
            # To an HTTP/1.0 peer they are dropped (RFC 9110 section 6.5.1 lets them be).
            raise LocalProtocolError("trailers need a chunked body")
        self.phase = Phase.DONE


class PreparedFields(NamedTuple):
    """A field section to send, and what it says about framing and persistence."""

    headers: Headers
    block: bytes
    content_length: int | None
    chunked: bool
    close: bool
    keep_alive: bool
    names: frozenset[str]
    """The names in lower case."""
    expects_continue: bool
    plain: bool
    """Nothing that decides about framing or persistence, and at most one Host."""


def prepare_fields(headers: Headers) -> PreparedFields:
    """Check and encode a field section.  Raises LocalProtocolError."""
    try:
        # "+" and not an f-string: what is no str must not pass for one.
        text = "".join([name + ": " + value + "\r\n" for name, value in headers])
        block = encode(text)
    except (TypeError, ValueError, AttributeError):
        raise _explain_fields(headers) from None
    # As many line ends as fields: a value cannot hide a line of its own.
    if grammar.match_field_section(text) is None or text.count("\n") != len(headers):
        raise _explain_fields(headers)
    # In the text a colon within a name would pass as the one behind it.
    if any(":" in name for name, _ in headers):
        raise _explain_fields(headers)
    content_length: int | None = None
    codings: list[str] = []
    connection: list[str] = []
    expects_continue = False
    names = [name.lower() for name, _ in headers]
    for key, (_, value) in zip(names, headers, strict=True):
        if key == "content-length":
            if content_length is not None:
                raise LocalProtocolError("two Content-Length fields")
            content_length = _parse_content_length(value)
        elif key == "transfer-encoding":
            codings.extend(tokens(value))
        elif key == "connection":
            connection.extend(tokens(value))
        elif key == "expect":
            expects_continue = value.strip(" \t").lower() == "100-continue"
    if "transfer-encoding" in names:
        if codings != ["chunked"]:
            raise LocalProtocolError("chunked is the only transfer coding that can be sent")
        if content_length is not None:
            raise LocalProtocolError("both Content-Length and Transfer-Encoding")
    close = "close" in connection
    return PreparedFields(
        tuple(headers),
        block,
        content_length,
        bool(codings),
        close,
        "keep-alive" in connection,
        frozenset(names),
        expects_continue,
        not (close or codings or expects_continue)
        and content_length is None
        and names.count("host") < 2,
    )


def without_fields(fields: PreparedFields, names: frozenset[str]) -> PreparedFields:
    """Return ``fields`` without those of ``names`` (in lower case)."""
    if names.isdisjoint(fields.names):
        return fields
    return prepare_fields([pair for pair in fields.headers if pair[0].lower() not in names])


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


def _parse_content_length(value: str) -> int:
    if grammar.match_content_length(value) is None:
        raise LocalProtocolError(f"invalid Content-Length: {value!r}")
    return int(value)


def _encode_trailers(trailers: Headers) -> bytes:
    check_fields(trailers)
    forbidden = FORBIDDEN_TRAILERS.intersection(name.lower() for name, _ in trailers)
    if forbidden:
        raise LocalProtocolError(f"not allowed as a trailer: {', '.join(sorted(forbidden))}")
    return prepare_fields(trailers).block


def _explain_fields(headers: Headers) -> LocalProtocolError:
    try:
        check_fields(headers)
    except LocalProtocolError as error:
        return error
    return LocalProtocolError("invalid field section")
