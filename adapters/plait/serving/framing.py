"""The header fields that say how a response is framed: Content-Length and Transfer-Encoding.

The engine frames what is sent.  Whoever listens to ``on_response_prepare`` looks for the fields
before that, so they are put among the headers as the engine is going to decide.
"""

from __future__ import annotations

from multidict import CIMultiDict

from plait import hdrs
from plait_engine import Request
from plait_engine.http1.responses import frame_response
from plait_engine.semantics.content import SWITCHING_PROTOCOLS, WITHOUT_CONTENT

__all__ = ("drop_framing", "show_framing")


def drop_framing(headers: CIMultiDict[str]) -> None:
    """Take both fields out of ``headers``."""
    headers.pop(hdrs.CONTENT_LENGTH, None)
    headers.pop(hdrs.TRANSFER_ENCODING, None)


def show_framing(
    headers: CIMultiDict[str],
    request: Request,
    status: int,
    *,
    length: int | None,
    chunked: bool,
    trailers: bool,
) -> None:
    """Put the field into ``headers`` with which the response to ``request`` is framed.

    Args:
        length: bytes of the body; ``None`` if that is not known.
        chunked: the handler asked for chunks.
        trailers: there are trailers, which HTTP/1.1 has only behind chunks.

    Raises RuntimeError for chunks on HTTP/1.0.
    """
    if status == SWITCHING_PROTOCOLS:
        drop_framing(headers)
        return
    version = request.http_version
    if chunked and version == "1.0":
        raise RuntimeError("Using chunked encoding is forbidden for HTTP/1.0")
    if chunked or (trailers and version == "1.1"):
        length = None
        headers.pop(hdrs.CONTENT_LENGTH, None)
    if status in WITHOUT_CONTENT:
        drop_framing(headers)
    elif request.method == hdrs.METH_HEAD:  # RFC 9112 section 6.1: it may be left out.
        headers.pop(hdrs.TRANSFER_ENCODING, None)
    field = frame_response(
        status,
        length=length,
        content_length=0 if hdrs.CONTENT_LENGTH in headers else None,
        chunked=hdrs.TRANSFER_ENCODING in headers,
        method=request.method,
        version=version,
    ).field
    if field is not None and (version != "2" or field[0] == "Content-Length"):
        headers[field[0]] = field[1]
