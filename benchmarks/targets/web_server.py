"""A server on ``web.Application``: ``python -m benchmarks.targets.web_server LIBRARY PORT``.

LIBRARY is ``plait`` or ``aiohttp``.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_CHUNK = bytes(65536)


def make_app(library: str) -> Any:
    """Return ``LIBRARY.web`` and the application that both libraries run."""
    web = importlib.import_module(f"{library}.web")
    message_types = importlib.import_module(library).WSMsgType

    async def hello(request: Any) -> Any:
        return web.Response(text="Hello, World!")

    async def user(request: Any) -> Any:
        return web.Response(text=request.match_info["name"])

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
            web.get("/user/{name}", user),
            web.get("/ws", echo),
            web.get("/download", download),
            web.put("/upload", upload),
        ]
    )
    return web, app


if __name__ == "__main__":
    _web, _app = make_app(sys.argv[1])
    _web.run_app(_app, host="127.0.0.1", port=int(sys.argv[2]), access_log=None, print=None)
