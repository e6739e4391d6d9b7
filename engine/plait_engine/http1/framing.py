"""How long is the body?  RFC 9112 section 6.3, both directions, as pure functions.

The engine decides on the head alone, once, and the answer is one of five ``Framing``:
no body, so many bytes, chunks, everything until the connection closes, or no HTTP body at
all because a tunnel begins.

========================================  =============================================
received request                          framing
========================================  =============================================
Transfer-Encoding in HTTP/1.0             refused: 400 (section 6.1)
Transfer-Encoding and Content-Length      refused: 400 (section 6.1 allows to; it smuggles)
Transfer-Encoding: chunked                chunks
another last coding, chunked before it    refused: 400 (section 6.3, item 4)
an unknown coding                         refused: 501 (section 6.1)
Content-Length                            so many bytes
neither                                   no body (section 6.3, item 7)
========================================  =============================================

========================================  =============================================
received response                         framing
========================================  =============================================
2xx to CONNECT                            tunnel, the fields are ignored (item 2)
to HEAD, or 1xx, 204, 304                 no body, whatever the fields say (item 1)
Transfer-Encoding, the last is chunked    chunks; with Content-Length or in HTTP/1.0 the
                                          connection is not used again (item 3, section 6.1)
Transfer-Encoding, the last is another    until close (item 4); with Content-Length refused
                                          (item 3)
Content-Length                            so many bytes (item 6); beside an empty
                                          Transfer-Encoding the connection is not used again
neither                                   until close (item 8)
========================================  =============================================
"""

from __future__ import annotations

import enum

from plait_engine.errors import RemoteProtocolError
from plait_engine.semantics.content import ENDED_BY_HEAD

from .fields import FieldFacts


class Framing(enum.Enum):
    """Where a body ends."""

    NONE = "no body"
    LENGTH = "after Content-Length bytes"
    CHUNKED = "after the last chunk"
    UNTIL_CLOSE = "when the connection closes"
    TUNNEL = "the stream is a tunnel"


# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
NO_BODY, BY_LENGTH, IN_CHUNKS, UNTIL_CLOSE, AS_TUNNEL = Framing


def frame_request(method: str, version: str, fields: FieldFacts) -> Framing:
    """Return the framing of a received request.  Raises RemoteProtocolError."""
    codings = fields.codings
    if codings is None:
        if not fields.content_length:
            return NO_BODY
        framing = BY_LENGTH
    else:
        _check_request_codings(codings, version, fields)
        framing = IN_CHUNKS
    if method == "CONNECT":
        raise RemoteProtocolError("CONNECT with content")  # RFC 9110 section 9.3.6
    return framing


def _check_request_codings(codings: tuple[str, ...], version: str, fields: FieldFacts) -> None:
    if version == "1.0":
        raise RemoteProtocolError("Transfer-Encoding in an HTTP/1.0 request")
    if fields.content_length is not None:
        raise RemoteProtocolError("both Transfer-Encoding and Content-Length")
    if codings == ("chunked",):
        return
    if not codings:
        raise RemoteProtocolError("empty Transfer-Encoding")
    if "chunked" in codings:
        if codings[-1] == "chunked" and codings.count("chunked") == 1:
            raise RemoteProtocolError("unknown transfer coding", status_hint=501)
        raise RemoteProtocolError("chunked is not the last transfer coding, or not alone")
    raise RemoteProtocolError("unknown transfer coding", status_hint=501)


def frame_response(method: str, status: int, fields: FieldFacts) -> Framing:
    """Return the framing of a received final response to ``method``."""
    # RFC 9110 section 9.3.6: any 2xx, so 204 too.
    if method == "CONNECT" and 200 <= status < 300:
        return AS_TUNNEL
    if method == "HEAD" or status in ENDED_BY_HEAD:
        return NO_BODY
    codings = fields.codings
    # An empty Transfer-Encoding says nothing, so Content-Length counts if there is one.
    if codings or (codings is not None and fields.content_length is None):
        if not codings or codings[-1] != "chunked":
            if fields.content_length is not None:
                # Item 3: an error, rather than a wait for an end that may never come.
                raise RemoteProtocolError("Content-Length beside an unknown transfer coding")
            return UNTIL_CLOSE
        if codings != ("chunked",):
            # RFC 9112 section 7: only what TE asked for may be there, and we ask for none.
            raise RemoteProtocolError("unknown transfer coding")
        return IN_CHUNKS
    if fields.content_length is None:
        return UNTIL_CLOSE
    return BY_LENGTH if fields.content_length else NO_BODY
