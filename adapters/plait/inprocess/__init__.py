"""Requests to a server of the same process, without sockets.  Ours, not aiohttp's names.

===============  ====================================================================
``connector``    a connector whose connections are in memory
``application``  ``ClientSession(app=...)``: the connector that starts an application
===============  ====================================================================
"""
