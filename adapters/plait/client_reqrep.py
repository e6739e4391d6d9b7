"""What a request of the client is made with, and what comes of it.

The names that aiohttp has here.  The request is in ``calls.request``, the response in
``calls.response``.
"""

from __future__ import annotations

from .calls.media import ContentDisposition
from .calls.request import ClientRequest
from .calls.response import ClientResponse
from .calls.target import ConnectionKey, RequestInfo
from .calls.upload import UploadTracker
from .calls.verification import Fingerprint

__all__ = (
    "ClientRequest",
    "ClientResponse",
    "ConnectionKey",
    "ContentDisposition",
    "Fingerprint",
    "RequestInfo",
    "UploadTracker",
)
