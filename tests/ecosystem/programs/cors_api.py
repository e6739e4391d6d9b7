"""aiohttp-cors: what a page of another origin may ask for, and what it may see."""

from __future__ import annotations

import aiohttp_cors
from aiohttp import web
from aiohttp.test_utils import TestClient
from program import run

ORIGIN = "https://client.example"


async def item(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["name"], headers={"X-Seen": "1", "X-Hidden": "1"})


class View(web.View, aiohttp_cors.CorsViewMixin):
    async def get(self) -> web.Response:
        return web.Response(text="view")


async def version(request: web.Request) -> web.Response:
    return web.Response()


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/version", version)
    cors = aiohttp_cors.setup(
        app,
        defaults={
            ORIGIN: aiohttp_cors.ResourceOptions(
                allow_credentials=True,
                expose_headers=("X-Seen",),
                allow_headers=("X-Asked",),
                max_age=3600,
            )
        },
    )
    resource = cors.add(app.router.add_resource("/item/{name}"))
    cors.add(resource.add_route("GET", item))
    cors.add(resource.add_route("PUT", item), {"*": aiohttp_cors.ResourceOptions()})
    cors.add(app.router.add_view("/view", View))
    app.router.add_get("/private", version)
    return app


async def check(client: TestClient) -> None:
    async with client.get("/item/a", headers={"Origin": ORIGIN}) as response:
        assert await response.text() == "a"
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Access-Control-Expose-Headers"] == "X-Seen"
    async with client.get("/item/a", headers={"Origin": "https://other.example"}) as response:
        assert response.status == 200
        assert "Access-Control-Allow-Origin" not in response.headers
    preflight = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "X-Asked",
    }
    async with client.options("/item/a", headers=preflight) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Access-Control-Allow-Methods"] == "GET"
        assert response.headers["Access-Control-Allow-Headers"] == "X-ASKED"
        assert response.headers["Access-Control-Max-Age"] == "3600"
    refused = {**preflight, "Access-Control-Request-Headers": "X-Other"}
    async with client.options("/item/a", headers=refused) as response:
        assert response.status == 403
        assert "X-OTHER" in (await response.text()).upper()
    async with client.get("/view", headers={"Origin": ORIGIN}) as response:
        assert await response.text() == "view"
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    async with client.options("/private", headers=preflight) as response:
        assert response.status == 405


run(make_app, check)
