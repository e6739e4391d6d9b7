"""plait: aiohttp's API with HTTP/2 everywhere, on a sans-IO engine."""

__version__ = "0.1.0"
