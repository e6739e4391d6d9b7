"""A client: ``python -m benchmarks.targets.client LIBRARY URL CONCURRENCY [CA_FILE]``.

It reads a number of requests a line from standard input, does them, CONCURRENCY at once
over one session, and answers with its CPU time in seconds.
"""

from __future__ import annotations

import asyncio
import importlib
import resource
import ssl
import sys
from typing import Any


def cpu_seconds() -> float:
    """Return user and system time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _worker(session: Any, url: str, count: int) -> None:
    for _ in range(count):
        async with session.get(url) as response:
            body = await response.read()
            if response.status != 200 or body != b"Hello, World!":
                raise RuntimeError(f"{response.status} {body!r}")


async def main(library: str, url: str, concurrency: int, ca_file: str | None = None) -> None:
    """Serve commands until standard input ends."""
    client: Any = importlib.import_module(library)
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    options = {"ssl": context} if context else {}
    async with client.ClientSession(connector=client.TCPConnector(**options)) as session:
        while line := sys.stdin.readline():
            share, rest = divmod(int(line), concurrency)
            before = cpu_seconds()
            await asyncio.gather(
                *(_worker(session, url, share + (i < rest)) for i in range(concurrency))
            )
            print(cpu_seconds() - before, flush=True)


if __name__ == "__main__":
    _library, _url, _concurrency, *_ca_file = sys.argv[1:]
    asyncio.run(main(_library, _url, int(_concurrency), *_ca_file))
