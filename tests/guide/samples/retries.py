"""Fetch with a deadline and retries: ``retries.py URL SECONDS``."""

import asyncio
import sys

import plait


async def fetch(url, seconds):
    timeout = plait.ClientTimeout(total=seconds)
    retry = plait.RetryMiddleware(attempts=5, pause=0.01)
    async with plait.ClientSession(timeout=timeout, middlewares=[retry]) as session:
        async with session.get(url) as response:
            return response.status, await response.text()


print(*asyncio.run(fetch(sys.argv[1], float(sys.argv[2]))))
