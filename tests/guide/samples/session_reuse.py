"""One session for all requests, and one for each: ``session_reuse.py URL...``."""

import asyncio
import sys

import plait


async def good(urls):
    async with plait.ClientSession() as session:
        for url in urls:
            async with session.get(url) as response:
                data = await response.text()
                print(data)


async def bad(urls):
    for url in urls:
        async with plait.ClientSession() as session:
            async with session.get(url) as response:
                data = await response.text()
                print(data)


asyncio.run(good(sys.argv[1:]))
asyncio.run(bad(sys.argv[1:]))
