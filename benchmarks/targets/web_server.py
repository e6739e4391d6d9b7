"""A server on ``web.Application``: ``python -m benchmarks.targets.web_server LIBRARY PORT APP``.

LIBRARY is ``plait`` or ``aiohttp``.  APP is ``pages``, which this module has, or ``json``.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from . import json_app

_CHUNK = bytes(65536)


def make_app(web: Any, message_types: Any) -> Any:  # Any: plait's or aiohttp's
    """Return the application for a library's ``web`` module and its ``WSMsgType``."""

    async def hello(request: Any) -> Any:
        return web.Response(text="Hello, World!")

    async def item(request: Any) -> Any:
        page = int(request.query["page"])
        session = request.cookies["session"]
        response = web.Response(text=f"{request.match_info['name']}, page {page}, {session}")
        response.headers["X-Request-Id"] = request.headers["X-Request-Id"]
        return response

    async def echo(request: Any) -> Any:
        websocket = web.WebSocketResponse(compress=False)
        await websocket.prepare(request)
        async for message in websocket:
            if message.type is message_types.BINARY:
                await websocket.send_bytes(message.data)
        return websocket

    async def download(request: Any) -> Any:
        size = int(request.query["size"])
        response = web.StreamResponse(headers={"Content-Length": str(size)})
        await response.prepare(request)
        while size > 0:
            await response.write(_CHUNK if size >= len(_CHUNK) else _CHUNK[:size])
            size -= len(_CHUNK)
        await response.write_eof()
        return response

    async def upload(request: Any) -> Any:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
        return web.Response(text=str(size))

    app = web.Application(client_max_size=0)
    app.add_routes(
        [
            web.get("/", hello),
            web.get("/item/{name}", item),
            web.get("/ws", echo),
            web.get("/download", download),
            web.put("/upload", upload),
        ]
    )
    return app


def main(library: str, port: int, name: str) -> None:
    """Serve until a signal comes."""
    web = importlib.import_module(f"{library}.web")
    if name == "json":
        app = json_app.make_app(web)
    else:
        app = make_app(web, importlib.import_module(library).WSMsgType)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
