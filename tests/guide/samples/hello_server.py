"""A server that greets: ``hello_server.py PORT``."""

import sys

from plait import web


async def handle(request):
    name = request.match_info.get("name", "World")
    return web.Response(text=f"Hello, {name}!")


app = web.Application()
app.add_routes([web.get("/", handle), web.get("/{name}", handle)])

web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
