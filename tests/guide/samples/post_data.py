"""Post JSON: ``post_data.py URL``."""

import asyncio
import sys

import plait


async def post_data(url, data):
    async with plait.ClientSession() as session:
        async with session.post(url, json=data) as response:
            return await response.json()


result = asyncio.run(post_data(sys.argv[1], {"key": "value"}))
print(result["user"]["key"])
