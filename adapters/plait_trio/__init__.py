"""plait on trio: serve a handler and fetch a URL, on the same engine as the asyncio adapter."""
