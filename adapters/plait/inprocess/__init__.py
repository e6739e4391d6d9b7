"""Requests to a server of the same process, without sockets.  Ours, not aiohttp's names."""
