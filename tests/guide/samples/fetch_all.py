"""Fetch many pages at once: ``fetch_all.py URL...``."""

import asyncio
import sys

import plait


async def fetch_all(urls):
    async with plait.ClientSession() as session:
        tasks = [session.get(url) for url in urls]
        responses = await asyncio.gather(*tasks)
        return [await r.text() for r in responses]


results = asyncio.run(fetch_all(sys.argv[1:]))
print("\n".join(results))
