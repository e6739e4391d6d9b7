"""aiogram: a bot that polls for a message and answers with a file, and one that is called by a webhook."""

from __future__ import annotations

import asyncio
import os
import ssl

import aiogram
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramRetryAfter
from aiogram.types import BufferedInputFile, Message
from aiogram.webhook.aiohttp_server import SimpleRequestHandler, setup_application
from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.test_utils import TestClient, TestServer
from program import use

TOKEN = "1:secret"
CHAT = {"id": 10, "type": "private", "first_name": "Ann"}
SENDER = {"id": 2, "is_bot": False, "first_name": "Ann"}
POSTED = web.AppKey("POSTED", list[tuple[str, dict[str, object]]])


def message(number: int, **fields: object) -> dict[str, object]:
    return {"message_id": number, "date": 1, "chat": CHAT, "from": SENDER, **fields}


async def call(request: web.Request) -> web.Response:
    """Answer one method of the API."""
    assert request.match_info["token"] == TOKEN
    method = request.match_info["method"]
    form = await request.post()
    result: object = True
    if method == "getMe":
        result = {"id": 1, "is_bot": True, "first_name": "Bot", "username": "bot"}
    elif method == "getUpdates":
        if form.get("offset"):
            await asyncio.sleep(0.01)
            return web.json_response({"ok": True, "result": []})
        result = [{"update_id": 7, "message": message(20, text="send it")}]
    elif method == "sendDocument":
        name = str(form["document"]).removeprefix("attach://")
        file = form[name]
        assert isinstance(file, web.FileField)
        content = file.file.read()
        request.app[POSTED].append((method, {"name": file.filename, "content": content}))
        document = {"file_id": "f", "file_unique_id": "u", "file_size": len(content)}
        result = message(21, document=document)
    elif method == "getFile":
        result = {"file_id": "f", "file_unique_id": "u", "file_path": "documents/a.bin"}
    elif method == "sendMessage":
        request.app[POSTED].append((method, dict(form)))
        if form["text"] == "too much":
            answer = {"ok": False, "error_code": 429, "description": "Too Many Requests"}
            return web.json_response({**answer, "parameters": {"retry_after": 3}}, status=429)
        result = message(22, text=str(form["text"]))
    return web.json_response({"ok": True, "result": result})


async def download(request: web.Request) -> web.Response:
    return web.Response(body=b"\x00\xff" * 100_000)


def make_app() -> web.Application:
    app = web.Application()
    app[POSTED] = []
    app.router.add_post("/bot{token}/{method}", call)
    app.router.add_get("/file/bot{token}/documents/a.bin", download)
    return app


def make_bot(url: str) -> aiogram.Bot:
    session = AiohttpSession(api=TelegramAPIServer.from_base(url))
    if "SSL_CERT_FILE" in os.environ:  # aiogram trusts certifi alone.
        session._connector_init["ssl"] = ssl.create_default_context()
    return aiogram.Bot(TOKEN, session=session)


async def poll(url: str) -> bytes:
    """Answer one message, and return what was downloaded meanwhile."""
    dispatcher = aiogram.Dispatcher()
    downloaded: list[bytes] = []
    waits: list[int] = []

    @dispatcher.message()
    async def answer(heard: Message, bot: aiogram.Bot) -> None:
        assert heard.text == "send it"
        sent = await heard.answer_document(BufferedInputFile(b"text\n" * 50_000, "ü.txt"))
        assert sent.document is not None
        file = await bot.download(sent.document)
        assert file is not None
        downloaded.append(file.read())
        try:
            await heard.answer("too much")
        except TelegramRetryAfter as error:
            waits.append(error.retry_after)
        await dispatcher.stop_polling()

    await dispatcher.start_polling(make_bot(url), handle_signals=False)
    assert waits == [3]
    return downloaded[0]


async def be_called(url: str) -> None:
    """Serve a webhook: the answer to a message is in the response."""
    dispatcher = aiogram.Dispatcher()

    @dispatcher.message()
    async def echo(heard: Message) -> object:
        return heard.answer_document(BufferedInputFile(b"echo", "a.txt"), caption=f"{heard.text} é")

    app = web.Application()
    bot = make_bot(url)
    handler = SimpleRequestHandler(dispatcher, bot, handle_in_background=False, secret_token="s")
    handler.register(app, path="/hook")
    setup_application(app, dispatcher, bot=bot)
    update = {"update_id": 8, "message": message(30, text="hello")}
    async with TestClient(TestServer(app)) as client:
        async with client.post("/hook", json=update) as response:
            assert response.status == 401
        headers = {"X-Telegram-Bot-Api-Secret-Token": "s"}
        async with client.post("/hook", json=update, headers=headers) as response:
            assert response.status == 200
            parts = {}
            async for part in MultipartReader.from_response(response):
                assert isinstance(part, BodyPartReader)
                parts[part.name] = await part.text()
            assert (parts["method"], parts["caption"]) == ("sendDocument", "hello é")
            assert parts[parts["document"].removeprefix("attach://")] == "echo"


async def check(url: str, app: web.Application) -> None:
    async with asyncio.timeout(30):
        assert await poll(url) == b"\x00\xff" * 100_000
        await be_called(url)
    method, document = app[POSTED][0]
    assert method == "sendDocument"
    assert document == {"name": "ü.txt", "content": b"text\n" * 50_000}
    assert app[POSTED][1][1]["text"] == "too much"


use(make_app, check)
