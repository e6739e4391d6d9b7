"""The reference engine: h11, h2 and wsproto behind the contract of ``Connection``.

It answers one question, "is it the engine?", at run time (``engine="reference"``) and in
the tests, where it is the oracle of the native machines.  It is several times slower and
has none of their guards against abuse: ``docs/reference.md`` lists what differs and why.
This package is the only part of the engine that imports h11, h2, hpack or wsproto.

==================  ===================================================
``http1``           HTTP/1.1: h11 behind the contract
``http1_heads``     heads that h11 has parsed
``http1_reading``   how it reads, and how exchanges end
``http1_writing``   how it writes
``http2``           HTTP/2: h2 behind the contract
``http2_machine``   h2 with its traps stepped around
``http2_messages``  header blocks in both directions
``http2_reading``   how it reads
``http2_streams``   what is known about a stream, and how it is written
``base``            what both share: timers and the end
``fields``          the fields of both
``websocket``       WebSocket: wsproto's frames behind the contract
==================  ===================================================
"""

from .http1 import ReferenceHTTP1Connection
from .http2 import ReferenceHTTP2Connection
from .websocket import ReferenceWebSocketConnection

__all__ = [
    "ReferenceHTTP1Connection",
    "ReferenceHTTP2Connection",
    "ReferenceWebSocketConnection",
]
