"""slack-sdk: messages, a file in three steps, a rate limit, events by a WebSocket (Socket Mode)."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from aiohttp import WSMsgType, web
from program import use
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

UPLOADED = web.AppKey("UPLOADED", dict[str, bytes])
LIMITED = web.AppKey("LIMITED", list[str])
ACKNOWLEDGED = web.AppKey("ACKNOWLEDGED", asyncio.Queue)


async def method(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    assert request.headers["Authorization"] == f"Bearer {'xapp' if 'apps' in name else 'xoxb'}-1"
    if request.content_type == "application/json":
        fields = await request.json()
    else:
        fields = {**request.query, **await request.post()}
    base = f"{request.url.origin()}"
    answer: dict[str, object] = {}
    if name == "chat.postMessage":
        answer = {"channel": fields["channel"], "message": {"text": fields["text"]}}
        if fields["text"] == "limited" and not request.app[LIMITED]:
            request.app[LIMITED].append(name)
            return web.json_response(
                {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "0"}
            )
    elif name == "files.getUploadURLExternal":
        answer = {"upload_url": f"{base}/upload/F1?length={fields['length']}", "file_id": "F1"}
    elif name == "files.completeUploadExternal":
        answer = {"files": [{"id": "F1", "title": "report"}]}
    elif name == "apps.connections.open":
        answer = {"url": f"{base.replace('http', 'ws', 1)}/socket"}
    else:
        return web.json_response({"ok": False, "error": "unknown_method"})
    return web.json_response({"ok": True, **answer})


async def upload(request: web.Request) -> web.Response:
    content = await request.read()
    if request.content_type.startswith("multipart/"):
        [part] = (await request.post()).values()
        content = part.file.read()
    assert len(content) == int(request.query["length"])
    request.app[UPLOADED][request.match_info["file"]] = content
    return web.Response(text=f"OK - {len(content)}")


async def socket(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    await websocket.send_json({"type": "hello", "num_connections": 1})
    event = {"type": "event_callback", "event": {"type": "message", "text": "from Slack"}}
    envelope = {"type": "events_api", "envelope_id": "E1", "payload": event}
    await websocket.send_json(envelope)
    async for message in websocket:
        if message.type is WSMsgType.TEXT:
            await request.app[ACKNOWLEDGED].put(message.json())
    return websocket


async def prepare(app: web.Application) -> None:
    app[ACKNOWLEDGED] = asyncio.Queue()


def make_app() -> web.Application:
    app = web.Application()
    app[UPLOADED], app[LIMITED] = {}, []
    app.on_startup.append(prepare)
    app.add_routes(
        [
            web.post("/api/{name}", method),
            web.post("/upload/{file}", upload),
            web.get("/socket", socket),
        ]
    )
    return app


async def check(url: str, app: web.Application) -> None:
    context = ssl.create_default_context() if url.startswith("https") else None
    bot = AsyncWebClient(token="xoxb-1", base_url=f"{url}/api/", ssl=context)
    bot.retry_handlers.append(AsyncRateLimitErrorRetryHandler())
    for text in ("hello", "limited"):
        answer = await bot.chat_postMessage(channel="C1", text=text)
        assert answer["message"]["text"] == text, answer
    assert app[LIMITED]
    answer = await bot.files_upload_v2(channel="C1", filename="r.bin", content=b"\x00\xff" * 50_000)
    assert answer["files"][0]["id"] == "F1"
    assert app[UPLOADED]["F1"] == b"\x00\xff" * 50_000
    with pytest.raises(SlackApiError) as caught:
        await bot.api_call("no.such")
    assert caught.value.response["error"] == "unknown_method"

    heard: asyncio.Queue[str] = asyncio.Queue()

    async def listen(client: SocketModeClient, request: SocketModeRequest) -> None:
        await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))
        await heard.put(request.payload["event"]["text"])

    web_client = AsyncWebClient(base_url=f"{url}/api/", ssl=context)
    client = SocketModeClient(app_token="xapp-1", web_client=web_client)
    client.socket_mode_request_listeners.append(listen)
    await client.connect()
    assert await client.is_connected()
    assert await asyncio.wait_for(heard.get(), 20) == "from Slack"
    assert (await asyncio.wait_for(app[ACKNOWLEDGED].get(), 20))["envelope_id"] == "E1"
    await client.close()


use(make_app, check)
