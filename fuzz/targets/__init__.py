"""The fuzz targets, one a module.

Each states its invariants in its docstring and has ``run(data)``, which raises when one is
broken.  ``data`` begins with bytes that choose the circumstances; the target says which.
"""

from __future__ import annotations

TARGETS = (
    "http1_server",
    "http1_client",
    "http2_server",
    "http2_client",
    "hpack_decoder",
    "websocket_server",
    "websocket_client",
    "websocket_handshake",
    "operations_http1",
    "operations_http2",
    "pair_http1",
    "pair_http2",
    "pair_websocket",
    "multipart",
    "event_stream",
    "proxy_handshake",
)
