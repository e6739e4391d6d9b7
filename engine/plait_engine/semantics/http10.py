"""What a request in HTTP/1.0 cannot have, whichever machine writes it."""

from __future__ import annotations

from plait_engine.errors import LocalProtocolError
from plait_engine.events import Request
from plait_engine.headers import has_token


def check_http10_request(request: Request, *, chunked: bool) -> None:
    """Raise LocalProtocolError for what HTTP/1.1 brought.  ``chunked``: so is the content."""
    if chunked:  # RFC 9112 section 6.1
        raise LocalProtocolError("HTTP/1.0 has no chunks: give the content's length")
    if request.protocol is not None:  # RFC 9110 section 7.8: a server ignores Upgrade there.
        raise LocalProtocolError("HTTP/1.0 has no Upgrade")
    if has_token(request.headers, "expect", "100-continue"):  # RFC 9110 section 10.1.1
        raise LocalProtocolError("HTTP/1.0 has no 100 Continue to expect")
