"""Fetch URLs at once and tell how each came: ``python examples/client.py URL...``.

    python examples/client.py https://example.com/ https://www.python.org/

An ``https`` origin that offers HTTP/2 is asked over one connection, however many of the
URLs are its own.
"""

from __future__ import annotations

import asyncio
import sys

import plait


async def fetch(session: plait.ClientSession, url: str) -> str:
    try:
        async with session.get(url) as response:
            body = await response.read()
    except plait.ClientError as error:
        return f"{url}: {error}"
    assert response.version is not None
    version = f"HTTP/{response.version.major}.{response.version.minor}"
    return f"{url}: {response.status} over {version}, {len(body):,} bytes"


async def main(urls: list[str]) -> None:
    async with plait.ClientSession(timeout=plait.ClientTimeout(total=30)) as session:
        for line in await asyncio.gather(*(fetch(session, url) for url in urls)):
            print(line)


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1:]))
