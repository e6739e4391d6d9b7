"""A server with a route table, JSON both ways, a middleware and a WebSocket:
``routes_server.py PORT``."""

import sys

import plait
from plait import web

routes = web.RouteTableDef()


@routes.get("/")
async def home(request):
    return web.json_response({"message": "Home"})


@routes.post("/users")
async def create_user(request):
    data = await request.json()
    return web.json_response({"user": data}, status=201)


@routes.get("/broken")
async def broken(request):
    raise RuntimeError("out of order")


@web.middleware
async def error_middleware(request, handler):
    try:
        response = await handler(request)
        return response
    except Exception as ex:
        return web.json_response({"error": str(ex)}, status=500)


async def websocket_handler(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)

    async for msg in ws:
        if msg.type == plait.WSMsgType.TEXT:
            await ws.send_str(f"Echo: {msg.data}")
        elif msg.type == plait.WSMsgType.ERROR:
            break

    return ws


app = web.Application(middlewares=[error_middleware])
app.add_routes(routes)
app.add_routes([web.get("/ws", websocket_handler)])

web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
