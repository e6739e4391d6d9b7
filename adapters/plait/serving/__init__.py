"""What the server is made of, beside the modules that have aiohttp's names."""
