"""What the client is made of, beside the modules that have aiohttp's names.

A call of a session makes requests; a request takes a place on a connection, and has the place
until its response is read.

The call
--------
==================  =======================================================================
``call``            one call of a session, through its redirects and retries
``options``         the keywords of a request
``context``         what the session's methods return: to be awaited, or for ``async with``
``environment``     the proxy of a call; proxies and credentials of the environment
``timeouts``        the timeouts of a request
``traces``          what the traces of a call hear
``hints``           types for the annotations of modules that cannot import them
==================  =======================================================================

Request and response
--------------------
==================  =======================================================================
``request``         one request of a call
``fields``          header fields as callers give them
``content``         what is made of ``data=``, and the fields that it brings
``upload``          how far the content got, for the program that sends it
``sending``         the sending of head and content
``exchange``        a request and its response on their stream
``body``            the bodies of both: one is written, the other read
``response``        a response
``media``           what a response says about its content
``links``           the Link fields of a response
``cookies``         the cookies of a message
``errors``          what the caller is told when an exchange is cut short
==================  =======================================================================

Connections
-----------
==================  =======================================================================
``target``          what a URL means: where to connect, and as whom
``base_connector``  what all connectors do
``places``          the places on connections: the pool's decisions, carried out
``lease``           one place, from its assignment to the end of the request
``connection``      the client's side of a connection
``dialing``         from a host to a transport: addresses, TCP, TLS
``names``           from a name to its addresses
``tls``             which TLS context, and which protocols it offers
``verification``    the ``ssl`` argument: what TLS verifies
``proxy_dialing``   connections to a server by way of a proxy
``tunnel``          the handshake with a proxy, and the transport behind it
==================  =======================================================================
"""
