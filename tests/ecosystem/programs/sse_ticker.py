"""aiohttp-sse: events with names and numbers, to a client that goes on where it stopped."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestClient
from aiohttp_sse import EventSourceResponse, sse_response
from program import run

GONE = web.AppKey("GONE", asyncio.Event)


async def ticker(request: web.Request) -> web.StreamResponse:
    first = int(request.headers.get("Last-Event-Id", "0")) + 1
    async with sse_response(request) as response:
        for number in range(first, 4):
            await response.send(f"tick\nnumber {number}", id=str(number), event="tick", retry=100)
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    response = EventSourceResponse(sep="\n", ping_interval=0.05)
    await response.prepare(request)
    try:
        async with response:
            await response.send("hello")
            await response.wait()
    finally:
        request.app[GONE].set()
    return response


async def version(request: web.Request) -> web.Response:
    return web.Response()


async def prepare(app: web.Application) -> None:
    app[GONE] = asyncio.Event()


def make_app() -> web.Application:
    app = web.Application()
    app.on_startup.append(prepare)
    app.add_routes(
        [web.get("/version", version), web.get("/ticker", ticker), web.get("/endless", endless)]
    )
    return app


def events(text: str) -> list[dict[str, list[str]]]:
    found = []
    for block in text.strip().split("\r\n\r\n"):
        event: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, _, value = line.partition(": ")
            event.setdefault(name, []).append(value)
        found.append(event)
    return found


async def check(client: TestClient) -> None:
    for last in (0, 2):
        headers = {"Last-Event-Id": str(last)} if last else {}
        async with client.get("/ticker", headers=headers) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            assert response.headers["Cache-Control"] == "no-cache"
            assert events(await response.text()) == [
                {
                    "id": [str(n)],
                    "event": ["tick"],
                    "data": ["tick", f"number {n}"],
                    "retry": ["100"],
                }
                for n in range(last + 1, 4)
            ]
    async with client.get("/endless") as response:
        assert await response.content.readline() == b"data: hello\n"
        assert await response.content.readline() == b"\n"
        assert (await response.content.readline()).startswith(b": ping")
    # The client has left, and the next ping finds that out.
    await asyncio.wait_for(client.app[GONE].wait(), 30)


run(make_app, check)
