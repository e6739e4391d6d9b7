"""Middlewares: their order, what they see, and those that plait brings."""

from __future__ import annotations

from typing import Any

import pytest

from plait import web
from tests.adapters.web_handlers import ask, named, say, serve_once
from tests.adapters.web_peer import Setup

pytestmark = pytest.mark.anyio


def test_a_path_cannot_gain_and_lose_its_slash() -> None:
    for error in (TypeError, AssertionError):
        with pytest.raises(error):
            web.normalize_path_middleware(append_slash=True, remove_slash=True)


async def test_middlewares(setup: Setup) -> None:
    """The first is the outermost; they wrap 404 and 405 too."""
    calls: list[str] = []

    def make(name: str) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
            calls.append(f"{name} in")
            try:
                response = await handler(request)
            except web.HTTPException as error:
                calls.append(f"{name} {error.status}")
                raise
            calls.append(f"{name} out")
            response.headers[f"X-{name}"] = "1"
            return response  # type: ignore[no-any-return]  # the handler is anything

        return middleware

    app = web.Application(middlewares=[make("a"), make("b")])
    app.router.add_get("/", named("x"))
    async with setup.serve(app) as site:
        client = await site.connect()
        for _ in range(2):
            calls.clear()
            answer = await client.fetch()
            assert calls == ["a in", "b in", "b out", "a out"]
            assert (answer.header("x-a"), answer.header("x-b")) == ("1", "1")
        for method, target, status in (("GET", "/nothing", 404), ("POST", "/", 405)):
            calls.clear()
            assert (await ask(client, method, target))[0] == status
            assert calls == ["a in", "b in", f"b {status}", f"a {status}"]


async def test_a_middleware_may_answer_and_recover() -> None:
    @web.middleware
    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        if "key" not in request.query:
            return web.Response(status=403)
        try:
            return await handler(request)  # type: ignore[no-any-return]  # likewise
        except KeyError:
            return web.Response(text="recovered")

    async def fail(request: web.Request) -> web.Response:
        raise KeyError

    app = web.Application(middlewares=[guard])
    app.router.add_get("/", fail)
    assert await serve_once(app, ("GET", "/"), ("GET", "/?key")) == [(403, ""), (200, "recovered")]


async def test_middlewares_see_the_attributes_of_the_handler(setup: Setup) -> None:
    """However many stand between, of whatever application."""
    seen: list[tuple[str, Any]] = []

    @web.middleware
    async def look(request: web.Request, handler: Any) -> web.StreamResponse:
        seen.append((handler.__name__, getattr(handler, "role", None)))
        return await handler(request)  # type: ignore[no-any-return]  # likewise

    async def marked(request: web.Request) -> web.Response:
        return web.Response()

    class Marked(web.View):
        role = "user"

        async def get(self) -> web.Response:
            return web.Response()

    marked.role = "admin"  # type: ignore[attr-defined]  # functions take attributes
    app, sub = web.Application(middlewares=[look, look]), web.Application(middlewares=[look])
    app.router.add_get("/", marked)
    app.router.add_get("/other", say)
    sub.router.add_view("/view", Marked)
    app.add_subapp("/sub", sub)
    async with setup.serve(app) as site:
        client = await site.connect()
        for target, expected in (
            ("/", [("marked", "admin")] * 2),
            ("/other", [("say", None)] * 2),
            ("/sub/view", [("Marked", "user")] * 3),
        ):
            seen.clear()
            assert (await client.fetch("GET", target)).status == 200
            assert seen == expected


async def test_old_style_middlewares() -> None:
    async def factory(app: web.Application, handler: Any) -> Any:
        async def middleware(request: web.Request) -> web.Response:
            response = await handler(request)
            return web.Response(text=response.text.upper())

        return middleware

    app = web.Application(middlewares=[factory])  # type: ignore[list-item]  # that is the point
    app.router.add_get("/", named("x"))
    with pytest.warns(DeprecationWarning, match='old-style middleware "<func.*>" deprecated'):
        app.freeze()  # Once, and not for each request.
    assert await serve_once(app, ("GET", "/"), ("GET", "/")) == [(200, "X"), (200, "X")]


@pytest.mark.parametrize(
    ("options", "target", "location"),
    [
        ({}, "/slash?a=b", "/slash/?a=b"),
        ({}, "//double///path", "/double/path"),
        ({}, "/double//path", "/double/path"),
        ({}, "//slash", "/slash/"),
        ({"append_slash": False, "remove_slash": True}, "/double/path/", "/double/path"),
        ({"append_slash": False, "merge_slashes": False}, "/slash", None),
        ({"merge_slashes": False}, "/double//path", None),
        ({}, "/nothing", None),
        ({}, "//nothing.test/x", None),
    ],
)
async def test_normalize_path(options: Any, target: str, location: str | None) -> None:
    app = web.Application(middlewares=[web.normalize_path_middleware(**options)])
    app.router.add_get("/slash/", named("x"))
    app.router.add_get("/double/path", named("x"))
    async with Setup("http/1.1", "native").serve(app) as site:
        answer = await (await site.connect()).fetch("GET", target)
        assert answer.status == (404 if location is None else 308)
        assert answer.header("location") == location


async def test_middlewares_wrap_in_order_and_see_errors(setup: Setup) -> None:
    order: list[str] = []

    def make(name: str) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
            order.append(f"{name} in")
            try:
                response: web.StreamResponse = await handler(request)
            except web.HTTPNotFound:
                response = web.Response(text=f"{name} caught", status=418)
            order.append(f"{name} out")
            return response

        return middleware

    async def handler(request: web.Request) -> web.Response:
        order.append("handler")
        return web.Response(text="done")

    app = web.Application(middlewares=[make("outer"), make("inner")])
    app.router.add_get("/", handler)
    async with setup.serve(app) as site:
        client = await site.connect()
        assert await ask(client, "GET", "/") == (200, "done")
        assert order == ["outer in", "inner in", "handler", "inner out", "outer out"]
        assert await ask(client, "GET", "/none") == (418, "inner caught")
