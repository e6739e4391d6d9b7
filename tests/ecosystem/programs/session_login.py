"""aiohttp-session: a counter and a login, in a cookie that is encrypted, and in one that is not."""

from __future__ import annotations

import os

from aiohttp import web
from aiohttp.test_utils import TestClient
from aiohttp_session import SimpleCookieStorage, get_session, new_session, setup
from aiohttp_session.cookie_storage import EncryptedCookieStorage
from program import run


async def count(request: web.Request) -> web.Response:
    session = await get_session(request)
    session["visits"] = session.get("visits", 0) + 1
    return web.json_response({"visits": session["visits"], "user": session.get("user")})


async def login(request: web.Request) -> web.Response:
    session = await new_session(request)
    session["user"] = (await request.post())["user"]
    raise web.HTTPSeeOther("/count")


async def logout(request: web.Request) -> web.Response:
    (await get_session(request)).invalidate()
    return web.Response(text="bye")


def part(storage: object) -> web.Application:
    app = web.Application()
    setup(app, storage)
    app.add_routes(
        [web.get("/count", count), web.post("/login", login), web.post("/logout", logout)]
    )
    return app


async def version(request: web.Request) -> web.Response:
    return web.Response()


def make_app() -> web.Application:
    key = os.urandom(32)
    app = web.Application()
    app.router.add_get("/version", version)
    app.add_subapp("/plain", part(SimpleCookieStorage(cookie_name="PLAIN")))
    app.add_subapp(
        "/encrypted",
        part(EncryptedCookieStorage(key, cookie_name="SECRET", httponly=True, samesite="Strict")),
    )
    return app


async def visits(client: TestClient, prefix: str) -> dict[str, object]:
    async with client.get(f"{prefix}/count") as response:
        assert response.status == 200, await response.text()
        answer: dict[str, object] = await response.json()
        return answer


async def check(client: TestClient) -> None:
    for prefix, cookie in (("/plain", "PLAIN"), ("/encrypted", "SECRET")):
        assert await visits(client, prefix) == {"visits": 1, "user": None}
        assert await visits(client, prefix) == {"visits": 2, "user": None}
        async with client.post(
            f"{prefix}/login", data={"user": "Ann"}, allow_redirects=False
        ) as response:
            assert response.status == 303
            morsel = response.cookies[cookie]
            assert morsel["path"] == "/"
            assert morsel["httponly"]
            assert ("Ann" in morsel.value) == (cookie == "PLAIN")
        assert await visits(client, prefix) == {"visits": 1, "user": "Ann"}
        async with client.post(f"{prefix}/logout") as response:
            assert await response.text() == "bye"
        assert await visits(client, prefix) == {"visits": 1, "user": None}


run(make_app, check)
