"""The reference engine: h11, h2 and wsproto behind the contract of ``Connection``.

It answers one question, "is it the engine?", at run time (``engine="reference"``) and in
the tests, where it is the oracle of the native machines.  It is several times slower and
has none of their guards against abuse: ``docs/reference.md`` lists what differs and why.
This package is the only part of the engine that imports h11, h2, hpack or wsproto.
"""

from .http1 import ReferenceHTTP1Connection
from .http2 import ReferenceHTTP2Connection
from .websocket import ReferenceWebSocketConnection

__all__ = [
    "ReferenceHTTP1Connection",
    "ReferenceHTTP2Connection",
    "ReferenceWebSocketConnection",
]
