"""What is deprecated works on, with a warning: old programs can be carried over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import plait
from plait import web
from tests.adapters.web_peer import Setup, app_of

pytestmark = pytest.mark.anyio


async def ask(port: int) -> bytes:
    """Return what the server at ``port`` answers to a request in HTTP/1.0."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    return answer


async def fail(request: web.Request) -> web.Response:
    raise KeyError("inside")


async def test_loop_of_an_application() -> None:
    loop = asyncio.get_running_loop()
    with pytest.warns(DeprecationWarning, match="loop argument"):
        app = web.Application(loop=loop)
    with pytest.warns(DeprecationWarning, match="loop property"):
        assert app.loop is loop


async def test_the_loop_is_known_at_startup(setup: Setup) -> None:
    seen = []

    async def look(app: web.Application) -> None:
        with pytest.warns(DeprecationWarning, match="loop property"):
            seen.append(app.loop)

    app, sub = web.Application(), web.Application()
    app.on_startup.append(look)
    sub.on_startup.append(look)
    app.add_subapp("/sub", sub)
    with pytest.warns(DeprecationWarning, match="loop property"):
        assert app.loop is None
    async with setup.serve(app):
        assert seen == [asyncio.get_running_loop()] * 2


@pytest.mark.parametrize("debug", [True, False])
async def test_debug_of_an_application(setup: Setup, debug: bool) -> None:
    with pytest.warns(DeprecationWarning, match="debug argument"):
        app = web.Application(debug=debug)
    with pytest.warns(DeprecationWarning, match="debug property"):
        assert app.debug is debug
    app.router.add_get("/", fail)
    async with setup.serve(app) as site:
        client = await site.connect()
        answer = await client.fetch()
        assert answer.status == 500
        assert (b"KeyError" in answer.body) is debug


async def test_a_loop_in_debug_mode_shows_tracebacks(setup: Setup) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    try:
        async with setup.serve(app_of(fail)) as site:
            client = await site.connect()
            assert b"KeyError" in (await client.fetch()).body
    finally:
        loop.set_debug(False)


async def test_make_handler() -> None:
    async def look(request: web.Request) -> web.Response:
        with pytest.warns(DeprecationWarning, match=r"request\.loop"):
            assert request.loop is asyncio.get_running_loop()
        return web.Response(text="made")

    app = app_of(look)
    with pytest.warns(DeprecationWarning, match="AppRunner"):
        handler = app.make_handler(access_log=None)
    assert isinstance(handler, web.Server)
    await app.startup()
    server = await asyncio.get_running_loop().create_server(handler, "127.0.0.1", 0)
    assert (await ask(server.sockets[0].getsockname()[1])).endswith(b"\r\n\r\nmade")
    server.close()
    await app.shutdown()
    await handler.shutdown(5.0)
    await app.cleanup()


@pytest.mark.parametrize("body", [b"", b"x"])
async def test_has_body(setup: Setup, body: bytes) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        with pytest.warns(DeprecationWarning, match="can_read_body"):
            seen.append(request.has_body)
        return web.Response()

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        assert (await client.fetch("POST", "/", (), body)).status == 200
    assert seen == [bool(body)]


async def test_output_length(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"abc")
        with pytest.warns(DeprecationWarning, match="output_length"):
            assert response.output_length == 3
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        assert (await client.fetch()).body == b"abc"


@pytest.mark.parametrize("kind", [web.Application, plait.ClientSession])
def test_inheritance_is_discouraged(kind: type) -> None:
    with pytest.warns(DeprecationWarning, match="Inheritance class Mine from .* is discouraged"):
        type("Mine", (kind,), {})
