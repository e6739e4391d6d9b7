"""The content of a request: what is made of what the caller gave, and the fields it brings."""

from __future__ import annotations

from typing import Any

from multidict import CIMultiDict

from plait.formdata import FormData
from plait.payload import PAYLOAD_REGISTRY, LookupError, Payload


def make_payload(body: Any) -> Payload:
    """Return the payload for ``data=``.  What nobody has a payload for is a form."""
    if isinstance(body, FormData):
        return body()
    try:
        return PAYLOAD_REGISTRY.get(body, disposition=None)
    except LookupError:
        return FormData(body)()


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
