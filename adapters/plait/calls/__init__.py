"""What the client is made of: calls, exchanges, timeouts, TLS.  Ours, not aiohttp's names."""
