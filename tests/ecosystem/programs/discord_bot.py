"""discord.py: a bot that logs in, hears a message by the gateway and answers with two files."""

from __future__ import annotations

import asyncio
import io
import json
import zlib

import discord
from aiohttp import WSMsgType, web
from program import use
from yarl import URL

USER = {"id": "1", "username": "bot", "discriminator": "0", "avatar": None, "bot": True}
AUTHOR = {**USER, "id": "2", "username": "ann", "bot": False}
POSTED = web.AppKey("POSTED", asyncio.Queue)
LIMITED = web.AppKey("LIMITED", list[str])


def message(
    number: int, author: dict[str, object], text: str, **fields: object
) -> dict[str, object]:
    return {
        "id": str(number),
        "channel_id": "10",
        "author": author,
        "content": text,
        "timestamp": "2026-11-28T12:00:00+00:00",
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "pinned": False,
        "type": 0,
        **fields,
    }


APPLICATION = {
    "id": "1",
    "name": "app",
    "description": "",
    "icon": None,
    "flags": 0,
    "bot_public": False,
    "bot_require_code_grant": False,
    "owner": AUTHOR,
    "summary": "",
    "verify_key": "",
}
CHANNEL = {"id": "10", "type": 1, "recipients": [AUTHOR], "last_message_id": None}


def _json(data: object, **options: object) -> web.Response:
    # The library wants to see this type without a charset.
    body = json.dumps(data).encode()
    return web.Response(body=body, content_type="application/json", **options)


async def me(request: web.Request) -> web.Response:
    assert request.headers["Authorization"] == "Bot secret"
    return _json(USER)


async def application(request: web.Request) -> web.Response:
    return _json(APPLICATION)


async def channel(request: web.Request) -> web.Response:
    return _json(CHANNEL)


async def gateway(request: web.Request) -> web.WebSocketResponse:
    """Greet, accept the identity, tell of one message; everything in one stream of zlib."""
    assert request.query["compress"] == "zlib-stream"
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    deflate = zlib.compressobj()

    async def send(number: int, data: object, **fields: object) -> None:
        text = json.dumps({"op": number, "d": data, "s": None, "t": None, **fields}).encode()
        await websocket.send_bytes(deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH))

    await send(10, {"heartbeat_interval": 41_250})
    async for heard in websocket:
        assert heard.type is WSMsgType.TEXT, heard
        asked = heard.json()
        if asked["op"] == 2:
            assert asked["d"]["token"] == "secret"
            ready = {
                "v": 10,
                "user": USER,
                "guilds": [],
                "private_channels": [],
                "session_id": "s",
                "resume_gateway_url": str(request.url.origin()),
                "application": {"id": "1", "flags": 0},
            }
            await send(0, ready, s=1, t="READY")
            await send(0, message(20, AUTHOR, "send it"), s=2, t="MESSAGE_CREATE")
        elif asked["op"] == 1:
            await send(11, None)
    return websocket


async def post(request: web.Request) -> web.Response:
    """Take a message; the first time say that there were too many."""
    if not request.app[LIMITED]:
        request.app[LIMITED].append(request.path)
        return _json(
            {"message": "slow down", "retry_after": 0.001, "global": False},
            status=429,
            headers={"Via": "1.1 fake"},
        )
    reader = await request.multipart()
    parts: dict[str, object] = {}
    async for part in reader:
        content = await part.read(decode=True)
        parts[part.name] = (
            json.loads(content) if part.name == "payload_json" else (part.filename, content)
        )
    await request.app[POSTED].put(parts)
    return _json(
        message(
            21,
            USER,
            parts["payload_json"]["content"],
            attachments=[
                {
                    "id": "30",
                    "filename": "a.txt",
                    "size": 5,
                    "url": str(request.url.origin() / "files/a.txt"),
                    "proxy_url": "",
                }
            ],
        )
    )


async def file(request: web.Request) -> web.Response:
    return web.Response(body=b"text\n")


async def prepare(app: web.Application) -> None:
    app[POSTED] = asyncio.Queue()


def make_app() -> web.Application:
    app = web.Application()
    app[LIMITED] = []
    app.on_startup.append(prepare)
    app.add_routes(
        [
            web.get("/users/@me", me),
            web.get("/oauth2/applications/@me", application),
            web.post("/users/@me/channels", channel),
            web.get("/channels/10", channel),
            web.post("/channels/10/messages", post),
            web.get("/files/a.txt", file),
            web.get("/", gateway),
        ]
    )
    return app


class Bot(discord.Client):
    """Answers the first message with two files, and downloads one of them."""

    def __init__(self) -> None:
        super().__init__(intents=discord.Intents.default())
        self.downloaded = b""

    async def on_message(self, heard: discord.Message) -> None:
        assert heard.content == "send it"
        files = [
            discord.File(io.BytesIO(b"text\n"), filename="a.txt"),
            discord.File(io.BytesIO(b"\x00\xff" * 100_000), filename="ü b.bin"),
        ]
        sent = await heard.channel.send("here", files=files)
        self.downloaded = await sent.attachments[0].read()
        await self.close()


async def check(url: str, app: web.Application) -> None:
    discord.http.Route.BASE = url
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = URL(url.replace("http", "ws", 1))
    bot = Bot()
    async with bot, asyncio.timeout(30):
        await bot.start("secret", reconnect=False)
    assert bot.downloaded == b"text\n"
    parts = await app[POSTED].get()
    assert parts["payload_json"]["content"] == "here"
    assert parts["files[0]"] == ("a.txt", b"text\n")
    assert parts["files[1]"][1] == b"\x00\xff" * 100_000, parts["files[1]"][0]


use(make_app, check)
