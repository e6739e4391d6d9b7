"""What an HTTP message is, whatever carries it (RFC 9110).

HTTP/1.1 and HTTP/2 only encode and frame; what a message may say, and in which order, stands
here once, and HTTP/3 would share it.

===============  ====================================================================
``message``      the order of what is sent of a message, and the length of its content
``content``      which messages have content
``fields``       which fields may be sent, and what Expect says
``targets``      request targets in origin form
``authority``    hosts and ports
``http10``       what a request in HTTP/1.0 cannot have
``reasons``      reason phrases of statuses
``dates``        the dates of fields such as Last-Modified
``forwarded``    what proxies say of a request that they passed on
``links``        what is related to a resource
``cache``        what single fields mean, remembered within bounds
===============  ====================================================================
"""
