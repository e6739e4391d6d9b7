"""What is inside of messages: content codings, and which one to use.  No I/O.

``codings``: gzip and deflate decoded (RFC 9110 section 8.4.1).  ``body``: a body that is decoded
as far as somebody takes it.  ``negotiation``: which coding a client prefers (section 12.5.3).
"""
