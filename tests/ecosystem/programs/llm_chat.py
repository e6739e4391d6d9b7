"""openai over aiohttp instead of httpx: an answer whole and as a stream, files, a busy server."""

from __future__ import annotations

import json
import ssl

import pytest
from aiohttp import web
from openai import AsyncOpenAI, DefaultAioHttpClient, NotFoundError
from program import use

ASKED = web.AppKey("ASKED", list[str])
WORDS = ["Hello", ",", " wörld", "!"]


def chunk(**delta: object) -> dict[str, object]:
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }


async def chat(request: web.Request) -> web.StreamResponse:
    assert request.headers["Authorization"] == "Bearer secret"
    asked = await request.json()
    text = asked["messages"][-1]["content"]
    request.app[ASKED].append(text)
    if text == "busy" and request.app[ASKED].count(text) < 3:
        return web.json_response({}, status=503, headers={"Retry-After-Ms": "1"})
    if asked.get("stream"):
        return await stream(request)
    message = {"role": "assistant", "content": "".join(WORDS)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response(
        {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    )


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for word in WORDS:
        await response.write(f"data: {json.dumps(chunk(content=word))}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


async def upload(request: web.Request) -> web.Response:
    form = await request.post()
    content = form["file"].file.read()
    return web.json_response(
        {
            "id": "f1",
            "object": "file",
            "bytes": len(content),
            "created_at": 1,
            "filename": form["file"].filename,
            "purpose": form["purpose"],
            "status": "processed",
        }
    )


async def content(request: web.Request) -> web.Response:
    return web.Response(body=b"\x00\xff" * 200_000)


def make_app() -> web.Application:
    app = web.Application()
    app[ASKED] = []
    app.add_routes(
        [
            web.post("/v1/chat/completions", chat),
            web.post("/v1/files", upload),
            web.get("/v1/files/f1/content", content),
        ]
    )
    return app


async def check(url: str, app: web.Application) -> None:
    http = DefaultAioHttpClient(verify=ssl.create_default_context())
    assert "aiohttp" in type(http._transport).__module__
    async with AsyncOpenAI(
        base_url=f"{url}/v1", api_key="secret", http_client=http, max_retries=3
    ) as client:
        for text in ("hello", "busy"):
            answer = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": text}]
            )
            assert answer.choices[0].message.content == "Hello, wörld!"
        assert app[ASKED] == ["hello", "busy", "busy", "busy"]
        chunks = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "go on"}], stream=True
        )
        words = [chunk.choices[0].delta.content async for chunk in chunks]
        assert words == WORDS
        with open(__file__, "rb") as file:
            sent = await client.files.create(file=file, purpose="assistants")
            assert sent.bytes == file.seek(0, 2)
        async with client.files.with_streaming_response.content("f1") as response:
            pieces = [piece async for piece in response.iter_bytes(10_000)]
        assert b"".join(pieces) == b"\x00\xff" * 200_000
        with pytest.raises(NotFoundError) as caught:
            await client.models.retrieve("none")
        assert caught.value.status_code == 404


use(make_app, check)
