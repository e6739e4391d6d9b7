"""One application for every peer: on plait's ``web`` and, under plait's client, on aiohttp's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

CHUNK = 65536


def payload(size: int) -> bytes:
    """Return ``size`` bytes in which every cut and every swap shows."""
    return hashlib.shake_128(b"plait").digest(size)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Seen:
    """A request as the server saw it."""

    method: str
    path: str
    version: str
    """``"1.0"``, ``"1.1"`` or ``"2.0"``."""
    connection: object
    """The peer's address: equal for requests of one connection."""
    headers: dict[str, str] = field(compare=False, repr=False)


def make_app(library: Any, record: list[Seen]) -> Any:  # Any: the same names, other classes
    """Return the application.

    Args:
        library: plait or aiohttp.
        record: every request is appended to it before its handler runs.
    """
    web: Any = import_module(f"{library.__name__}.web")

    @web.middleware
    async def write_down(request: Any, handler: Any) -> Any:
        record.append(
            Seen(
                request.method,
                request.path,
                f"{request.version.major}.{request.version.minor}",
                request.get_extra_info("peername"),
                {name.lower(): value for name, value in request.headers.items()},
            )
        )
        return await handler(request)

    async def hello(request: Any) -> Any:
        return web.Response(text="Hello, World!")

    async def version(request: Any) -> Any:
        return web.Response(text=f"{request.version.major}.{request.version.minor}")

    async def echo(request: Any) -> Any:
        return web.Response(body=await request.read())

    async def duplex(request: Any) -> Any:
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in request.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response

    async def download(request: Any) -> Any:
        body = payload(int(request.query["size"]))
        response = web.StreamResponse()
        if "length" in request.query:
            response.content_length = len(body)
        await response.prepare(request)
        for start in range(0, len(body), CHUNK):
            await response.write(body[start : start + CHUNK])
        await response.write_eof()
        return response

    async def upload(request: Any) -> Any:
        hasher = hashlib.sha256()
        async for chunk in request.content.iter_any():
            hasher.update(chunk)
        return web.Response(text=hasher.hexdigest())

    async def form(request: Any) -> Any:
        seen = []
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                content = value.file.read()
                seen.append([name, value.filename, value.content_type, digest(content)])
            else:
                seen.append([name, value])
        return web.json_response(seen)

    async def parts(request: Any) -> Any:
        writer = library.MultipartWriter("mixed")
        writer.append_json({"a": 1})
        writer.append(payload(300_000), {"Content-Encoding": "gzip"})
        nested = library.MultipartWriter("related")
        nested.append("two", {"Content-Transfer-Encoding": "base64"})
        writer.append(nested)
        return web.Response(body=writer)

    async def refuse(request: Any) -> Any:
        return web.Response(status=413, text="too much")

    async def status(request: Any) -> Any:
        return web.Response(status=int(request.match_info["code"]))

    async def redirect(request: Any) -> Any:
        raise web.HTTPFound("/version")

    async def headers(request: Any) -> Any:
        return web.json_response([[name, value] for name, value in request.headers.items()])

    async def trailers(request: Any) -> Any:  # aiohttp's responses have none.
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"body")
        response.set_trailers({"X-Checksum": "1"})
        await response.write_eof()
        return response

    async def websocket(request: Any) -> Any:
        socket = web.WebSocketResponse(protocols=("plait",), max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type is library.WSMsgType.TEXT:
                if message.data == "close":
                    await socket.close(code=4000, message=b"as you like")
                else:
                    await socket.send_str(message.data)
            elif message.type is library.WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    app = web.Application(middlewares=[write_down], client_max_size=64 * 1024 * 1024)
    app.add_routes(
        [
            web.get("/", hello),
            web.get("/version", version),
            web.post("/echo", echo),
            web.put("/echo", echo),
            web.post("/duplex", duplex),
            web.get("/download", download),
            web.post("/upload", upload),
            web.put("/upload", upload),
            web.post("/form", form),
            web.get("/parts", parts),
            web.post("/refuse", refuse),
            web.get("/status/{code}", status),
            web.get("/redirect", redirect),
            web.get("/headers", headers),
            web.get("/trailers", trailers),
            web.get("/ws", websocket),
        ]
    )
    return app
