"""New Relic's agent: it wraps the application, its handlers and the client's requests."""

from __future__ import annotations

import newrelic.agent
from aiohttp import web
from aiohttp.test_utils import TestClient
from program import run

newrelic.agent.initialize()
settings = newrelic.agent.global_settings()
settings.app_name = "test"
settings.license_key = "x" * 40
settings.developer_mode = True  # Nothing is sent.
newrelic.agent.register_application(timeout=10)

SEEN = web.AppKey("SEEN", list[str])


def note(request: web.Request) -> None:
    transaction = newrelic.agent.current_transaction()
    assert transaction is not None
    request.app[SEEN].append(transaction.name.replace(":", ".").rpartition(".")[2])


async def hello(request: web.Request) -> web.Response:
    note(request)
    return web.json_response({"traced": "traceparent" in request.headers})


async def fail(request: web.Request) -> web.Response:
    note(request)
    raise web.HTTPConflict


class Page(web.View):
    async def get(self) -> web.StreamResponse:
        note(self.request)
        response = web.StreamResponse()
        await response.prepare(self.request)
        await response.write(b"page")
        return response


async def echo(request: web.Request) -> web.WebSocketResponse:
    assert newrelic.agent.current_transaction() is None
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        await websocket.send_str(message.data)
    return websocket


async def version(request: web.Request) -> web.Response:
    return web.Response()


def make_app() -> web.Application:
    app = web.Application()
    app[SEEN] = []
    app.add_routes(
        [
            web.get("/version", version),
            web.get("/hello", hello),
            web.get("/fail", fail),
            web.view("/page", Page),
            web.get("/echo", echo),
        ]
    )
    return app


@newrelic.agent.background_task()
async def ask(client: TestClient) -> list[str]:
    """Return what the client's requests were traced as."""
    async with client.get("/hello") as response:
        assert await response.json() == {"traced": True}
    trace = newrelic.agent.current_trace()
    return [f"{child.library} {child.method}" for child in trace.children]


async def check(client: TestClient) -> None:
    async with client.get("/hello") as response:
        assert await response.json() == {"traced": False}
    async with client.get("/fail") as response:
        assert response.status == 409
    async with client.get("/page") as response:
        assert await response.text() == "page"
    async with client.ws_connect("/echo") as websocket:
        await websocket.send_str("a")
        assert await websocket.receive_str() == "a"
    assert await ask(client) == ["aiohttp GET"]
    assert client.app is not None
    assert client.app[SEEN] == ["hello", "fail", "get", "hello"]


run(make_app, check)
