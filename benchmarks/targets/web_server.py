"""A server on ``web.Application`` of plait or aiohttp; ``--help`` says how to call it."""

from __future__ import annotations

import argparse
import importlib
import os
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import json_app

FILE_SIZE = 2**20
_CHUNK = bytes(65536)


def make_app(web: Any, message_types: Any, folder: Path) -> Any:  # Any: plait's or aiohttp's
    """Return the application for a library's ``web`` module and its ``WSMsgType``.

    ``folder``: where it may put the files that it serves.
    """

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

    async def form(request: Any) -> Any:
        size = 0
        async for part in await request.multipart():
            while chunk := await part.read_chunk():
                size += len(chunk)
        return web.Response(text=str(size))

    async def save(request: Any) -> Any:
        file = (await request.post())["file"].file
        return web.Response(text=str(file.seek(0, os.SEEK_END)))

    app = web.Application(client_max_size=0)
    app.add_routes(
        [
            web.get("/", hello),
            web.get("/item/{name}", item),
            web.get("/ws", echo),
            web.get("/download", download),
            web.put("/upload", upload),
            web.post("/form", form),
            web.post("/save", save),
            web.static("/static", folder),
        ]
    )
    (folder / "large.bin").write_bytes(bytes(FILE_SIZE))
    return app


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.targets.web_server")
    parser.add_argument("library", choices=["plait", "aiohttp"])
    parser.add_argument("app", choices=["pages", "json"])
    parser.add_argument("port", type=int)
    parser.add_argument("--certificate", help="PEM file; serve https")
    parser.add_argument("--key", help="PEM file of its private key")
    parser.add_argument(
        "--python-mask", action="store_true", help="mask WebSocket messages in plain Python"
    )
    options = parser.parse_args()
    if options.python_mask:
        sys.modules["websockets.speedups"] = None  # type: ignore[assignment]  # No such module.
    library = importlib.import_module(options.library)
    web = importlib.import_module(f"{options.library}.web")
    context = None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)
        if options.library == "plait":
            context.set_alpn_protocols(["h2", "http/1.1"])
    with tempfile.TemporaryDirectory(prefix="plait-bench-") as folder:
        web.run_app(
            json_app.make_app(web)
            if options.app == "json"
            else make_app(web, library.WSMsgType, Path(folder)),
            host="127.0.0.1",
            port=options.port,
            ssl_context=context,
            keepalive_timeout=3600.0,  # Idle connections stay open for the whole run.
            access_log=None,
            print=None,
        )


if __name__ == "__main__":
    main()
