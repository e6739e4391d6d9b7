"""What is inside of messages: content codings.  Nothing here does I/O.

``codings``: gzip and deflate (RFC 9110 section 8.4.1), and the table where other codings
are put in.
"""
