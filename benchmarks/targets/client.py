"""A client: ``python -m benchmarks.targets.client LIBRARY REQUESTS BASE CONCURRENCY [CA_FILE]``.

REQUESTS is ``hello``, always the same; ``varied``, of which each has another path, other
parameters and other fields; or ``watched``: hello with tracing, a middleware and cookies in both
directions, for a library with aiohttp's API.  BASE is the origin.  It reads a number of requests
a line from standard input, does them, CONCURRENCY at once over one session, and answers with its
CPU time in seconds.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from benchmarks import traffic


class Call(NamedTuple):
    """A request, and what its answer must be."""

    url: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes = b"Hello, World!"


Answer = tuple[Any, bytes]
"""The response of whatever library, which has headers, and its body."""
Fetch = Callable[[Call], Awaitable[Answer]]
Open = Callable[[str | None], AbstractAsyncContextManager[Fetch]]

_FIELDS = ("Accept-Language", "Cache-Control", "Referer", "X-Request-Id")
"""What a request has of its own; the others are the session's."""
_COOKIES = {"session": "3f1c9a7be0d24586", "theme": "dark", "csrf": "aGVsbG8gd29ybGQ"}


def _calls(requests: str, base: str) -> list[Call]:
    if requests == "hello":
        return [Call(f"{base}/", {}, {})]
    if requests == "watched":
        return [Call(f"{base}/cookies", {}, {}, " ".join(_COOKIES.values()).encode())]
    calls: list[Call] = []
    for request in traffic.varied():
        path, _, query = request.target.partition("?")
        headers = {name: value for name, value in request.fields if name in _FIELDS}
        calls.append(Call(base + path, dict(parse_qsl(query)), headers))
    return calls


# -- the libraries -------------------------------------------------------------------------


def _session(library: str, *, watched: bool) -> Open:
    """Return what opens a session of plait or aiohttp."""
    client: Any = importlib.import_module(library)

    @asynccontextmanager
    async def open_session(ca_file: str | None) -> AsyncIterator[Fetch]:
        context = ssl.create_default_context(cafile=ca_file) if ca_file else True
        options = _watch(client) if watched else {}
        async with client.ClientSession(
            connector=client.TCPConnector(ssl=context), **options
        ) as session:

            async def fetch(call: Call) -> Answer:
                options: dict[str, Any] = {}
                if call.params:
                    options = {"params": call.params, "headers": call.headers}
                async with session.get(call.url, **options) as response:
                    return response, await response.read()

            yield fetch

    return open_session


def _watch(client: Any) -> dict[str, Any]:
    """Return the options of a session that is watched as telemetry does it."""
    trace = client.TraceConfig(trace_config_ctx_factory=lambda trace_request_ctx: {})

    async def note(session: Any, context: dict[str, float], params: Any) -> None:
        context[type(params).__name__] = time.monotonic()

    for signal in (
        trace.on_request_start,
        trace.on_request_headers_sent,
        trace.on_connection_reuseconn,
        trace.on_response_chunk_received,
        trace.on_request_end,
    ):
        signal.append(note)

    async def identify(request: Any, handler: Any) -> Any:
        request.headers["X-Request-Id"] = "6d1f4c02"
        return await handler(request)

    jar = client.CookieJar(unsafe=True)  # The origin is an address.
    jar.update_cookies(_COOKIES)
    return {"trace_configs": [trace], "middlewares": [identify], "cookie_jar": jar}


@asynccontextmanager
async def _open_httpx(ca_file: str | None) -> AsyncIterator[Fetch]:
    import httpx

    context = ssl.create_default_context(cafile=ca_file) if ca_file else True
    async with httpx.AsyncClient(http2=ca_file is not None, verify=context) as client:

        async def fetch(call: Call) -> Answer:
            response = await client.get(
                call.url, params=call.params or None, headers=call.headers or None
            )
            return response, response.content

        yield fetch


def _open_pyreqwest(ca_file: str | None) -> AbstractAsyncContextManager[Fetch]:
    from pyreqwest.client import ClientBuilder

    builder = ClientBuilder()
    if ca_file is not None:
        builder = builder.add_root_certificate_pem(Path(ca_file).read_bytes())
    return _use_pyreqwest(builder.build())


@asynccontextmanager
async def _use_pyreqwest(made: Any) -> AsyncIterator[Fetch]:
    async with made as client:

        async def fetch(call: Call) -> Answer:
            request = client.get(call.url)
            if call.params:
                request = request.query(call.params).headers(call.headers)
            response = await request.build().send()
            return response, bytes(await response.bytes())

        yield fetch


def _opener(library: str, requests: str) -> Open:
    if library == "httpx":
        return _open_httpx
    if library == "pyreqwest":
        return _open_pyreqwest
    return _session(library, watched=requests == "watched")


# -- the work ------------------------------------------------------------------------------


async def _worker(fetch: Fetch, calls: Iterator[Call], count: int) -> None:
    for _ in range(count):
        call = next(calls)
        response, body = await fetch(call)
        if body != call.body:
            raise RuntimeError(f"{response} {body!r}")
        if call.headers and response.headers["X-Request-Id"] != call.headers["X-Request-Id"]:
            raise RuntimeError("the answer to another request")


async def main(
    library: str, requests: str, base: str, concurrency: int, ca_file: str | None = None
) -> None:
    """Serve commands until standard input ends."""
    calls = cycle(_calls(requests, base))
    async with _opener(library, requests)(ca_file) as fetch:
        while line := sys.stdin.readline():
            share, rest = divmod(int(line), concurrency)
            before = time.process_time()
            await asyncio.gather(
                *(_worker(fetch, calls, share + (i < rest)) for i in range(concurrency))
            )
            print(time.process_time() - before, flush=True)


if __name__ == "__main__":
    _library, _requests, _base, _concurrency, *_ca_file = sys.argv[1:]
    asyncio.run(main(_library, _requests, _base, int(_concurrency), *_ca_file))
