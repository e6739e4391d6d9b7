"""vcrpy: requests that go to a server once, and are answered from a file from then on."""

from __future__ import annotations

import tempfile

import vcr
from aiohttp import ClientSession, CookieJar, web
from program import use

ASKED = web.AppKey("ASKED", list[str])


async def echo(request: web.Request) -> web.Response:
    request.app[ASKED].append(request.path_qs)
    cookies = {"Set-Cookie": "a=b; Expires=Wed, 21 Oct 2015 07:28:00 GMT"}
    return web.json_response({"content": await request.text()}, headers=cookies)


async def moved(request: web.Request) -> web.Response:
    raise web.HTTPFound("/echo?moved")


async def empty(request: web.Request) -> web.Response:
    request.app[ASKED].append(request.path_qs)
    return web.Response(status=204)


def make_app() -> web.Application:
    app = web.Application()
    app[ASKED] = []
    app.add_routes(
        [
            web.get("/moved", moved),
            web.get("/empty", empty),
            web.route("*", "/echo", echo),
        ]
    )
    return app


async def check(url: str, app: web.Application) -> None:
    with tempfile.TemporaryDirectory() as folder:
        recorder = vcr.VCR(cassette_library_dir=folder, match_on=["method", "uri", "body"])
        for _ in range(3):
            jar = CookieJar(unsafe=True)
            with recorder.use_cassette("calls.yaml"):
                async with ClientSession(cookie_jar=jar) as session:
                    await _calls(session, url)
    assert app[ASKED] == ["/echo?q=1", "/echo?moved", "/empty"]


async def _calls(session: ClientSession, url: str) -> None:
    async with session.post(f"{url}/echo", params={"q": "1"}, json={"x": 1}) as response:
        assert response.status == 200
        assert response.url.query_string == "q=1"
        assert await response.json() == {"content": '{"x": 1}'}
        assert response.cookies["a"].value == "b"
    async with session.get(f"{url}/moved") as response:
        assert [answer.status for answer in response.history] == [302]
        assert await response.text() == '{"content": ""}'
    response = await session.get(f"{url}/empty")
    response.close()
    assert await response.content.read() == b""


use(make_app, check)
