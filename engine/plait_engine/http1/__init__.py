"""HTTP/1.1 (RFC 9112): ``HTTP1Server(config)`` and ``HTTP1Client(config)``.

===============  ====================================================================
``grammar``      the ABNF as regular expressions
``heads``        received heads: where they end, what their first line says
``fields``       received fields: what they are, what they say about the message
``framing``      where a body ends (RFC 9112 section 6.3), as pure functions
``body``         body readers: length, chunked, until close
``encoding``     fields to send: checked, encoded, what they say about the message
``outgoing``     the message on its way out: what may be sent, how it is framed
``responses``    how a server writes its heads
``status``       status lines, and the engine's own answers to bad requests
``output``       the bytes on their way to the transport
``connection``   what both roles share: buffers, bodies, timers, the end
``server``       the server's side of an exchange
``client``       the client's side of an exchange
===============  ====================================================================
"""

from .client import HTTP1Client
from .connection import HTTP1Connection
from .server import HTTP1Server

__all__ = ["HTTP1Client", "HTTP1Connection", "HTTP1Server"]
