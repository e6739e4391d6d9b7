"""What takes several requests: sources of events, downloads.  Ours, not aiohttp's names."""
