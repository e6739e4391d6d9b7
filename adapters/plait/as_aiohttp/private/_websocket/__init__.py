"""``aiohttp._websocket``: messages to and from frames, as libraries and tests use it.

plait's engine does that below ``WebSocketBase``.  The writer and the reader here wrap the same
``MessageWriter`` and ``MessageReader`` for whoever has a transport, or bytes, of its own.
"""
