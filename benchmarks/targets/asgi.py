"""The smallest ASGI applications, for granian and hypercorn: no framework, no router."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")],
}
_BODY = {"type": "http.response.body", "body": b"Hello, World!"}
_CHUNK = bytes(65536)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer hello; ``/download?size=N`` and ``/upload`` move large bodies."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/download":
        await _download(int(scope["query_string"].removeprefix(b"size=")), send)
    elif scope["path"] == "/upload":
        await _upload(receive, send)
    else:
        await send(_START)
        await send(_BODY)


async def items(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Do by hand what the handler of ``/item/...`` in ``web_server`` does."""
    if scope["type"] != "http":
        return
    fields = dict(scope["headers"])
    query = dict(parse_qsl(scope["query_string"].decode()))
    cookies = dict(part.strip().split("=", 1) for part in fields[b"cookie"].decode().split(";"))
    name = scope["path"].removeprefix("/item/")
    body = f"{name}, page {int(query['page'])}, {cookies['session']}".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", fields[b"x-request-id"]),
    ]
    await send({**_START, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _download(size: int, send: Any) -> None:
    length = str(size).encode()
    await send({**_START, "headers": [(b"content-length", length)]})
    while size > 0:
        chunk = _CHUNK if size >= len(_CHUNK) else _CHUNK[:size]
        size -= len(chunk)
        await send({"type": "http.response.body", "body": chunk, "more_body": size > 0})


async def _upload(receive: Any, send: Any) -> None:
    size = 0
    more = True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    await send({**_START, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
