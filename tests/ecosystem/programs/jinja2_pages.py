"""aiohttp-jinja2: pages from templates, with routes by name, context processors and filters."""

from __future__ import annotations

import aiohttp_jinja2
import jinja2
from aiohttp import web
from aiohttp.test_utils import TestClient
from program import run

TEMPLATES = {
    "base.html": "<title>{% block title %}{% endblock %}</title>{{ body() if body else '' }}",
    "item.html": "{% extends 'base.html' %}{% block title %}{{ item|shout }} for {{ user }} at"
    " {{ url('item', name=item) }} {{ app['site'] }}{% endblock %}",
}


@aiohttp_jinja2.template("item.html")
async def item(request: web.Request) -> dict[str, object]:
    return {"item": request.match_info["name"]}


class Page(web.View):
    @aiohttp_jinja2.template("item.html", status=201)
    async def post(self) -> dict[str, object]:
        return {"item": (await self.request.post())["name"]}


async def rendered(request: web.Request) -> web.Response:
    response = await aiohttp_jinja2.render_template_async("item.html", request, {"item": "<&>"})
    return response


async def no_template(request: web.Request) -> web.Response:
    return aiohttp_jinja2.render_template("missing.html", request, {})


async def user(request: web.Request) -> dict[str, str]:
    return {"user": request.query.get("user", "nobody")}


def make_app() -> web.Application:
    app = web.Application()
    app["site"] = "example"
    aiohttp_jinja2.setup(
        app,
        loader=jinja2.DictLoader(TEMPLATES),
        context_processors=[user, aiohttp_jinja2.request_processor],
        filters={"shout": str.upper},
        enable_async=True,
    )
    app.add_routes(
        [
            web.get("/version", rendered),
            web.get("/item/{name}", item, name="item"),
            web.view("/page", Page),
            web.get("/rendered", rendered),
            web.get("/none", no_template),
        ]
    )
    return app


async def check(client: TestClient) -> None:
    async with client.get("/item/book", params={"user": "Ann"}) as response:
        assert response.status == 200, response.status
        assert response.content_type == "text/html"
        text = await response.text()
        assert text == "<title>BOOK for Ann at /item/book example</title>", text
    async with client.post("/page", data={"name": "pen"}) as response:
        assert (response.status, await response.text()) == (
            201,
            "<title>PEN for nobody at /item/pen example</title>",
        )
    async with client.get("/rendered") as response:
        assert "&lt;&amp;&gt; for nobody" in await response.text()
    async with client.get("/none") as response:
        assert response.status == 500


run(make_app, check)
