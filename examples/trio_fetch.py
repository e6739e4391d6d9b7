"""Fetch URLs at once on trio, those of a server over the connections of one pool: ``python examples/trio_fetch.py URL...``."""

from __future__ import annotations

import sys

import trio

import plait_trio


async def show(session: plait_trio.Session, url: str) -> None:
    response = await session.get(url)
    size = len(response.body)
    print(f"{url}: {response.status} over HTTP/{response.http_version}, {size:,} bytes")


async def main(urls: list[str]) -> None:
    with trio.fail_after(30):
        async with plait_trio.Session() as session, trio.open_nursery() as nursery:
            for url in urls:
                nursery.start_soon(show, session, url)


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    trio.run(main, sys.argv[1:])
