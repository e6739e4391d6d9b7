"""plait on trio: serve a handler, and fetch URLs, on the same engine as the asyncio adapter.

``serve`` runs a server.  A ``Session`` sends requests and opens WebSockets, with a pool of
connections, redirects, cookies, retries and proxies; ``fetch`` gets one URL.  ``open_connection`` keeps one connection for
several requests, ``open_websocket`` and ``ServerRequest.accept_websocket`` carry messages.  Each
over HTTP/1.1 and HTTP/2, cleartext and TLS.  A ``Tunnel`` carries another protocol, to which a
server switched (101, over HTTP/1.1).  It is small on purpose: what a trio program needs beyond
this, it finds in ``plait_engine`` without I/O (``docs/trio.md``).
"""

from .call import RedirectError
from .client import (
    ClientConnection,
    ClientResponse,
    open_connection,
    open_websocket,
)
from .dialing import ConnectError, ProxyError, TLSError
from .driver import StreamError
from .server import ServerRequest, ServerResponse, serve
from .session import Session, fetch
from .tunnel import Tunnel
from .websocket import WebSocket, WebSocketClosed

__all__ = [
    "ClientConnection",
    "ClientResponse",
    "ConnectError",
    "ProxyError",
    "RedirectError",
    "ServerRequest",
    "ServerResponse",
    "Session",
    "StreamError",
    "TLSError",
    "Tunnel",
    "WebSocket",
    "WebSocketClosed",
    "fetch",
    "open_connection",
    "open_websocket",
    "serve",
]
