"""Where bytes are carried: what joins an engine to asyncio, and what stands on it."""
