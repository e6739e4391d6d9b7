"""How a server writes its heads: status line, fields, and what the engine adds to them.

Framing of a final response, the first row that applies (RFC 9112 sections 6.1 and 6.3):

==================================  ===================================================
204, 304                            no body; framing fields are removed
205                                 no body; Content-Length: 0 is said
to HEAD                             no body is written; the fields stay, and a length
                                    that is known is said
Content-Length is given             so many bytes
all of the body is there            Content-Length is added
HTTP/1.0                            until close: it knows no chunks
else                                chunks; Transfer-Encoding is added
==================================  ===================================================

Transfer-Encoding never goes to an HTTP/1.0 client.
"""

from __future__ import annotations

from typing import NamedTuple

from plait_engine.events import Accept, InformationalResponse, Response
from plait_engine.headers import encode
from plait_engine.semantics.content import RESET_CONTENT, WITHOUT_CONTENT
from plait_engine.semantics.message import check_final, check_informational

from .encoding import (
    CODINGS,
    CONNECTION,
    FRAMING,
    UPGRADE,
    PreparedFields,
    prepare_fields,
    without_fields,
)
from .framing import (
    AS_TUNNEL,
    BY_LENGTH,
    IN_CHUNKS,
    NO_BODY,
    UNTIL_CLOSE,
    Framing,
)
from .outgoing import Outgoing
from .status import status_line


class ResponseFraming(NamedTuple):
    """How the body of a final response is framed."""

    framing: Framing
    length: int
    """Bytes of the body, with ``BY_LENGTH``."""
    field: tuple[str, str] | None
    """The field that the engine adds to the head to say so."""


def frame_response(
    status: int,
    *,
    length: int | None,
    content_length: int | None,
    chunked: bool,
    method: str,
    version: str,
) -> ResponseFraming:
    """Decide how a final response is framed over HTTP/1: the table of the module.

    Args:
        length: bytes of the body, if all of it is there.
        content_length, chunked: what the fields of the application say.
        method, version: of the request.
    """
    if status in WITHOUT_CONTENT:
        field = ("Content-Length", "0") if status == RESET_CONTENT else None
        return ResponseFraming(NO_BODY, 0, field)
    chunked = chunked and version != "1.0"
    field = None
    if length is not None and content_length is None and not chunked:
        field = "Content-Length", str(length)
    if method == "HEAD":
        return ResponseFraming(NO_BODY, 0, field if length else None)
    if content_length is not None:
        return ResponseFraming(BY_LENGTH, content_length, None)
    if length is not None and field is not None:
        return ResponseFraming(BY_LENGTH, length, field)
    if version == "1.0":
        return ResponseFraming(UNTIL_CLOSE, 0, None)
    field = None if chunked else ("Transfer-Encoding", "chunked")
    return ResponseFraming(IN_CHUNKS, 0, field)


def write_response(
    event: Response,
    fields: PreparedFields,
    draft: Outgoing,
    *,
    length: int | None,
    method: str,
    version: str,
    closing: bool,
) -> bytes:
    """Frame a final response in ``draft`` and return its head.

    ``length``: of the body, if all of it is there.  ``method`` and ``version``: of the
    request.  ``closing``: the connection ends after this exchange, whatever the fields say.
    Raises LocalProtocolError.
    """
    status = event.status
    check_final(status, opens_tunnel=method == "CONNECT")
    if status in WITHOUT_CONTENT:
        fields = without_fields(fields, FRAMING)
    elif fields.chunked and version == "1.0":
        fields = without_fields(fields, CODINGS)
    decision = frame_response(
        status,
        length=length,
        content_length=fields.content_length,
        chunked=fields.chunked,
        method=method,
        version=version,
    )
    draft.drops_trailers = method == "HEAD"
    draft.bodiless = method == "HEAD" or status in WITHOUT_CONTENT
    draft.begin_body(decision.framing, decision.length)
    extra = b"" if decision.field is None else b"%b: %b\r\n" % tuple(map(encode, decision.field))
    draft.close = closing or fields.close or draft.framing is UNTIL_CLOSE
    if draft.close and not fields.close:
        extra += b"Connection: close\r\n"
    elif not draft.close and version == "1.0" and not fields.keep_alive:
        extra += b"Connection: keep-alive\r\n"  # RFC 9112 appendix C.2.2
    return status_line(status, event.reason) + fields.block + extra + b"\r\n"


def write_informational(event: InformationalResponse) -> bytes:
    """Return an informational response.  Raises LocalProtocolError."""
    status = event.status
    check_informational(status)
    # RFC 9110 section 8.6: no Content-Length in a 1xx response.
    fields = without_fields(prepare_fields(event.headers), FRAMING)
    return status_line(status, None) + fields.block + b"\r\n"


def write_accept(event: Accept, draft: Outgoing, switch: str) -> bytes:
    """Begin a tunnel in ``draft`` and return the head that says so.

    ``switch``: "CONNECT" or the protocol.  Raises LocalProtocolError.
    """
    # RFC 9110 sections 7.8 and 9.3.6: the engine says the switch; no framing fields.
    fields = without_fields(prepare_fields(event.headers), UPGRADE | CONNECTION | FRAMING)
    draft.begin_body(AS_TUNNEL)
    draft.close = True
    if switch == "CONNECT":
        return status_line(200, None) + fields.block + b"\r\n"
    upgrade = b"Upgrade: %b\r\nConnection: Upgrade\r\n" % switch.encode()
    return status_line(101, None) + upgrade + fields.block + b"\r\n"
