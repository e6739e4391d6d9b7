"""A server with routes, JSON and a WebSocket: ``python examples/server.py [PORT]``.

It speaks HTTP/1.1 and, to clients that begin with it, HTTP/2:

    curl http://127.0.0.1:8080/greet/you
    curl --http2-prior-knowledge http://127.0.0.1:8080/greet/you
    curl --json '[3, 1, 2]' http://127.0.0.1:8080/sorted
"""

from __future__ import annotations

import sys

from plait import WSMsgType, web

routes = web.RouteTableDef()


@routes.get("/greet/{name}")
async def greet(request: web.Request) -> web.Response:
    return web.Response(text=f"Hello, {request.match_info['name']}!\n")


@routes.post("/sorted")
async def sort(request: web.Request) -> web.Response:
    return web.json_response(sorted(await request.json()))


@routes.get("/echo")
async def echo(request: web.Request) -> web.StreamResponse:
    """A WebSocket; whether HTTP/1.1 or HTTP/2 carries it makes no difference here."""
    websocket = web.WebSocketResponse(heartbeat=30)
    await websocket.prepare(request)
    async for message in websocket:
        if message.type is WSMsgType.TEXT:
            await websocket.send_str(message.data)
    return websocket


if __name__ == "__main__":
    app = web.Application()
    app.add_routes(routes)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]) if sys.argv[1:] else 8080)
