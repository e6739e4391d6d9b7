"""Applications: sub-applications, signals, contexts, state."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from yarl import URL

from plait import web
from plait.abc import AbstractMatchInfo
from tests.adapters.web_handlers import ask, named, say
from tests.adapters.web_peer import Setup

pytestmark = pytest.mark.anyio

NAME: web.AppKey[str] = web.AppKey("NAME", str)


# -- sub-applications -------------------------------------------------------------------------------------


async def test_sub_applications(setup: Setup) -> None:
    seen: list[tuple[str, web.Application]] = []

    def note(name: str) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
            seen.append((name, request.app))
            response = await handler(request)
            assert request.app is seen[0][1] or name != "root"
            return response  # type: ignore[no-any-return]  # likewise

        return middleware

    key, other = web.AppKey("key", str), web.AppKey("other", str)

    async def handler(request: web.Request) -> web.Response:
        assert request.match_info.apps == (app, sub, subsub)
        assert request.app is subsub
        config = request.config_dict
        return web.json_response([config[key], config[other], dict(request.match_info)])

    app = web.Application(middlewares=[note("root")])
    sub = web.Application(middlewares=[note("sub")])
    subsub = web.Application()
    app[key], sub[key], app[other] = "root", "sub", "other"
    subsub.router.add_get("/{x}", handler, name="x")
    sub.router.add_get("", named("sub root"))
    sub.router.add_get("/", named("sub slash"))
    sub.add_subapp("/deep/", subsub)
    app.add_subapp("/sub", sub)
    app.router.add_get("/sub2", named("not in sub"))
    assert subsub.router["x"].url_for(x="1") == URL("/sub/deep/1")
    assert "prefix" in next(iter(app.router.resources())).get_info()
    async with setup.serve(app) as site:
        client = await site.connect()
        for _ in range(2):
            seen.clear()
            assert await ask(client, "GET", "/sub/deep/1?q") == (
                200,
                '["sub", "other", {"x": "1"}]',
            )
            assert seen == [("root", app), ("sub", sub)]
        assert await ask(client, "GET", "/sub") == (200, "sub root")
        assert await ask(client, "GET", "/sub/") == (200, "sub slash")
        assert await ask(client, "GET", "/sub2") == (200, "not in sub")
        seen.clear()
        assert (await ask(client, "GET", "/sub/nothing"))[0] == 404
        assert seen == [("root", app), ("sub", sub)]
        answer = await client.fetch("POST", "/sub/deep/1")
        assert (answer.status, answer.header("allow")) == (405, "GET,HEAD")


def test_sub_applications_that_cannot_be_added() -> None:
    app = web.Application()
    for prefix in ("", "/", "//"):
        with pytest.raises(ValueError, match="empty"):
            app.add_subapp(prefix, web.Application())
    with pytest.raises(TypeError):
        app.add_subapp(7, web.Application())  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ValueError, match="start with"):
        app.add_subapp("x", web.Application())
    frozen = web.Application()
    frozen.freeze()
    with pytest.raises(RuntimeError, match="frozen"):
        app.add_subapp("/x", frozen)
    with pytest.raises(RuntimeError, match="frozen"):
        frozen.add_subapp("/x", app)


async def test_keys_of_sub_applications(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.app[NAME]} {request.config_dict[NAME]}")

    child = web.Application()
    child[NAME] = "child"
    child.router.add_get("/page", handler)
    app = web.Application()
    app[NAME] = "parent"
    app.router.add_get("/page", handler)
    app.add_subapp("/child", child)
    async with setup.serve(app) as site:
        client = await site.connect()
        assert await ask(client, "GET", "/page") == (200, "parent parent")
        assert await ask(client, "GET", "/child/page") == (200, "child child")
        assert (await ask(client, "GET", "/child/none"))[0] == 404
    with pytest.raises(RuntimeError):
        app.router.add_get("/late", handler)


# -- signals and contexts -------------------------------------------------------------------------------------


async def test_the_order_of_signals() -> None:
    calls: list[str] = []

    def note(text: str) -> Any:
        async def handler(app: web.Application) -> None:
            calls.append(text)

        return handler

    async def generator(app: web.Application) -> AsyncIterator[None]:
        calls.append("generator in")
        yield
        calls.append("generator out")

    @asynccontextmanager
    async def manager(app: web.Application) -> AsyncIterator[None]:
        calls.append("manager in")
        yield
        calls.append("manager out")

    app, sub = web.Application(), web.Application()
    for which, name in ((app, "app"), (sub, "sub")):
        which.on_startup.append(note(f"{name} startup"))
        which.on_shutdown.append(note(f"{name} shutdown"))
        which.on_cleanup.append(note(f"{name} cleanup"))
    app.cleanup_ctx.extend([generator, manager])
    app.add_subapp("/sub", sub)
    async with Setup("http/1.1", "native").serve(app):
        assert app.frozen
        assert sub.frozen
        assert calls == ["generator in", "manager in", "app startup", "sub startup"]
        calls.clear()
    assert calls == [
        *("app shutdown", "sub shutdown"),
        *("manager out", "generator out", "app cleanup", "sub cleanup"),
    ]


@pytest.mark.parametrize("kind", [KeyError, asyncio.CancelledError])
@pytest.mark.parametrize("failing", [1, 2])
async def test_contexts_that_fail_at_the_end(
    failing: int, kind: type[KeyError | asyncio.CancelledError]
) -> None:
    left = []

    def context(number: int) -> Any:
        async def generator(app: web.Application) -> AsyncIterator[None]:
            yield
            left.append(number)
            if number <= failing:
                raise kind(number)

        return generator

    app = web.Application()
    app.cleanup_ctx.extend([context(1), context(2), context(3)])
    runner = web.AppRunner(app)
    await runner.setup()
    with pytest.raises((kind, web.CleanupError)) as caught:
        await runner.cleanup()
    assert left == [3, 2, 1]
    if failing == 2:
        assert isinstance(caught.value, web.CleanupError)
        assert [error.args for error in caught.value.exceptions] == [(2,), (1,)]


async def test_a_startup_that_fails_leaves_what_it_entered() -> None:
    left = []

    async def entered(app: web.Application) -> AsyncIterator[None]:
        yield
        left.append(1)

    async def failing(app: web.Application) -> AsyncIterator[None]:
        raise KeyError("x")
        yield

    app = web.Application()
    app.cleanup_ctx.extend([entered, failing])
    runner = web.AppRunner(app)
    with pytest.raises(KeyError):
        await runner.setup()
    await runner.cleanup()
    assert left == [1]


async def test_on_response_prepare(setup: Setup) -> None:
    """From the outer application to the inner, with the headers complete, before they go."""
    calls = []

    def note(name: str) -> Any:
        async def handler(request: web.Request, response: web.StreamResponse) -> None:
            calls.append((name, response.headers.get("Content-Length")))
            response.headers["X-Name"] = name

        return handler

    app, sub = web.Application(), web.Application()
    app.on_response_prepare.append(note("app"))
    sub.on_response_prepare.append(note("sub"))
    sub.router.add_get("/x", named("sub"))
    app.add_subapp("/sub", sub)
    app.router.add_get("/", named("root"))
    async with setup.serve(app) as site:
        client = await site.connect()
        answer = await client.fetch("GET", "/sub/x")
        assert calls == [("app", "3"), ("sub", "3")]
        assert answer.header("x-name") == "sub"
        calls.clear()
        assert (await client.fetch()).header("x-name") == "app"
        assert (await client.fetch(target="/nothing")).header("x-name") == "app"
        assert calls == [("app", "4"), ("app", "14")]


async def test_on_response_prepare_that_fails(setup: Setup) -> None:
    async def fail(request: web.Request, response: web.StreamResponse) -> None:
        if response.status == 200:
            raise KeyError("x")

    app = web.Application()
    app.on_response_prepare.append(fail)
    app.router.add_get("/", named("x"))
    async with setup.serve(app) as site:
        assert (await (await site.connect()).fetch()).status == 500


async def test_signals_contexts_and_keys(setup: Setup) -> None:
    order: list[str] = []

    async def context(app: web.Application) -> AsyncIterator[None]:
        order.append("enter")
        yield
        order.append("leave")

    async def note(what: str) -> None:
        order.append(what)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.app[NAME])

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Prepared"] = request.path

    app = web.Application()
    app[NAME] = "the name"
    app.router.add_get("/", handler)
    app.on_startup.append(lambda app: note("startup"))
    app.on_shutdown.append(lambda app: note("shutdown"))
    app.on_cleanup.append(lambda app: note("cleanup"))
    app.on_response_prepare.append(on_prepare)
    app.cleanup_ctx.append(context)
    async with setup.serve(app) as site:
        answer = await (await site.connect()).fetch()
        assert answer.body == b"the name"
        assert answer.header("x-prepared") == "/"
        assert set(order) == {"startup", "enter"}
    assert order[2:] == ["shutdown", "leave", "cleanup"]


# -- state -----------------------------------------------------------------------------------------------------


def test_keys_have_an_order() -> None:
    """By name, and ahead of strings."""
    b, c = web.AppKey("b", int), web.AppKey("c", int)
    assert sorted(["d", c, "a", b]) == [b, c, "a", "d"]  # type: ignore[type-var]  # that is the point


def test_the_name_of_a_key_says_which_module_made_it() -> None:
    made: dict[str, Any] = {"__name__": "a_module", "web": web}
    exec("def make(): return web.AppKey('b', int)\nkey = make()", made)
    assert repr(made["key"]) == "<AppKey(a_module.b, type=int)>"
    assert repr(NAME) == f"<AppKey({__name__}.NAME, type=str)>"
    other = dict(made, __name__="another")
    exec("key = make()", other)  # Its body runs.
    assert repr(other["key"]) == "<AppKey(another.b, type=int)>"


def test_an_application_is_a_mapping() -> None:
    app = web.Application()
    key = web.AppKey("key", int)
    app[key] = 1
    with pytest.warns(web.NotAppKeyWarning) as caught:
        app["name"] = 2
    assert caught[0].filename == __file__
    assert (app[key], app["name"], app.get(key), app.get("other", 3)) == (1, 2, 1, 3)
    assert list(app) == [key, "name"]
    assert len(app) == 2
    del app["name"]
    assert "name" not in app
    assert bool(web.Application())
    assert app != web.Application()
    assert app() is app
    app.freeze()
    with pytest.warns(DeprecationWarning, match="started"):
        app[key] = 2
    with pytest.warns(DeprecationWarning, match="started"):
        del app[key]


async def test_each_request_has_its_own_context(setup: Setup) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    both = asyncio.Barrier(2)

    async def handler(request: web.Request) -> web.Response:
        assert variable.get() == 0
        variable.set(int(request.query["n"]))
        await both.wait()
        return web.Response(text=str(variable.get()))

    app = web.Application()
    app.router.add_get("/", handler)
    async with setup.serve(app) as site:
        clients = [await site.connect(), await site.connect()]
        answers = [
            client.request(target=f"/?n={number}") for number, client in enumerate(clients, 1)
        ]
        assert [(await answer.complete()).body for answer in answers] == [b"1", b"2"]


def test_match_info_repr_and_type() -> None:
    match_info = web.UrlMappingMatchInfo({"a": "b"}, web.ResourceRoute("GET", say, None))  # type: ignore[arg-type]  # it has no resource
    assert isinstance(match_info, AbstractMatchInfo)
    assert "'a': 'b'" in repr(match_info)
    app = web.Application()
    match_info.add_app(app)
    with pytest.raises(RuntimeError, match="none of the applications"):
        match_info.current_app = web.Application()
    match_info.freeze()
    with pytest.raises(RuntimeError, match="match is frozen"):
        match_info.add_app(app)


async def test_handlers_have_contexts_of_their_own(setup: Setup) -> None:
    """What one request sets, the next on the same connection does not see."""
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")

    async def handler(request: web.Request) -> web.Response:
        before = user.get()
        user.set(request.query["user"])
        await asyncio.sleep(0)
        return web.Response(text=f"{before} {user.get()}")

    app = web.Application()
    app.router.add_get("/", handler)
    async with setup.serve(app) as site:
        client = await site.connect()
        assert await ask(client, "GET", "/?user=a") == (200, "nobody a")
        assert await ask(client, "GET", "/?user=b") == (200, "nobody b")
