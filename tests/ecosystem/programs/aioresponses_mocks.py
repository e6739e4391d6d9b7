"""aioresponses: answers that a test makes up, beside requests that go to a server."""

from __future__ import annotations

import asyncio
import re

import pytest
from aiohttp import ClientConnectionError, ClientResponseError, ClientSession, FormData, web
from aioresponses import CallbackResult, aioresponses
from program import use
from yarl import URL


async def real(request: web.Request) -> web.Response:
    return web.Response(text="real")


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/real", real)
    return app


async def check(url: str, app: web.Application) -> None:
    elsewhere = "http://elsewhere.example"
    async with ClientSession(f"{elsewhere}/", headers={"X-Session": "1"}) as session:
        with aioresponses(passthrough=[url]) as mocked:
            await _answers(session, mocked, elsewhere)
            async with session.get(f"{url}/real") as response:
                assert await response.text() == "real"
        async with session.get(f"{url}/real") as response:
            assert await response.text() == "real"


async def _answers(session: ClientSession, mocked: aioresponses, elsewhere: str) -> None:
    mocked.get(
        f"{elsewhere}/json?a=1&b=2",
        payload={"x": [1]},
        headers={"Set-Cookie": "k=v"},
    )
    async with session.get("json", params={"b": "2", "a": "1"}) as response:
        assert response.status == 200, response
        assert response.method == "get"
        assert await response.json() == {"x": [1]}
        assert response.cookies["k"].value == "v"
        assert response.content_type == "application/json"
        assert response.url.path == "/json"

    mocked.get(f"{elsewhere}/stream", body=b"line 1\nline 2\n", repeat=True)
    for _ in range(2):
        async with session.get("stream") as response:
            assert [line async for line in response.content] == [b"line 1\n", b"line 2\n"]

    mocked.get(f"{elsewhere}/broken", exception=ClientConnectionError("gone"))
    mocked.get(f"{elsewhere}/slow", timeout=True)
    for path, expected in (("broken", ClientConnectionError), ("slow", asyncio.TimeoutError)):
        with pytest.raises(expected):
            await session.get(path)

    mocked.get(f"{elsewhere}/old", status=307, headers={"Location": "/new"})
    mocked.get(f"{elsewhere}/new", status=404, body="not here")
    async with session.get("old") as response:
        assert [str(answer.url) for answer in response.history] == [f"{elsewhere}/old"]
        with pytest.raises(ClientResponseError) as caught:
            response.raise_for_status()
        assert (caught.value.status, caught.value.request_info.real_url.path) == (404, "/new")

    def count(url: URL, **options: object) -> CallbackResult:
        return CallbackResult(status=201, payload={"fields": len(options["data"]._fields)})

    mocked.post(re.compile(r"^http://elsewhere\.example/form.*$"), callback=count)
    form = FormData({"a": "1"})
    form.add_field("file", b"content", filename="a.bin")
    async with session.post("form?x=1", data=form) as response:
        assert await response.json() == {"fields": 2}
    [call] = mocked.requests["POST", URL(f"{elsewhere}/form?x=1")]
    assert call.kwargs["headers"]["x-session"] == "1"
    assert len(mocked.requests["GET", URL(f"{elsewhere}/stream")]) == 2


use(make_app, check)
