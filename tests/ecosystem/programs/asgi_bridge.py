"""aiohttp-asgi: an application of ASGI below a path, for requests, streams and WebSockets."""

from __future__ import annotations

from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient
from aiohttp_asgi import ASGIResource
from program import run


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Echo: method, path, query and content of a request, the texts of a WebSocket."""
    if scope["type"] == "websocket":
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": (message["text"] or "").upper()})
        return
    assert scope["type"] == "http"
    content = b""
    more = True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
    head = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} "
    headers = [(b"content-type", b"text/plain"), (b"x-http", scope["http_version"].encode())]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": head.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": content})


async def version(request: web.Request) -> web.Response:
    return web.Response()


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/version", version)
    app.router.register_resource(ASGIResource(asgi, root_path="/asgi"))
    return app


async def check(client: TestClient) -> None:
    async with client.get("/asgi/a/b", params={"q": "1"}) as response:
        assert (response.status, await response.text()) == (202, "GET /asgi/a/b q=1 ")
        assert response.headers["X-HTTP"]
    async with client.post("/asgi/in", data=b"x" * 200_000) as response:
        assert await response.text() == "POST /asgi/in  " + "x" * 200_000
    async with client.ws_connect("/asgi/ws") as websocket:
        await websocket.send_str("hello")
        message = await websocket.receive()
        assert (message.type, message.data) == (WSMsgType.TEXT, "HELLO")
    async with client.get("/elsewhere") as response:
        assert response.status == 404


run(make_app, check)
