"""HTTP/2: both roles of RFC 9113, extended CONNECT (RFC 8441), priorities (RFC 9218).

``core`` tells how the connection is built.  The parts that stand alone: ``frames`` and
``hpack`` (the wire), ``fields``, ``validity`` and ``outgoing`` (what a message may look
like), ``streams`` (states), ``flow`` and ``inflow`` (receive windows), ``scheduler`` and
``outflow`` (send queues and priorities), ``output``, ``departure`` (GOAWAY), ``settings``,
``abuse`` (budgets).

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
