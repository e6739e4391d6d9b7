"""Handlers, and questions to them, that the tests of applications and responses share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from plait import web
from tests.adapters.web_peer import Answer, Client, Setup, app_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def answer_of(setup: Setup, handler: Handler, *args: Any, **options: Any) -> Answer:
    """Return the whole answer of ``handler`` to one request."""
    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = await client.fetch(*args, **options)
        # What comes behind the end of a response: a file is closed, for example.
        for connection in site.server.connections:
            assert await connection._wait_for_handlers(20)
        assert not site.exchanges()
        return answer


def always(make: Callable[[], web.StreamResponse]) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return make()

    return handler


def names(answer: Answer) -> list[str]:
    return [name.lower() for name, _ in answer.headers]


async def say(request: web.Request) -> web.Response:
    """Answer with the path's template, its variables and the handler's application."""
    match_info = request.match_info
    info = match_info.get_info()
    return web.json_response([info.get("path") or info.get("formatter"), dict(match_info)])


def named(name: str) -> Any:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=name)

    return handler


async def ask(client: Client, method: str, target: str) -> tuple[int, str]:
    answer: Answer = await client.fetch(method, target)
    return answer.status, answer.body.decode()


async def serve_once(app: web.Application, *requests: tuple[str, str]) -> list[tuple[int, str]]:
    """Return status and body of each of ``requests``, over HTTP/1.1."""
    async with Setup("http/1.1", "native").serve(app) as site:
        client = await site.connect()
        return [await ask(client, method, target) for method, target in requests]
