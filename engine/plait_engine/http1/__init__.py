"""HTTP/1.1 (RFC 9112) in both roles: ``HTTP1Connection(role, config)``.

===============  ====================================================================
``grammar``      the ABNF as regular expressions
``heads``        received heads: where they end, what they say
``framing``      where a body ends (RFC 9112 section 6.3), as pure functions
``body``         body readers: length, chunked, until close
``outgoing``     the message on its way out: what may be sent, how it is written
``responses``    how a server writes its heads
``output``       the bytes on their way to the transport
``status``       status lines, and the engine's own answers to bad requests
``connection``   what both roles share: buffers, bodies, timers, the end
``server``       the server's side of an exchange
``client``       the client's side of an exchange
===============  ====================================================================
"""

from .connection import HTTP1Connection

__all__ = ["HTTP1Connection"]
