"""Client middlewares that aiohttp has not."""
