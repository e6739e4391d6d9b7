"""plait on trio: serve a handler and fetch a URL, on the same engine as the asyncio adapter.

``serve`` runs a server, ``fetch`` gets a URL, ``open_connection`` keeps a connection for
several requests, ``open_websocket`` and ``ServerRequest.accept_websocket`` carry messages;
each over HTTP/1.1 and HTTP/2, cleartext and TLS.  It is small on purpose: what a trio
program needs beyond this, it finds in ``plait_engine`` without I/O.
"""

from .client import (
    ClientConnection,
    ClientResponse,
    FetchResponse,
    RedirectError,
    TLSError,
    fetch,
    open_connection,
    open_websocket,
)
from .driver import StreamError
from .server import ServerRequest, ServerResponse, serve
from .websocket import WebSocket, WebSocketClosed

__all__ = [
    "ClientConnection",
    "ClientResponse",
    "FetchResponse",
    "RedirectError",
    "ServerRequest",
    "ServerResponse",
    "StreamError",
    "TLSError",
    "WebSocket",
    "WebSocketClosed",
    "fetch",
    "open_connection",
    "open_websocket",
    "serve",
]
