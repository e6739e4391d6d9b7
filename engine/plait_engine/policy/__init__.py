"""Decisions that need no I/O: those of a client and, in ``admission``, of a server.

``pool``          which request gets which connection, and when to open or close one
``stats``         what a pool has at this moment, in figures
``redirect``      what the next request is, after a redirect
``retry``         whether a request that failed may be sent again
``cookies``       which cookies are stored, and which are sent (RFC 6265bis)
``event_source``  when a source of server-sent events is asked again
``event_source``   when a source of server-sent events is asked again
``auth``          Basic authentication (RFC 7617)
``deadlines``     the deadlines of calls: which runs when, and all on one timer
``addresses``     what names mean: how long that is good, and which address is first
``versions``      which version of HTTP is offered and spoken
``hosts``         which hosts are IP addresses, and which only look like one
``interruption``  why an exchange was cut short
``admission``     which requests get a handler now, which wait, which are refused
================  ==================================================================
=======
=================  ==================================================================
``pool``           which request gets which connection, and when to open or close one
``stats``          what a pool has at this moment, in figures
``redirect``       what the next request is, after a redirect
``retry``          whether a request that failed may be sent again
``cookies``        which cookies are stored, and which are sent (RFC 6265bis)
``auth``           Basic authentication (RFC 7617)
``deadlines``      the deadlines of calls: which runs when, and all on one timer
``addresses``      what names mean: how long that is good, and which address is first
``client_config``  what a client's connections allow, and how long they end
``versions``       which version of HTTP is offered and spoken
``hosts``          which hosts are IP addresses, and which only look like one
``interruption``   why an exchange was cut short
``admission``      which requests get a handler now, which wait, which are refused
=================  ==================================================================

Time is an argument everywhere, so a test turns the clock by hand.
"""
