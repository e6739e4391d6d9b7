"""Download a file: ``python examples/download.py URL FILE``.

Stop it with Ctrl-C and start it again: it goes on where it was, if the server has a strong entity tag.
"""

from __future__ import annotations

import asyncio
import sys

import plait


def show(size: int, total: int | None) -> None:
    share = "" if not total else f" of {total:,} bytes, {100 * size // total} %"
    print(f"\r{size:,}{share}", end="", file=sys.stderr)


async def main(url: str, file: str) -> None:
    async with plait.ClientSession() as session:
        try:
            done = await session.download(url, file, progress=show)
        except plait.ClientError as error:
            sys.exit(f"\n{url}: {error}")
    before = f", {done.resumed_at:,} of them from before" if done.resumed_at else ""
    print(f"\n{done.path}: {done.size:,} bytes{before}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nstopped")
