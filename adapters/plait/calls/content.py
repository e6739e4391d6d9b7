"""The content of a request: what is made of what the caller gave, and the fields it brings."""

from __future__ import annotations

from typing import Any

from multidict import CIMultiDict

from plait.formdata import FormData
from plait.log import client_logger
from plait.payload import PAYLOAD_REGISTRY, BytesPayload, LookupError, Payload
from plait_engine.semantics.content import is_content_length


def make_payload(body: Any) -> Payload:
    """Return the payload for ``data=``.  What nobody has a payload for is a form."""
    if isinstance(body, FormData):
        return body()
    try:
        return PAYLOAD_REGISTRY.get(body, disposition=None)
    except LookupError:
        return FormData(body)()


def within_length(payload: Payload, headers: CIMultiDict[str]) -> Payload:
    """Return ``payload`` without the bytes beyond a Content-Length that the caller gave."""
    length = headers.get("Content-Length")
    if length is None or not isinstance(payload, BytesPayload) or not is_content_length(length):
        return payload
    content = payload.content_bytes()
    if len(content) <= int(length):
        return payload
    client_logger.warning(
        "Sending %s of %d bytes of content, as the Content-Length says", length, len(content)
    )
    return BytesPayload(content[: int(length)], headers=payload.headers)


def describe(
    payload: Payload, headers: CIMultiDict[str], chunked: bool | None, *, names_type: bool
) -> bool | None:
    """Add the fields of ``payload`` that are not there; return whether it is to be chunked.

    ``chunked``: whether the caller wants it so.  ``names_type``: say its Content-Type.
    """
    if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
        size = payload.size
        if size is None:
            chunked = True
        elif not chunked:
            headers["Content-Length"] = str(size)
    for name, value in payload.headers.items():
        if names_type or name.lower() != "content-type":
            headers.setdefault(name, value)
    return chunked
