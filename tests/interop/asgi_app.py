"""An ASGI application for hypercorn, with the paths of ``app`` that plait's client asks for."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from tests.interop.app import CHUNK, digest, payload


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve one scope (ASGI 3)."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _websocket(scope, receive, send)
    elif scope["path"] == "/version":
        await _answer(send, scope["http_version"].encode())
    elif scope["path"] == "/upload":
        await _answer(send, digest(await _body(receive)).encode())
    elif scope["path"] == "/echo":
        await _answer(send, await _body(receive))
    elif scope["path"] == "/download":
        size = int(parse_qs(scope["query_string"].decode())["size"][0])
        await _answer(send, payload(size))
    else:
        await _answer(send, b"Hello, World!")


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _body(receive: Any) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _answer(send: Any, body: bytes) -> None:
    length = str(len(body)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    )
    for start in range(0, len(body), CHUNK):
        part = body[start : start + CHUNK]
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


async def _websocket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    # The first message says over which protocol the WebSocket came.
    await send({"type": "websocket.send", "text": scope["http_version"]})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("text") == "close":
            await send({"type": "websocket.close", "code": 4000, "reason": "as you like"})
            return
        echo = {key: message[key] for key in ("text", "bytes") if message.get(key) is not None}
        await send({"type": "websocket.send", **echo})
