"""HTTP/2: both roles of RFC 9113, extended CONNECT (RFC 8441), priorities (RFC 9218).

====================  ============================================================
``connection``        the life of a connection: its start, outputs, timers and end
``core``              what a connection is made of, and how things end on it
``receiving``         what the peer's frames do
``messages``          what the peer's header blocks and DATA say
``sending``           what the application's commands do
``drafts``            commands worked out before they are carried out
``frames``            the frame layer
``hpack``             header compression (RFC 7541)
``hpack_primitives``  what its representations are made of
``hpack_tables``      its static table
``huffman``           its Huffman code
``fields``            header and trailer sections: the fields with a rule
``validity``          which heads and trailers that come make a valid message
``outgoing``          the same for those that are sent
``streams``           the states of streams
``flow``              receive windows, and how they grow
``inflow``            what was received and is not taken yet
``scheduler``         which stream is sent next
``outflow``           what waits to be sent
``output``            the bytes that are ready to go
``settings``          SETTINGS of both sides
``departure``         GOAWAY, and how far a connection is on its way to its end
``abuse``             budgets for what a peer may do at no cost to itself
``errors``            how the parts say that the peer broke the protocol
====================  ============================================================

For adapters
------------
* ``Upgrade: h2c`` does not exist (section 3.1); with prior knowledge a client just begins.
* ``Request`` events may stop in the middle: ``StreamReset`` comes for streams that the peer
  reset, and for requests that the engine refused and never showed.
* A stream that the peer has reset is closed for the engine, but its handler may still run,
  and the client may open the next (CVE-2023-44487).  Dispatch the events of one
  ``receive_data`` together, so that a request and its reset cancel out; count handlers, not
  streams, against ``Limits.max_concurrent_streams``, and answer what is above it with
  ``StreamReset(stream_id, ErrorCode.REFUSED_STREAM)``.
* When the answer is complete and the rest of the request is not wanted, say
  ``StreamReset(stream_id, ErrorCode.NO_ERROR)`` behind it.  The engine lets a short rest in
  and stops a long one; until then the stream counts as open.
* ``acknowledge`` the credit of all ``Data``, also of streams that have ended: it counts for
  the connection's window.  What a stream that was reset has brought is given back without.
"""

from .connection import HTTP2Connection

__all__ = ["HTTP2Connection"]
