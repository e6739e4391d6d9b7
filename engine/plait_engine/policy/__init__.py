"""Decisions that need no I/O: those of a client, and of a server in ``admission`` and ``lifetimes``.

=================  ==================================================================
``pool``           which request gets which connection, and when to open or close one
``pool_events``    what the pool says is to be done
``slots``          what the pool knows: the connections of each key
``queue``          the tickets that wait for a connection of one key
``stats``          what a pool has at this moment, in figures
``call``           one call, through its redirects and retries
``redirect``       what the next request is, after a redirect
``retry``          whether a request that failed may be sent again at once
``backoff``        whether and when one is sent again after a pause
``deadlines``      the deadlines of calls: which runs when, and all on one timer
``interruption``   why an exchange was cut short
``event_source``   when a source of server-sent events is asked again
``cookies``        what a Set-Cookie field says (RFC 6265bis section 5)
``cookie_store``   which cookies are kept, and which are sent (sections 5.7 and 5.8)
``cookie_file``    cookies as a text that can be kept
``auth``           Basic authentication (RFC 7617)
``digest``         Digest authentication (RFC 7616)
``secrecy``        what may stand in a log
``addresses``      what names mean: how long that is good, and which address is first
``hosts``          which hosts are IP addresses, and which only look like one
``versions``       which version of HTTP is offered and spoken
``client_config``  what a client's connections allow, and how long they end
``admission``      which requests get a handler now, which wait, which are refused
``lifetimes``      how long a server's connections live
=================  ==================================================================

Time is an argument everywhere, so a test turns the clock by hand.
"""
