"""Fetch one page: ``fetch.py URL``."""

import asyncio
import sys

import plait


async def fetch(url):
    async with plait.ClientSession() as session:
        async with session.get(url) as response:
            return await response.text()


async def main():
    html = await fetch(sys.argv[1])
    print(html)


asyncio.run(main())
