"""What a client says to a proxy.  No I/O.

=============  =======================================================================
``choice``     which proxy is for a host, which are for none (``NO_PROXY``), and whether
               it forwards requests or carries a tunnel
``forward``    requests that a proxy forwards (RFC 9112 section 3.2.2)
``login``      the credentials for a proxy, and its challenges (RFC 9110 section 11.7)
``handshake``  what is said before a tunnel is there: the machine that both kinds have in
               common
``connect``    CONNECT (RFC 9110 section 9.3.6)
``socks``      SOCKS 4, 4a and 5 (RFC 1928 and RFC 1929)
``attempts``   which of them is next, and whether another one follows
=============  =======================================================================

A tunnel that is there is a transport like any other.
"""
