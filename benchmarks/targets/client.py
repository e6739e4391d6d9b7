"""A client: ``python -m benchmarks.targets.client LIBRARY REQUESTS BASE CONCURRENCY [CA_FILE]``.

REQUESTS is ``hello``, always the same, or ``varied``, of which each has another path, other
parameters and other fields.  BASE is the origin.  It reads a number of requests a line from
standard input, does them, CONCURRENCY at once over one session, and answers with its CPU time
in seconds.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import parse_qsl

from benchmarks import traffic

Call = tuple[str, dict[str, Any]]
"""A URL and the keyword arguments of ``session.get``."""

_FIELDS = ("Accept-Language", "Cache-Control", "Referer", "X-Request-Id")
"""What a request has of its own; the others are the session's."""


def _calls(requests: str, base: str) -> list[Call]:
    if requests == "hello":
        return [(f"{base}/", {})]
    calls: list[Call] = []
    for request in traffic.varied():
        path, _, query = request.target.partition("?")
        headers = {name: value for name, value in request.fields if name in _FIELDS}
        calls.append((base + path, {"params": dict(parse_qsl(query)), "headers": headers}))
    return calls


async def _worker(session: Any, calls: Iterator[Call], count: int) -> None:
    for _ in range(count):
        url, options = next(calls)
        async with session.get(url, **options) as response:
            body = await response.read()
            if response.status != 200 or body != b"Hello, World!":
                raise RuntimeError(f"{response.status} {body!r}")
            if options and response.headers["X-Request-Id"] != options["headers"]["X-Request-Id"]:
                raise RuntimeError("the answer to another request")


async def main(
    library: str, requests: str, base: str, concurrency: int, ca_file: str | None = None
) -> None:
    """Serve commands until standard input ends."""
    client: Any = importlib.import_module(library)
    calls = cycle(_calls(requests, base))
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    options = {"ssl": context} if context else {}
    async with client.ClientSession(connector=client.TCPConnector(**options)) as session:
        while line := sys.stdin.readline():
            share, rest = divmod(int(line), concurrency)
            before = time.process_time()
            await asyncio.gather(
                *(_worker(session, calls, share + (i < rest)) for i in range(concurrency))
            )
            print(time.process_time() - before, flush=True)


if __name__ == "__main__":
    _library, _requests, _base, _concurrency, *_ca_file = sys.argv[1:]
    asyncio.run(main(_library, _requests, _base, int(_concurrency), *_ca_file))
