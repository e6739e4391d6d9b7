"""Fetch with a deadline: ``timeout.py URL SECONDS``."""

import asyncio
import sys

import plait


async def fetch(url, seconds):
    timeout = plait.ClientTimeout(total=seconds)
    async with plait.ClientSession(timeout=timeout) as session:
        async with session.get(url) as response:
            return await response.text()


try:
    print(asyncio.run(fetch(sys.argv[1], float(sys.argv[2]))))
except TimeoutError:
    print("timeout")
