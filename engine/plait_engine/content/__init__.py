"""What is inside of messages: codings, forms, and which part of it to send.  No I/O.

================  ==========================================================
``codings``       gzip and deflate decoded (RFC 9110 section 8.4.1)
``body``          a body that is decoded as far as somebody takes it
``negotiation``   which coding a client prefers (RFC 9110 section 12.5.3)
``conditional``   whether the client's copy is current (RFC 9110 section 13)
``ranges``        a part of a representation (RFC 9110 section 14)
``selection``     how to answer, by both
``download``      parts that become a whole (RFC 9110 section 13.1.5)
``event_stream``  server-sent events (WHATWG HTML, section 9.2)
``multipart``     bodies of several parts (RFC 2046 section 5.1)
``transfer``      the codings that only parts have (RFC 2045)
``disposition``   Content-Disposition (RFC 6266)
``media_types``   Content-Type
================  ==========================================================
"""
